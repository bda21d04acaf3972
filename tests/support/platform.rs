//! A platform on loopback with a ledger: every payload it was sent, in order. Shared by tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What the platform says to the n-th request (from 0): the bytes of a whole answer.
pub type Script = dyn Fn(usize, &Received) -> Vec<u8> + Send + Sync;

/// The platform; its threads end with the process.
#[derive(Clone)]
pub struct Platform {
    pub address: SocketAddr,
    ledger: Arc<Mutex<Vec<Received>>>,
}

impl Platform {
    /// One that takes everything, as the ad platform's API says it.
    pub fn accepting() -> Platform {
        Platform::scripted(|_, _| answer(200, "", r#"{"events_received":1,"messages":[],"fbtrace_id":"T"}"#))
    }

    pub fn scripted(script: impl Fn(usize, &Received) -> Vec<u8> + Send + Sync + 'static) -> Platform {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Mutex::new(Vec::new()));
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&ledger));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, ledger) = (Arc::clone(&script), Arc::clone(&kept));
                std::thread::spawn(move || serve(stream, &script, &ledger));
            }
        });
        Platform { address, ledger }
    }

    pub fn received(&self) -> Vec<Received> {
        self.ledger.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.ledger.lock().unwrap().len()
    }
}

/// The bytes of an answer with a body.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Stand-in\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

fn serve(stream: TcpStream, script: &Arc<Script>, ledger: &Mutex<Vec<Received>>) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(received) = read(&mut reader) {
        let number = {
            let mut ledger = ledger.lock().unwrap();
            ledger.push(received.clone());
            ledger.len() - 1
        };
        if reader.get_mut().write_all(&script(number, &received)).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        if header == "\r\n" {
            break;
        }
        let (name, value) = header.trim_end().split_once(": ")?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line: line.trim_end().to_owned(), headers, body })
}
