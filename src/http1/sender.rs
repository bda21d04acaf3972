//! What a connection asks about the sender of a request whose head is read, and whose body is not.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Handler;
use super::fault::Fault;

/// The sender of one connection's requests. Questions are about a target, and a raw head.
pub trait Sender: Send + Sync {
    /// The largest body in bytes that is taken, where the listener's own limit is less.
    ///
    /// # Errors
    /// What is answered instead, where nothing larger is taken for another reason than its size.
    fn larger_body(&self, target: &[u8], head: &[u8]) -> Result<Option<usize>, Fault>;

    /// Whether it is known, by a key in the target.
    fn is_known(&self, target: &[u8]) -> bool;
}

/// A peer, as the listener's handler knows it.
pub struct Peer<H> {
    pub handler: Arc<H>,
    pub address: SocketAddr,
}

impl<H: Handler> Sender for Peer<H> {
    fn larger_body(&self, target: &[u8], head: &[u8]) -> Result<Option<usize>, Fault> {
        self.handler.larger_body(target, head, self.address)
    }

    fn is_known(&self, target: &[u8]) -> bool {
        self.handler.is_known(target)
    }
}
