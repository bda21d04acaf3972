//! A caller that asks again, on the spot, until a store takes what is to be written.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use postbridge::store::contract::conformance::fixture::received::entered;
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::{Store, StoreFuture};
use tokio::task::unconstrained;

use crate::support::store_hook::{HookedStore, StoreHook};

/// A store whose caller asks again as long as it is refused for the time being, before anything else is asked: so what
/// is asked in an order is taken in that order.
pub type PatientCaller = HookedStore<Patience>;

pub struct Patience {
    store: Box<dyn Store>,
    /// How often it was refused.
    refused: AtomicUsize,
}

impl PatientCaller {
    pub fn of(store: impl Store) -> Arc<PatientCaller> {
        Arc::new(HookedStore(Patience { store: Box::new(store), refused: AtomicUsize::new(0) }))
    }
}

impl Patience {
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl StoreHook for Patience {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Asks until what is to be written is taken. A refusal for the time being is answered at once.
    fn write<'a, T: Send + 'a>(
        &'a self,
        ask: impl Fn(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        let _entered = entered();
        loop {
            let mut answer = ask(&*self.store);
            // Asking often must not look as if the answer were not there yet.
            let polled = pin!(unconstrained(&mut answer)).poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(Err(StoreError::Unavailable { .. })) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                }
                Poll::Ready(done) => return Box::pin(std::future::ready(done)),
                Poll::Pending => return answer,
            }
        }
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        ask(&*self.store)
    }
}
