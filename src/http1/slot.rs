//! What a connection's two halves exchange: the wire below hyper and the service above it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Handler;
use super::idle::Idle;
use super::refusal::HttpRefusal;
use super::target::RawHead;

/// One connection's slot. Both halves run in the same task; nothing here is ever waited for.
pub struct ConnectionSlot {
    head: Mutex<Option<RawHead>>,
    answered: AtomicBool,
    stopping: Arc<AtomicBool>,
    idle: Arc<Idle>,
}

impl ConnectionSlot {
    /// A slot of a connection whose listener stops when `stopping` turns true.
    pub fn new(stopping: Arc<AtomicBool>, idle: Arc<Idle>) -> ConnectionSlot {
        ConnectionSlot { head: Mutex::new(None), answered: AtomicBool::new(false), stopping, idle }
    }

    /// Where the wire notes whether the connection rests.
    pub fn idle(&self) -> &Idle {
        &self.idle
    }

    /// The wire leaves the head of the request it is about to hand on.
    pub fn put(&self, head: RawHead) {
        *self.head.lock() = Some(head);
    }

    /// The service takes the head of its own request; there is none if hyper saw a request we did not.
    pub fn take(&self) -> Option<RawHead> {
        self.head.lock().take()
    }

    /// The service has made its answer; hyper writes it next.
    pub fn answer(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Whether the answer to the request at hand was made, and is not written yet.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// Whether an answer was made since the last call.
    pub fn take_answered(&self) -> bool {
        self.is_answered() && self.answered.swap(false, Ordering::AcqRel)
    }

    /// Whether the connection is to end in the middle of what it does: another needs the place.
    pub fn is_cut(&self) -> bool {
        self.idle.is_cut()
    }

    /// Whether the connection is to end: the listener stops, or another needs the place. The next answer is
    /// its last.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.idle.is_leaving()
    }
}

/// The sender of one connection's requests, about whom the wire asks the service: what it needs to know of a
/// request whose head is read, and whose body is not. Questions are about a path, and a raw head.
pub trait SenderPolicy: Send + Sync {
    /// The largest body in bytes that is taken, where the listener's own limit is less.
    ///
    /// # Errors
    /// What is answered instead, where nothing larger is taken for another reason than its size.
    fn larger_body(&self, path: &str, head: &[u8]) -> Result<Option<usize>, HttpRefusal>;

    /// Whether it is known, by a key in the path.
    fn is_known(&self, path: &str) -> bool;
}

/// A peer, as the listener's handler knows it.
pub struct Peer<H> {
    pub handler: Arc<H>,
    pub address: SocketAddr,
}

impl<H: Handler> SenderPolicy for Peer<H> {
    fn larger_body(&self, path: &str, head: &[u8]) -> Result<Option<usize>, HttpRefusal> {
        self.handler.larger_body(path, head, self.address)
    }

    fn is_known(&self, path: &str) -> bool {
        self.handler.is_known(path)
    }
}
