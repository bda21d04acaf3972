//! What ends dispatch as a whole.

use tokio::sync::watch;

use crate::domain::ids::DeliveryId;
use crate::domain::target::TargetId;
use crate::send::client::ClientError;
use crate::store::contract::error::StoreError;

/// Why dispatch cannot go on: the process must end and start again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DispatchError {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Client(ClientError),
    #[error("the loop that sends to {0} ended before it was stopped")]
    WorkerEnded(TargetId),
    #[error("an attempt at the delivery {delivery} took {seconds} s, which is longer than can be recorded")]
    TooLong { delivery: DeliveryId, seconds: u64 },
}

/// Where faults are raised; the first one stays.
#[derive(Clone)]
pub struct Faults(watch::Sender<Option<DispatchError>>);

impl Default for Faults {
    fn default() -> Faults {
        Faults(watch::channel(None).0)
    }
}

impl Faults {
    pub fn raise(&self, fault: DispatchError) {
        self.0.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                tracing::error!("dispatch stops: {fault}");
                *known = Some(fault);
            }
            first
        });
    }

    /// For who must stop the process.
    pub fn subscribe(&self) -> watch::Receiver<Option<DispatchError>> {
        self.0.subscribe()
    }

    pub fn any(&self) -> bool {
        self.0.borrow().is_some()
    }
}
