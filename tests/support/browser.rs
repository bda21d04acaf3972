//! A headless Chromium that a test drives over its debugging port. Shared by tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Debian's name, and those of other systems.
pub fn program() -> Option<&'static str> {
    let known = ["chromium", "chromium-browser", "google-chrome"];
    let found = known
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()));
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "no Chromium on the path: `apt-get install chromium` (with CI set this test may not be left out)"
    );
    found
}

/// A running browser with a profile of its own; ended when dropped. Every host under `.test` is loopback.
pub struct Browser {
    child: Child,
    port: u16,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`, and a word about it, on a machine without Chromium.
    pub fn start() -> Option<Browser> {
        let Some(program) = program() else {
            eprintln!("left out: no Chromium on this machine");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--host-resolver-rules=MAP *.test 127.0.0.1", "--remote-debugging-port=0"]);
        command.args(["--window-size=1000,700", "--hide-scrollbars"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        // What it leaves in its folder for temporary files goes with the profile.
        let temporary = profile.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        command.env("TMPDIR", &temporary);
        let child = command.arg("about:blank").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let file = profile.path().join("DevToolsActivePort");
        let port = || std::fs::read_to_string(&file).ok()?.lines().next()?.parse().ok();
        let until = Instant::now() + PATIENCE;
        let port = loop {
            if let Some(port) = port() {
                break port;
            }
            assert!(Instant::now() < until, "the browser opens no debugging port");
            std::thread::sleep(Duration::from_millis(20));
        };
        Some(Browser { child, port, _profile: profile })
    }

    /// A new tab.
    pub fn page(&self) -> Page {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = "PUT /json/new?about:blank HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let reported: Value = serde_json::from_slice(&body).unwrap();
        let url = reported["webSocketDebuggerUrl"].as_str().unwrap();
        Page::connect(self.port, &url[url.find("/devtools").unwrap()..])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One tab.
pub struct Page {
    socket: BufReader<TcpStream>,
    calls: u64,
}

impl Page {
    fn connect(port: u16, path: &str) -> Page {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut socket = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(socket.read_line(&mut line).unwrap() > 0, "the browser closed its debugging socket");
        }
        Page { socket, calls: 0 }
    }

    /// Calls the browser and answers the result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let reported = self.ask(method, params);
        assert!(reported.get("error").is_none(), "{method}: {reported}");
        reported["result"].clone()
    }

    /// Calls the browser and answers all that it says, an error too.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"id": id, "method": method, "params": params}).to_string());
        loop {
            let reported: Value = serde_json::from_str(&self.receive()).unwrap();
            if reported["id"] == id {
                return reported;
            }
        }
    }

    /// A masked text frame; the mask is 0, which leaves the text as it is.
    fn send(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match text.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.socket.get_mut().write_all(&frame).unwrap();
    }

    fn receive(&mut self) -> String {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            self.socket.read_exact(&mut head).unwrap();
            let length = match head[1] & 127 {
                126 => {
                    let mut length = [0; 2];
                    self.socket.read_exact(&mut length).unwrap();
                    u64::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.socket.read_exact(&mut length).unwrap();
                    u64::from_be_bytes(length)
                }
                short => u64::from(short),
            };
            let mut part = vec![0; usize::try_from(length).unwrap()];
            self.socket.read_exact(&mut part).unwrap();
            // Pings and closings are not part of a message.
            if head[0] & 8 == 0 {
                message.extend_from_slice(&part);
                if head[0] & 128 != 0 {
                    return String::from_utf8(message).unwrap();
                }
            }
        }
    }

    /// Opens a URL and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        let wanted = url.split('#').next().unwrap();
        self.until(&format!(
            "document.readyState === 'complete' && location.href.startsWith({})",
            json!(wanted)
        ));
    }

    /// What an expression of the page evaluates to.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let reported = self.call("Runtime.evaluate", params);
        assert!(reported.get("exceptionDetails").is_none(), "{expression}: {reported}");
        reported["result"]["value"].clone()
    }

    pub fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).to_owned()
    }

    /// Waits until an expression is true. A page that is left while it is asked has not answered: it is
    /// asked again where it went.
    pub fn until(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let params = json!({"expression": expression, "returnByValue": true});
            let reported = self.ask("Runtime.evaluate", params);
            if reported["result"]["result"]["value"] == true {
                return;
            }
            assert!(
                Instant::now() < until,
                "never became true: {expression}\n{reported}\n{}",
                self.text("document.documentElement.outerHTML")
            );
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Presses a mouse button, `left` or `middle`, on the first element that the selector names.
    pub fn press(&mut self, selector: &str, button: &str) {
        let place = self.value(&format!(
            "(() => {{ const box = document.querySelector({}).getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": place[0], "y": place[1], "button": button, "clickCount": 1}),
            );
        }
    }

    /// Gives an element the focus and presses Enter.
    pub fn enter(&mut self, selector: &str) {
        self.value(&format!("document.querySelector({}).focus()", json!(selector)));
        let key = json!({"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        for kind in ["keyDown", "keyUp"] {
            let mut event = key.clone();
            event["type"] = json!(kind);
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// From the next page on no script runs.
    pub fn without_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    /// Leaves a screenshot.
    pub fn picture(&mut self, file: &Path) {
        let reported = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let png = BASE64_STANDARD.decode(reported["data"].as_str().unwrap()).unwrap();
        assert!(png.len() > 3_000, "{} is blank: {} bytes", file.display(), png.len());
        std::fs::write(file, png).unwrap();
    }
}
