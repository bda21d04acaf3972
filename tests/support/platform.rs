//! A platform that is not there: a loopback HTTP server on a thread of its own that does what a test's script says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};

/// A request as the platform read it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The request line.
    pub line: String,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Counts from 0 over all connections.
    pub number: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the platform does with a request that it has read whole.
#[derive(Debug, Clone)]
pub enum Act {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Says nothing until the other side leaves.
    Hang,
    /// Resets the connection without a word.
    Reset,
    /// Begins an answer of 1000 bytes, sends 10 and closes.
    BreakOff,
    /// Sends bytes that are no HTTP.
    Garbage,
    /// Answers 200 and never ends its body.
    Endless,
    /// Answers 200 and sends one byte of its body now and then, for ever.
    Drip,
    /// Waits, then does the other.
    After(Duration, Box<Act>),
    /// Waits until the test opens the gate, then does the other.
    Behind(Gate, Box<Act>),
}

impl Act {
    pub fn ok(body: &str) -> Act {
        Act::status(200, body)
    }

    pub fn status(status: u16, body: &str) -> Act {
        Act::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub fn with_header(self, name: &str, value: &str) -> Act {
        match self {
            Act::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Act::Answer { status, headers, body }
            }
            other => other,
        }
    }
}

/// Keeps answers back until it is opened.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub fn shut() -> Gate {
        Gate(Arc::new(Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.close();
    }
}

type Script = Arc<dyn Fn(&Received) -> Act + Send + Sync>;

/// The running platform. It stops when it is dropped.
pub struct Platform {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Received>>,
    connections: Mutex<usize>,
    /// The requests that wait for their answer, and the most that did at once.
    unanswered: Mutex<(usize, usize)>,
    news: Notify,
}

impl Platform {
    /// One that takes everything, as the ad platform's API says it.
    pub fn accepting() -> Platform {
        Platform::start(|_| Act::ok(r#"{"events_received":1,"messages":[],"fbtrace_id":"T"}"#))
    }

    /// Starts on a free loopback port.
    pub fn start(script: impl Fn(&Received) -> Act + Send + Sync + 'static) -> Platform {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            received: Mutex::default(),
            connections: Mutex::default(),
            unanswered: Mutex::default(),
            news: Notify::new(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, kept) => {}
                    _ = stopped => {}
                }
            });
        });
        Platform { address, shared, _stop: stop }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on the platform does this.
    pub fn script(&self, script: impl Fn(&Received) -> Act + Send + Sync + 'static) {
        *self.shared.script.lock() = Arc::new(script);
    }

    /// Every request so far, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.received.lock().len()
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }

    /// The most requests that waited for their answer at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.unanswered.lock().1
    }

    /// Waits until `count` requests have come; fails the test after 10 s.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = async {
            loop {
                let news = self.shared.news.notified();
                if self.count() >= count {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(20), news).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), enough).await;
        assert!(seen.is_ok(), "only {} of {count} requests were received", self.count());
        self.received()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with the platform.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        *shared.connections.lock() += 1;
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // An end of the connection is the script's or the client's choice, not a fault.
            let _ = serve(stream, shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(mut received) = read_request(&mut stream, &mut buffer).await? {
        let act = {
            let mut all = shared.received.lock();
            received.number = all.len();
            all.push(received.clone());
            let script = Arc::clone(&shared.script.lock());
            drop(all);
            script(&received)
        };
        {
            let mut unanswered = shared.unanswered.lock();
            unanswered.0 += 1;
            unanswered.1 = unanswered.1.max(unanswered.0);
        }
        shared.news.notify_waiters();
        let act = waited(act).await;
        shared.unanswered.lock().0 -= 1;
        if !perform(&mut stream, act).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// What is to be done once what the script waits for is over.
async fn waited(mut act: Act) -> Act {
    loop {
        act = match act {
            Act::After(wait, then) => {
                tokio::time::sleep(wait).await;
                *then
            }
            // A semaphore without permits: waiting for one ends when it is closed, and only then.
            Act::Behind(gate, then) => {
                assert!(gate.0.acquire().await.is_err());
                *then
            }
            act => return act,
        };
    }
}

/// Does what the script says; answers whether the connection goes on.
async fn perform(stream: &mut TcpStream, act: Act) -> std::io::Result<bool> {
    match act {
        Act::After(..) | Act::Behind(..) => unreachable!("it is waited for before"),
        Act::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} As Scripted\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
            return Ok(true);
        }
        Act::Hang => {
            let mut rest = [0u8; 64];
            while stream.read(&mut rest).await? > 0 {}
        }
        Act::Reset => stream.set_zero_linger()?,
        Act::BreakOff => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"events_r").await?;
        }
        Act::Garbage => stream.write_all(b"\x00\x01\x02 this is not the web \xff\xfe\r\n\r\n").await?,
        Act::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 16 * 1024]).await?;
            }
        }
        Act::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await?;
            loop {
                stream.write_all(b".").await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    Ok(false)
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or("");
    let mut first = line.split(' ').map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let received = Received {
        line: line.to_owned(),
        method: first.next().unwrap_or_default(),
        target: first.next().unwrap_or_default(),
        headers,
        body: Vec::new(),
        number: 0,
    };
    let length: usize = received.header("content-length").map_or(0, |text| text.parse().unwrap());
    while buffer.len() < head_end + 4 + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end + 4..head_end + 4 + length].to_vec();
    buffer.drain(..head_end + 4 + length);
    Ok(Some(Received { body, ..received }))
}
