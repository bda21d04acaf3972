//! Stores whose answers about arrivals are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postbridge::store::contract::arrival::{Arrival, Receipt};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::{Store, StoreFuture};

use crate::support::store_hook::{HookedStore, StoreHook};

/// A store that is asked for every arrival twice, as by a caller whose first answer was lost.
pub struct LostAnswers {
    store: Box<dyn Store>,
}

impl LostAnswers {
    pub fn of(store: impl Store) -> Arc<HookedStore<LostAnswers>> {
        Arc::new(HookedStore(LostAnswers { store: Box::new(store) }))
    }
}

impl StoreHook for LostAnswers {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        // What was asked is done, also where no one waits for it.
        drop(self.store.arrive(arrival.clone()));
        self.store.arrive(arrival)
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        ask(&*self.store)
    }
}

/// A store whose first answer about an arrival is lost: its caller hears of that, once it is written.
pub struct FirstAnswerLost {
    store: Arc<dyn Store>,
    is_lost: AtomicBool,
}

impl FirstAnswerLost {
    pub fn of(store: Arc<dyn Store>) -> HookedStore<FirstAnswerLost> {
        HookedStore(FirstAnswerLost { store, is_lost: AtomicBool::new(false) })
    }
}

impl StoreHook for FirstAnswerLost {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        Box::pin(async move {
            let answer = self.store.arrive(arrival).await;
            if self.is_lost.swap(true, Ordering::SeqCst) {
                return answer;
            }
            Err(StoreError::Unavailable { cause: "the connection is lost".to_owned() })
        })
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        ask(&*self.store)
    }
}
