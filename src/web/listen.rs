//! Accepting connections: how many, over TLS or not, and how the listener stops.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, warn};

use super::connections::{Admission, Connections, PATIENCE, Seated};
use super::once_a_minute::OnceAMinute;
use super::per_address::home_of;
use super::tls::TlsSettings;
use crate::clock;
use crate::domain::address::is_visitors;
use crate::http1::exchange::{ListenerContext, converse};
use crate::http1::memory::RequestMemory;
use crate::http1::{ConnectionLimits, Handler};

/// After a failed accept (out of file descriptors, mostly) the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// A TLS handshake must be done within this.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How a listener serves.
#[derive(Clone)]
pub struct ListenSettings {
    /// What one connection may ask for.
    pub limits: ConnectionLimits,
    /// The most connections at a time. At the cap the longest idle one is closed for the next; where none is
    /// idle, newcomers wait in the kernel's queue until one ends, instead of losing their postback.
    pub connections: usize,
    /// TLS, where the listener speaks it.
    pub tls: Option<TlsSettings>,
    /// How long requests in flight may take after the stop; then their connections are cut.
    pub grace: Duration,
}

impl Default for ListenSettings {
    fn default() -> ListenSettings {
        ListenSettings {
            limits: ConnectionLimits::default(),
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
    let endpoint = Arc::new(ListenerContext {
        handler,
        memory: RequestMemory::new(settings.limits.memory_bytes, settings.limits.body_bytes),
        is_https: settings.tls.is_some(),
        limits: Arc::new(settings.limits),
        stopping: Arc::new(AtomicBool::new(false)),
        stopped: Notify::new(),
    });
    let mut entry = Entrance::new(settings.connections);
    let mut connections = JoinSet::new();
    loop {
        let now = clock::stopwatch();
        entry.log(now);
        if let Some((stream, peer, seated)) = entry.seat(endpoint.handler.as_ref(), now) {
            connections.spawn(welcome(Arc::clone(&endpoint), settings.tls.clone(), (stream, peer), seated));
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next() => report(&ended),
            () = pause(entry.pauses_until(now)) => entry.go_on(clock::stopwatch()),
            accepted = listener.accept(), if entry.may_accept() => entry.take(accepted),
        }
    }
    drop(listener);
    endpoint.stopping.store(true, Ordering::Release);
    endpoint.stopped.notify_waiters();
    finish(connections, settings.grace).await;
}

/// Sleeps until then; for ever where there is nothing to wait for.
async fn pause(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// The way in: a newcomer that has no place yet, and what is said of those who get none.
struct Entrance {
    connections: Arc<Connections>,
    /// Accepted, and not yet seated: all places were taken, or it has just been accepted.
    newcomer: Option<(TcpStream, SocketAddr)>,
    /// After a failed accept.
    rests_until: Option<Instant>,
    failed: OnceAMinute,
    error: Option<io::Error>,
    full: OnceAMinute,
    over_share: OnceAMinute,
    /// The last address that had its share.
    over_share_of: Option<IpAddr>,
}

impl Entrance {
    fn new(most: usize) -> Entrance {
        Entrance {
            connections: Connections::new(most, clock::stopwatch()),
            newcomer: None,
            rests_until: None,
            failed: OnceAMinute::default(),
            error: None,
            full: OnceAMinute::default(),
            over_share: OnceAMinute::default(),
            over_share_of: None,
        }
    }

    fn may_accept(&self) -> bool {
        self.newcomer.is_none() && self.rests_until.is_none()
    }

    fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        match accepted {
            Ok(newcomer) => self.newcomer = Some(newcomer),
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                // Out of file descriptors or memory: trying again at once would only burn the processor.
                let now = clock::stopwatch();
                self.connections.displace(now);
                self.rests_until = Some(now + ACCEPT_REST);
                self.failed.note();
                self.error = Some(error);
            }
        }
    }

    /// The newcomer with its place, if it has one. One whose address has its share is closed without a word.
    fn seat<H: Handler>(&mut self, handler: &H, now: Instant) -> Option<(TcpStream, SocketAddr, Seated)> {
        let (stream, peer) = self.newcomer.take()?;
        let address = peer.ip().to_canonical();
        let home = (!handler.is_exempt(address)).then(|| home_of(address));
        match self.connections.admit(home, now) {
            Admission::Seated(seated) => {
                if seated.is_at_share {
                    self.note_over_share(address);
                }
                Some((stream, peer, seated))
            }
            Admission::Full { displaced } => {
                if displaced {
                    self.full.note();
                }
                self.newcomer = Some((stream, peer));
                None
            }
            Admission::OverShare => {
                self.note_over_share(address);
                metrics::counter!("postbridge_connections_closed_total", "which" => "new").increment(1);
                None
            }
        }
    }

    fn note_over_share(&mut self, address: IpAddr) {
        self.over_share.note();
        self.over_share_of = Some(address);
    }

    /// Until when nothing is accepted, or when there is something to say.
    fn pauses_until(&self, now: Instant) -> Option<Instant> {
        let waits = self.newcomer.as_ref().map(|_| now + PATIENCE);
        let lines = [&self.failed, &self.full, &self.over_share].map(|line| line.due_at(now));
        lines.into_iter().chain([waits, self.rests_until]).flatten().min()
    }

    fn go_on(&mut self, now: Instant) {
        self.rests_until = self.rests_until.filter(|until| *until > now);
    }

    fn log(&mut self, now: Instant) {
        if let Some(times) = self.failed.take(now) {
            let error = self.error.take().map(|error| error.to_string()).unwrap_or_default();
            warn!(%error, times, "connections could not be accepted; raise the limit of open files if that is it");
        }
        if let Some(times) = self.full.take(now) {
            warn!(
                times,
                "all [server] max_connections were taken: those that wait for their clients are closed for new \
                 ones, the idle ones first"
            );
        }
        if let Some(times) = self.over_share.take(now) {
            let fix = self.over_share_of.take().map(over_share_fix).unwrap_or_default();
            warn!(
                times,
                "an address had its share of [server] max_connections, an eighth: its idle ones are closed for \
                 its new ones, or the new ones are{fix}"
            );
        }
    }
}

/// What the operator may do about an address that had its share. Visitors' addresses are not logged; one that is
/// no visitor's is a proxy, mostly.
pub fn over_share_fix(address: IpAddr) -> String {
    match is_visitors(address) {
        true => "; if it is a proxy of yours, declare it under trusted_proxies".to_owned(),
        false => format!(
            ": {address}; if it is a proxy, declare it under [server], with those that are there already: \
             trusted_proxies = [\"{address}\"]"
        ),
    }
}

async fn welcome<H: Handler>(
    endpoint: Arc<ListenerContext<H>>,
    tls: Option<TlsSettings>,
    (stream, peer): (TcpStream, SocketAddr),
    seated: Seated,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "connection lost before it began");
        return;
    }
    let (idle, home) = (Arc::clone(&seated.idle), seated.home);
    let Some(tls) = tls else {
        return converse(endpoint, stream, (peer, home), idle).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream));
    tokio::select! {
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => converse(endpoint, stream, (peer, home), idle).await,
            Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
            Err(_) => debug!("TLS handshake took too long"),
        },
        () = idle.left() => debug!("a TLS handshake ended for another connection"),
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

/// A connection's task ends or is cut; a panic in it is our fault and must be seen.
fn report(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a connection's task panicked");
    }
}
