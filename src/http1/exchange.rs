//! One connection from its first byte to its last: hyper above the wire, then the closing words.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tracing::{debug, error};

use super::idle::Idle;
use super::io::{HyperStream, REFUSED_BYTES};
use super::memory::RequestMemory;
use super::refusal::HttpRefusal;
use super::slot::{ConnectionSlot, Peer};
use super::target::RawHead;
use super::{ConnectionLimits, Handler, Refusal};
use crate::clock;

/// After the last answer, a client may go on sending this long before the connection is cut…
const LINGER: Duration = Duration::from_secs(3);
/// …and this much. Closing on unread bytes would reset the connection, and the answer with it.
const LINGER_BYTES: usize = 1024 * 1024;

/// What all connections of one listener share.
pub struct ListenerContext<H> {
    /// Who answers.
    pub handler: Arc<H>,
    /// What a connection may ask for.
    pub limits: Arc<ConnectionLimits>,
    /// True once the listener stops; set before `stopped` rings.
    pub stopping: Arc<AtomicBool>,
    /// Wakes idle connections when the listener stops.
    pub stopped: Notify,
    /// What the requests that are being received take.
    pub memory: Arc<RequestMemory>,
    /// Whether the listener speaks TLS.
    pub is_https: bool,
}

/// Serves one connection until it ends. `home`: the address against whose share it counts, if any. `idle` is
/// informed when it rests, and may ask it to end.
pub async fn converse<H, T>(
    endpoint: Arc<ListenerContext<H>>,
    io: T,
    (peer, home): (SocketAddr, Option<IpAddr>),
    idle: Arc<Idle>,
) where
    H: Handler,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let slot = Arc::new(ConnectionSlot::new(Arc::clone(&endpoint.stopping), Arc::clone(&idle)));
    let sender = Box::new(Peer { handler: Arc::clone(&endpoint.handler), address: peer });
    let wire = HyperStream::new(
        io,
        Arc::clone(&endpoint.limits),
        sender,
        (Arc::clone(&slot), endpoint.memory.part(home)),
    );
    // Counted for this connection alone: the endpoint's own count would be fought over by every request.
    let handler = Arc::clone(&endpoint.handler);
    let upper = Arc::new(HyperHalf { handler, slot, peer, is_https: endpoint.is_https });
    let service = service_fn(|request| {
        let upper = Arc::clone(&upper);
        async move { Ok::<_, Infallible>(upper.answer(request).await) }
    });
    let mut connection = http1::Builder::new().header_read_timeout(None).serve_connection(wire, service);
    let mut stopped = pin!(endpoint.stopped.notified());
    let mut listens = false;
    let ended = poll_fn(|cx| {
        // One poll leaves our waker with the bell; the wire itself looks whether the listener stops.
        if !listens {
            listens = true;
            let _rung = stopped.as_mut().poll(cx);
            idle.register(cx.waker());
        }
        Pin::new(&mut connection).poll(cx)
    })
    .await;
    if let Err(error) = &ended {
        // By design hyper has nothing to refuse; where it does, the two parsers differ.
        if error.is_parse() {
            let _hyper_has_answered = upper.refuse(upper.slot.take()).await;
        } else {
            debug!(%error, "connection ended early");
        }
    }
    let (io, refused, unread) = connection.into_parts().io.into_rest();
    let mut answer = Vec::new();
    let lingers = unread || refused.is_some();
    if let Some(mut refusal) = refused {
        refusal.why = endpoint.handler.refusal_for(refusal.why);
        answer = refusal.why.answer(refusal.line.starts_with(b"HEAD "), endpoint.is_https);
        endpoint.handler.refused(refusal, peer).await;
    }
    // What was asked to leave before has its last answer in flight.
    let may_be_cut = !idle.is_leaving() || idle.is_cut();
    idle.rest(clock::stopwatch());
    tokio::select! {
        biased;
        () = take_leave(io, &answer, lingers) => {}
        () = idle.left(), if may_be_cut => debug!("a connection's place was needed while it closed"),
    }
}

/// Says the last words, if any, and closes so that the last answer arrives.
async fn take_leave<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, answer: &[u8], lingers: bool) {
    let last_words = async {
        io.write_all(answer).await?;
        io.shutdown().await?;
        let mut read = 0;
        let mut bin = [0u8; 4096];
        while lingers && read < LINGER_BYTES {
            match io.read(&mut bin).await? {
                0 => break,
                more => read += more,
            }
        }
        std::io::Result::Ok(())
    };
    match tokio::time::timeout(LINGER, last_words).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "connection lost while closing"),
    }
}

/// The half of a connection above hyper.
struct HyperHalf<H> {
    handler: Arc<H>,
    slot: Arc<ConnectionSlot>,
    peer: SocketAddr,
    is_https: bool,
}

impl<H: Handler> HyperHalf<H> {
    /// Answers one request that hyper read, if it is the one that was handed on.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = match self.slot.take() {
            Some(head) if is_same(&request, &head) => {
                let handled = AssertUnwindSafe(self.handler.handle(request, head, self.peer));
                handled.catch_unwind().await.unwrap_or_else(|_panic| {
                    error!("a request's handler panicked");
                    HttpRefusal::BROKEN.response(self.is_https)
                })
            }
            head => self.refuse(head).await,
        };
        if self.slot.is_stopping() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.slot.answer();
        response
    }

    async fn refuse(&self, head: Option<RawHead>) -> Response<Full<Bytes>> {
        error!("hyper does not read a request as the wire handed it on");
        let why = self.handler.refusal_for(HttpRefusal::NOT_AS_READ);
        // Without a head nothing is known of the request but that it was there.
        let mut line = head.map_or_else(Vec::new, |head| head.line);
        line.truncate(REFUSED_BYTES);
        self.handler.refused(Refusal { why, line }, self.peer).await;
        why.response(self.is_https)
    }
}

/// Whether hyper's target is, byte for byte, the one it was handed.
fn is_same(request: &Request<Incoming>, head: &RawHead) -> bool {
    let uri = request.uri();
    uri.scheme().is_none()
        && uri.authority().is_none()
        && uri.path_and_query().is_some_and(|target| target.as_str().as_bytes() == head.handed())
}
