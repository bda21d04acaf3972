//! What the HTTP/1.1 tests share: a real listener with a handler that keeps what it sees, and a raw client.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use parking_lot::Mutex;
use postbridge::http1::idle::Idle;
use postbridge::http1::memory::RequestMemory;
use postbridge::http1::target::RawHead;
use postbridge::http1::{ConnectionLimits, Handler, Refusal, exchange};
use postbridge::web::listen::{ListenSettings, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// One request as the handler saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub number: u64,
    pub line: Vec<u8>,
    pub target: Vec<u8>,
    pub handed: String,
    pub uri: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Keeps every request and refusal. A path beginning with `/slow` is answered once `release` rings, one
/// beginning with `/panic` never; one beginning with `/deaf` is answered without reading the body.
#[derive(Default)]
pub struct Recorder {
    pub seen: Mutex<Vec<Seen>>,
    pub refusals: Mutex<Vec<Refusal>>,
    pub release: Notify,
    pub entered: Notify,
    pub finished: Notify,
    /// Loopback peers are strangers like any others, with an address's share.
    pub strangers: bool,
}

impl Handler for Recorder {
    async fn handle(
        &self,
        request: Request<Incoming>,
        head: RawHead,
        _peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let uri = parts.uri.to_string();
        self.entered.notify_one();
        if uri.starts_with("/slow") {
            self.release.notified().await;
        }
        assert!(!uri.starts_with("/panic"), "asked to");
        let body = if uri.starts_with("/deaf") {
            Bytes::new()
        } else {
            body.collect().await.expect("a body handed on is whole").to_bytes()
        };
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        let path = head.path().as_bytes();
        let has_query = head.handed().contains(&b'?');
        let target = if has_query { [path, b"?", head.query()].concat() } else { path.to_vec() };
        let handed = String::from_utf8(head.handed().to_vec()).unwrap();
        let RawHead { number, line, .. } = head;
        self.seen.lock().push(Seen { number, line, target, handed, uri, headers, body: body.to_vec() });
        self.finished.notify_one();
        let answer = if parts.uri.path() == "/large" { vec![b'x'; 30_000_000] } else { b"ok".to_vec() };
        Response::new(Full::new(Bytes::from(answer)))
    }

    fn is_known(&self, path: &str) -> bool {
        path == "/known"
    }

    fn is_exempt(&self, peer: IpAddr) -> bool {
        peer.is_loopback() && !self.strangers
    }

    async fn refused(&self, refusal: Refusal, _peer: SocketAddr) {
        self.refusals.lock().push(refusal);
    }
}

/// A listener on a loopback port.
pub struct TestServer {
    pub address: SocketAddr,
    pub recorder: Arc<Recorder>,
    pub stop: watch::Sender<bool>,
    pub served: JoinHandle<()>,
}

/// A server with the default limits.
pub async fn server() -> TestServer {
    server_with(ListenSettings::default()).await
}

/// A server with other limits.
pub async fn server_limited(limits: ConnectionLimits) -> TestServer {
    server_with(ListenSettings { limits, ..ListenSettings::default() }).await
}

pub async fn server_with(settings: ListenSettings) -> TestServer {
    server_of(Recorder::default(), settings).await
}

/// A server at which loopback peers are strangers like any others.
pub async fn server_for_strangers(settings: ListenSettings) -> TestServer {
    server_of(Recorder { strangers: true, ..Recorder::default() }, settings).await
}

async fn server_of(recorder: Recorder, settings: ListenSettings) -> TestServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = Arc::new(recorder);
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(serve(listener, settings, Arc::clone(&recorder), stopped));
    TestServer { address, recorder, stop, served }
}

impl TestServer {
    pub async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection from another address of this machine, `127.0.0.{last}`.
    pub async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.recorder.seen.lock())
    }

    pub fn refusals(&self) -> Vec<Refusal> {
        std::mem::take(&mut self.recorder.refusals.lock())
    }

    /// Sends the bytes, shuts the sending side, and reads until the server closes.
    pub async fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        // The server may have closed already, having refused what was received before the end.
        let _already_closed = stream.shutdown().await;
        read_to_end(&mut stream).await
    }
}

