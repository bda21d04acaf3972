//! How a store says that something may be new, without a word on what: who hears it looks.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::domain::target::TargetId;

/// What a store signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalOf {
    /// A target may have new work, also by other rules: see [`Store::claim`](crate::store::contract::Store::claim).
    Work(TargetId),
    /// Postbacks may be there to be reprocessed: see
    /// [`Store::reversals_ready`](crate::store::contract::Store::reversals_ready).
    Reversals,
}

/// A signal from a store to the one who waits for it. Clones share it. Any engine can make one, from what its
/// database notifies it of or from a timer: a signal too many costs a look, and one too few is made up for by
/// looking now and then.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    bell: Arc<Notify>,
}

impl Subscription {
    /// Something may be new. Where no one waits, the next wait ends at once; several signals before it count as one.
    pub fn signal(&self) {
        self.bell.notify_one();
    }

    /// Waits until something may be new since the last wait ended. Dropping the wait loses no signal.
    pub async fn signalled(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Subscription;

    fn is_signalled(subscription: &Subscription) -> bool {
        let mut wait = pin!(subscription.signalled());
        wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn signals_between_two_waits_end_the_next_one_once() {
        let (engine, caller) = {
            let one = Subscription::default();
            (one.clone(), one)
        };
        assert!(!is_signalled(&caller));
        engine.signal();
        engine.signal();
        assert!(is_signalled(&caller));
        assert!(!is_signalled(&caller));
    }

    #[test]
    fn a_wait_that_is_dropped_leaves_its_signal_to_the_next() {
        let subscription = Subscription::default();
        {
            let mut dropped = pin!(subscription.signalled());
            assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            subscription.signal();
        }
        assert!(is_signalled(&subscription));
    }
}
