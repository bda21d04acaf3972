//! A built `postbridge serve` as a child process, and plain sockets to talk to it. Shared by tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::openapi_check;

/// The API token that [`Relay`]s are configured with.
pub const TOKEN: &str = "test-token-0123456789";
/// The postback key that [`Relay`]s are configured with.
pub const KEY: &str = "test-key-0123456789";

/// A relay that runs; killed when dropped.
pub struct Relay {
    child: Child,
    pub address: SocketAddr,
}

/// How to start one.
pub struct Setup {
    pub folder: PathBuf,
    /// Further lines of `[server]`.
    pub server: String,
    /// Further lines of `[store]`.
    pub store: String,
    /// Appended to the configuration: sources and destinations.
    pub extra: String,
    pub env: Vec<(String, String)>,
}

/// A campaign of an offer, as a configuration has it; what is written behind it belongs to the campaign.
pub const CAMPAIGN: &str = r#"
[[affiliate]]
id = "200"
name = "Example Media"

[[offer]]
id = "565"
name = "Example offer"
advertiser = "31"
url = "https://advertiser.example/lp?cid={click_id}&s1={s1}"
currency = "USD"
payout = "7.00"
report_by = ["api", "pixel", "server"]
report_from = ["127.0.0.1"]

[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = "761"
"#;

impl Setup {
    /// A source `cake-test` and a destination `meta-main` at `platform`, data in `folder`.
    pub fn cake_to_meta(folder: &Path, platform: SocketAddr) -> Setup {
        let extra = format!(
            r#"
[[source]]
id = "cake-test"
template = "cake"
key = "{KEY}"
currency = "USD"

[[destination]]
id = "meta-main"
template = "meta"
endpoint = "http://{platform}"
allow_private_network = true
[destination.settings]
pixel_id = "1234567890"
access_token = "meta-secret-token"
"#
        );
        Setup { extra, ..Setup::of(folder) }
    }

    /// Nothing but an API, data in `folder`.
    pub fn of(folder: &Path) -> Setup {
        Setup {
            folder: folder.to_path_buf(),
            server: String::new(),
            store: String::new(),
            extra: String::new(),
            env: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Setup {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it says where it listens.
    pub fn start(&self) -> Relay {
        self.try_start().expect("serve says where it listens")
    }

    /// As [`Setup::start`], by a shell that says this before: `"$0" "$@"` is the program.
    pub fn start_by(&self, script: &str) -> Relay {
        self.try_start_by(script).expect("serve says where it listens")
    }

    /// The same; `None` when it ended before it listened.
    pub fn try_start_by(&self, script: &str) -> Option<Relay> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_postbridge")]);
        self.run_by(shell, &self.text())
    }

    /// As [`Setup::start`]; `None` when it ended before it listened.
    pub fn try_start(&self) -> Option<Relay> {
        self.run(&self.text())
    }

    /// The configuration.
    pub fn text(&self) -> String {
        let data = self.folder.join("data");
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{}{}[store]\npath = \"{}\"\n{}[api]\ntokens = [{{ name = \"test\", token = \"{TOKEN}\" }}]\n{}",
            if self.server.contains("public_url") { "" } else { "public_url = \"http://127.0.0.1\"\n" },
            self.server,
            data.display(),
            self.store,
            self.extra
        )
    }

    /// Starts it with just this configuration.
    pub fn run(&self, text: &str) -> Option<Relay> {
        self.run_by(Command::new(env!("CARGO_BIN_EXE_postbridge")), text)
    }

    fn run_by(&self, mut program: Command, text: &str) -> Option<Relay> {
        let config = self.folder.join("postbridge.toml");
        std::fs::write(&config, text).unwrap();
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.join("serve.log")).unwrap();
        let mut child = program
            .args(["serve", "--config"])
            .arg(&config)
            .env("RUST_LOG", "info")
            .envs(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some(address) = line.trim().strip_prefix("postbridge listens on ") {
                let address = address.parse().unwrap();
                // Drained on a thread of its own, so that the child never waits for a reader.
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                return Some(Relay { child, address });
            }
            line.clear();
        }
        let _ = child.wait();
        None
    }
}

impl Relay {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut of the process: SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The most memory that it has had resident, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The number of a line of `/metrics`; 0 where there is no such line.
    pub fn metric(&self, line: &str) -> u64 {
        let text = self.get("/metrics").text();
        let found = text.lines().find_map(|known| known.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0)
    }

    /// Sends a signal, by its number.
    pub fn signal(&self, number: i32) {
        let sent =
            Command::new("kill").arg(format!("-{number}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// A GET of the API with the token.
    pub fn api(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The same; `None` where there is no such thing.
    pub fn try_api(&self, path: &str) -> Option<Value> {
        let answer = self.get(path);
        assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.text());
        (answer.status == 200).then(|| answer.json())
    }

    /// The same, whatever the status.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &bearer(), "")
    }

    /// A POST of the API with the token.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &bearer(), body)
    }

    /// As [`ask_api`].
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        ask_api(self.address, (method, path), headers, body)
    }

    /// A postback with the right key; `query` goes out byte for byte.
    pub fn postback(&self, source: &str, query: &[u8]) -> Answer {
        report(self.address, (KEY, source), query)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The header line of the token.
pub fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends bytes on a connection of their own and reads until the other side closes.
pub fn ask(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(answer).ok_or_else(|| std::io::Error::other("no whole answer"))
}

/// Any request, on a connection of its own; each of the further header lines has its line end. Fails where the API
/// answers otherwise than its document says.
pub fn ask_api(address: SocketAddr, (method, path): (&str, &str), headers: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(address, request.as_bytes()).unwrap();
    openapi_check::check(method, path, answer.status, &answer.body);
    answer
}

/// A postback of a source by a key; `query` goes out byte for byte.
pub fn report(address: SocketAddr, (key, source): (&str, &str), query: &[u8]) -> Answer {
    let mut request = format!("GET /{key}/collect/{source}?").into_bytes();
    request.extend_from_slice(query);
    request.extend_from_slice(b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    ask(address, &request).unwrap()
}

/// An answer as it was received, if it is whole.
pub fn parse(answer: Vec<u8>) -> Option<Answer> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: answer[head_end + 4..].to_vec() })
}

/// One keep-alive connection: a request, its answer, and again.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends a GET of `path` and reads its answer.
    pub fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        self.get_with(path, "")
    }

    /// As [`Connection::get`], with further header lines, each with its line end.
    pub fn get_with(&mut self, path: &str, headers: &str) -> std::io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap();
        Ok(Answer { status, head, body })
    }
}

/// Asks again and again until `ready` is true or patience ends.
pub fn wait_until(patience: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ready()
}
