//! Accepting connections: how many, over TLS or not, and how the listener stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, warn};

use super::tls::TlsSettings;
use super::wire::exchange::{Door, converse};
use super::wire::{Handler, Limits};

/// After a failed accept (out of file descriptors, mostly) the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// A TLS handshake must be done within this.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How a listener serves.
#[derive(Clone)]
pub struct ListenSettings {
    /// What one connection may ask for.
    pub limits: Limits,
    /// The most connections at a time. At the cap the listener stops accepting: newcomers wait in the
    /// kernel's queue and are served when a slot falls free, instead of losing their postback.
    pub connections: usize,
    /// TLS, where the listener speaks it.
    pub tls: Option<TlsSettings>,
    /// How long requests in flight may take after the stop; then their connections are cut.
    pub grace: Duration,
}

impl Default for ListenSettings {
    fn default() -> ListenSettings {
        ListenSettings {
            limits: Limits::default(),
            connections: 10_000,
            tls: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves `listener` until `stop` turns true or its sender is gone, then stops accepting, lets the
/// requests in flight finish within the grace, and returns when every connection is closed.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    settings: ListenSettings,
    handler: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let door = Arc::new(Door {
        handler,
        limits: Arc::new(settings.limits),
        stopping: Arc::new(AtomicBool::new(false)),
        stopped: Notify::new(),
    });
    let slots = Arc::new(Semaphore::new(settings.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next() => {
                report(&ended);
                continue;
            }
            accepted = accept(&listener, &slots) => accepted,
        };
        if let Some((slot, stream, peer)) = accepted {
            let (door, tls) = (Arc::clone(&door), settings.tls.clone());
            connections.spawn(async move {
                welcome(door, tls, stream, peer).await;
                drop(slot);
            });
        }
    }
    drop(listener);
    door.stopping.store(true, Ordering::Release);
    door.stopped.notify_waiters();
    finish(connections, settings.grace).await;
}

/// Waits for a free slot, then for a connection; `None` where none came of it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((slot, stream, peer)),
        Err(error) => {
            use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
            let is_the_clients =
                matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted);
            if !is_the_clients {
                // Out of file descriptors or memory: trying again at once would only burn the processor.
                warn!(%error, "cannot accept connections at the moment");
                tokio::time::sleep(ACCEPT_REST).await;
            }
            None
        }
    }
}

async fn welcome<H: Handler>(
    door: Arc<Door<H>>,
    tls: Option<TlsSettings>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "connection lost before it began");
        return;
    }
    let Some(tls) = tls else {
        return converse(door, stream, peer).await;
    };
    match tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => converse(door, stream, peer).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

async fn finish(mut connections: JoinSet<()>, grace: Duration) {
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            report(&ended);
        }
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        warn!(open = connections.len(), "connections still open after the grace are cut");
        connections.shutdown().await;
    }
}

/// A connection's task ends by itself or by being cut; a panic in it is our fault and must be seen.
fn report(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a connection's task panicked");
    }
}
