//! What ends dispatch as a whole.

use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::ids::DeliveryId;
use crate::domain::target::TargetId;
use crate::send::client::ClientError;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::Outage;

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
pub struct Faults {
    first: watch::Sender<Option<DispatchError>>,
    /// Of the store, as all workers see it: that is no fault.
    outage: Arc<Outage>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { first: watch::channel(None).0, outage: Arc::default() }
    }
}

impl Faults {
    /// Takes note of how an operation of the store went; a failure of the whole store is a fault. Answers whether
    /// the store is only unavailable: then the operation is to be asked for again later.
    pub fn note<T>(&self, done: &Result<T, StoreError>) -> bool {
        let is_unavailable = self.outage.note(done);
        if let Err(cause) = done
            && !is_unavailable
        {
            self.raise(DispatchError::Store(cause.clone()));
        }
        is_unavailable
    }

    pub fn raise(&self, fault: DispatchError) {
        self.first.send_if_modified(|known| {
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
        self.first.subscribe()
    }

    pub fn any(&self) -> bool {
        self.first.borrow().is_some()
    }
}