/// Reads until the server closes; fails if it does not within ten seconds.
pub async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    read.expect("the server closes").expect("the answer arrives whole");
    bytes
}

/// Reads one answer with a Content-Length, head and body.
pub async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0u8; 1];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut byte)).await;
        if read.expect("an answer is sent").unwrap() == 0 {
            break;
        }
        bytes.extend_from_slice(&byte);
        if bytes.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let mut body = vec![0u8; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            bytes.extend_from_slice(&body);
            break;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// How many answers of a status are in what the server sent.
pub fn count(answers: &[u8], status: u16) -> usize {
    String::from_utf8_lossy(answers).matches(&format!("HTTP/1.1 {status} ")).count()
}

/// Whether an answer is one of our own refusals: the status, our form of errors, and a close.
pub fn is_own_refusal(answer: &[u8], status: u16) -> bool {
    let answer = String::from_utf8_lossy(answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let error = &body["error"];
    head.starts_with(&format!("HTTP/1.1 {status} "))
        && head.contains("Connection: close")
        && ["code", "message", "hint"].iter().all(|key| error[key].is_string())
}

/// A stream that yields its pieces one read at a time, with a pause before each, then ends.
pub struct Script {
    pieces: VecDeque<Vec<u8>>,
    paused: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let script = self.get_mut();
        script.paused = !script.paused;
        if script.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut piece) = script.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(&piece);
            if !rest.is_empty() {
                script.pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What was received of a script: the requests seen, the refusals, and what was answered.
pub struct Played {
    pub seen: Vec<Seen>,
    pub refusals: Vec<Refusal>,
    pub answers: Vec<u8>,
}

/// Serves one connection over any stream until it ends; what its handler kept.
pub async fn converse_over<T>(io: T, limits: ConnectionLimits) -> Arc<Recorder>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let recorder = Arc::new(Recorder::default());
    let server = exchange::ListenerContext {
        handler: Arc::clone(&recorder),
        memory: RequestMemory::new(limits.memory_bytes, limits.body_bytes),
        limits: Arc::new(limits),
        stopping: Arc::new(AtomicBool::new(false)),
        stopped: Notify::new(),
        is_https: false,
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let now = std::time::Instant::now();
    exchange::converse(Arc::new(server), io, (peer, None), Arc::new(Idle::new(now, now))).await;
    recorder
}

/// Plays pieces of bytes to one connection, without a socket.
pub async fn play(pieces: Vec<Vec<u8>>) -> Played {
    let written = Arc::new(Mutex::new(Vec::new()));
    let script = Script { pieces: pieces.into(), paused: false, written: Arc::clone(&written) };
    let served = converse_over(script, ConnectionLimits::default());
    let recorder = tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .expect("a connection ends when its client does");
    let (seen, refusals) = (recorder.seen.lock().clone(), recorder.refusals.lock().clone());
    Played { seen, refusals, answers: written.lock().clone() }
}

/// Plays the same pieces to hyper alone; the targets and bodies it saw.
pub async fn play_bare(pieces: Vec<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let script = Script { pieces: pieces.into(), paused: false, written: Arc::default() };
    let kept = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes().to_vec();
            kept.lock().push((parts.uri.to_string(), body));
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        }
    });
    let connection = http1::Builder::new().half_close(true).serve_connection(Plain(script), service);
    // What hyper makes of bad bytes is its own affair; what it saw before them is what counts.
    let _ended = tokio::time::timeout(Duration::from_secs(20), connection).await.expect("hyper ends too");
    std::mem::take(&mut *seen.lock())
}

/// The script for hyper without a wire between.
struct Plain(Script);

impl hyper::rt::Read for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = vec![0u8; into.remaining()];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        into.put_slice(buffer.filled());
        read
    }
}

impl hyper::rt::Write for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
