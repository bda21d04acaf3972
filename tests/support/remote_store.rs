//! A store that can be made not to answer for a while: as one that is reached over a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::{Store, StoreFuture};
use tokio::sync::watch;

use crate::support::store_hook::{HookedStore, StoreHook};

/// Another store behind a connection that tests cut.
pub type RemoteStore = HookedStore<Connection>;

pub struct Connection {
    store: Arc<dyn Store>,
    state: watch::Sender<ConnectionState>,
    /// How often it was asked while it did not answer.
    asked: AtomicUsize,
}

#[derive(Clone, Copy)]
enum ConnectionState {
    Up,
    /// It is known that there is none.
    Cut,
    /// What is asked is not answered as long as this lasts.
    Silent,
}

impl RemoteStore {
    pub fn of(store: Arc<dyn Store>) -> Arc<RemoteStore> {
        let state = watch::Sender::new(ConnectionState::Up);
        Arc::new(HookedStore(Connection { store, state, asked: AtomicUsize::new(0) }))
    }
}

impl Connection {
    pub fn cut(&self) {
        self.state.send_replace(ConnectionState::Cut);
    }

    /// Nothing that is asked is answered, until it is known that there is no connection, or a new one.
    pub fn silence(&self) {
        self.state.send_replace(ConnectionState::Silent);
    }

    pub fn reconnect(&self) {
        self.state.send_replace(ConnectionState::Up);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl StoreHook for Connection {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        let is_up = matches!(*self.state.borrow(), ConnectionState::Up);
        if is_up {
            return ask(&*self.store);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.subscribe();
        Box::pin(async move {
            // It fails when the test is over.
            let _ = state.wait_for(|state| !matches!(state, ConnectionState::Silent)).await;
            Err(StoreError::Unavailable { cause: "the connection is lost".to_owned() })
        })
    }
}
