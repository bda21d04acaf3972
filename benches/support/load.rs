//! A closed-loop load generator: N keep-alive connections on one thread, each asking again when answered.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a run became.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub answered: u64,
    /// Answers that were neither 200 nor 302.
    pub failed: u64,
}

/// How long, or how many.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Time(Duration),
    Count(u64),
    /// So long, and on each connection one request in every such time at most.
    Paced(Duration, Duration),
}

/// Writes the n-th request into a buffer.
type Writes = Arc<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;

/// Runs `connections` against a loopback port. `request` writes the n-th request into a buffer.
pub fn run(
    port: u16,
    connections: usize,
    until: Until,
    request: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request: Writes = Arc::new(request);
    runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..connections {
            tasks.push(tokio::spawn(connection(
                port,
                until,
                started,
                Arc::clone(&next),
                Arc::clone(&request),
            )));
        }
        let (mut times, mut failed) = (Vec::new(), 0);
        for task in tasks {
            let (mine, bad) = task.await.unwrap();
            times.extend(mine);
            failed += bad;
        }
        let took = started.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |part: f64| {
            times.get((times.len() as f64 * part) as usize).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
        };
        Figures {
            per_second: times.len() as f64 / took,
            p50_ms: at(0.50),
            p99_ms: at(0.99),
            answered: times.len() as u64,
            failed,
        }
    })
}

async fn connection(
    port: u16,
    until: Until,
    started: Instant,
    next: Arc<AtomicU64>,
    request: Writes,
) -> (Vec<u32>, u64) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut times, mut failed) = (Vec::with_capacity(16_384), 0);
    // Only a paced run spends a number on each connection: a counted one is to make them all.
    let paced = matches!(until, Until::Paced(..));
    let mut pace = paced.then(|| pace(until, next.fetch_add(1, Ordering::Relaxed))).flatten();
    let (mut out, mut input) = (Vec::with_capacity(1024), vec![0u8; 16_384]);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        match until {
            Until::Time(limit) | Until::Paced(limit, _) if started.elapsed() >= limit => break,
            Until::Count(limit) if number >= limit => break,
            _ => {}
        }
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        out.clear();
        request(number, &mut out);
        let asked = Instant::now();
        stream.write_all(&out).await.unwrap();
        if !answered_ok(&mut stream, &mut input).await {
            failed += 1;
        }
        times.push(asked.elapsed().as_micros() as u32);
    }
    (times, failed)
}

/// The beat of the n-th connection, if there is one: the connections do not beat together.
fn pace(until: Until, connection: u64) -> Option<tokio::time::Interval> {
    let Until::Paced(_, every) = until else { return None };
    let shift = every.mul_f64((connection as f64 * 0.618_034).fract());
    let mut pace = tokio::time::interval_at(tokio::time::Instant::now() + shift, every);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    Some(pace)
}

/// Reads one answer whole; says whether it was a 200 or a 302.
async fn answered_ok(stream: &mut tokio::net::TcpStream, input: &mut [u8]) -> bool {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut input[filled..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        filled += read;
        let Some(head) = input[..filled].windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&input[..head]).unwrap();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        if filled >= head + 4 + length.unwrap_or(0) {
            return text.starts_with("HTTP/1.1 200") || text.starts_with("HTTP/1.1 302");
        }
    }
}

/// One request on its own connection; the answer's text, if there was one.
pub fn get_once(port: u16, path: &str) -> Option<String> {
    ask_once(port, format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes())
}

/// Raw bytes on their own connection; the answer's text, if there was one.
pub fn ask_once(port: u16, bytes: &[u8]) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(bytes).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8(answer).ok()
}
