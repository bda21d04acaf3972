//! A relay to press: its configuration, its clicks, and the postbacks that name them.

use std::path::{Path, PathBuf};

use super::child::{Process, free_port};
use super::load::{self, Until};

/// How many clicks are recorded before the postbacks come.
pub const CLICKS: u64 = 65_536;

/// A `postbridge serve` with one source, and a sink if there is a port for it.
pub struct Relay {
    pub process: Process,
    pub folder: tempfile::TempDir,
}

impl Relay {
    /// Starts one on the disk of the checkout.
    pub fn start(sink: Option<u16>) -> Relay {
        let folder = tempfile::tempdir_in(checkout()).unwrap();
        let port = free_port();
        let config = folder.path().join("postbridge.toml");
        std::fs::write(&config, configuration(port, folder.path(), sink)).unwrap();
        let process = Process::serve(&config, port);
        let relay = Relay { process, folder };
        relay.record_clicks();
        relay
    }

    fn record_clicks(&self) {
        let figures = load::run(self.process.port, 256, Until::Count(CLICKS), |number, out| {
            let body = format!(
                r#"{{"click_id":"c{number:08}","landing_url":"https://shop.example/lp?n={number}","ip":"203.0.113.9","user_agent":"Mozilla/5.0 (X11; Linux x86_64) Bench","params":{{"fbclid":"IwAR0bench{number:08}"}},"cookies":{{"_fbp":"fb.1.1789980000000.{number}"}}}}"#
            );
            out.extend_from_slice(
                format!(
                    "POST /api/v1/clicks HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench-token-0123456789\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        });
        assert_eq!(figures.failed, 0, "every click is recorded");
    }

    /// How many clicks of the campaign's link are recorded, by the API's list: what was answered need not be.
    pub fn recorded_clicks(&self) -> u64 {
        let (mut count, mut cursor) = (0, String::new());
        loop {
            let request = format!(
                "GET /api/v1/clicks?offer=565&limit=1000{cursor} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench-token-0123456789\r\nConnection: close\r\n\r\n"
            );
            let answer = load::ask_once(self.process.port, request.as_bytes()).unwrap();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let page: serde_json::Value = serde_json::from_str(body).unwrap();
            count += page["items"].as_array().unwrap().len() as u64;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return count,
            }
        }
    }

    /// How many postbacks were recorded and accepted, by the relay's own count.
    pub fn accepted_postbacks(&self) -> u64 {
        let metrics = load::get_once(self.process.port, "/metrics").unwrap();
        let line = metrics.lines().find(|line| {
            let is_counted = line.contains("source=\"cake-bench\"") && line.contains("verdict=\"accepted\"");
            line.starts_with("postbridge_postbacks_total") && is_counted
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// The checkout's own folder for built things: on the disk that matters, and ignored by git.
pub fn checkout() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The n-th postback of a run: CAKE's parameters, a transaction id of its own, one of the clicks.
pub fn postback(run: u64) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync {
    move |number, out| {
        let click = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % CLICKS;
        out.extend_from_slice(
            format!(
                "GET /bench-key-0123456789/collect/cake-bench?s1=yes&s2=c{click:08}&s3=&s4=&s5=&oid=565&affid=200&campid=8599&cid=761&tid=r{run}t{number:012}&price=7.25 HTTP/1.1\r\nHost: bench\r\nUser-Agent: CAKE\r\nAccept: */*\r\n\r\n"
            )
            .as_bytes(),
        );
    }
}

/// The n-th click of a run on the campaign's link, each of a visitor who is new.
pub fn click(run: u64) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync {
    move |number, out| {
        out.extend_from_slice(
            format!(
                "GET /c/8599?s1=r{run}n{number:012}&fbclid=IwAR0bench{number:012}&utm_source=bench HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\nAccept: text/html\r\nReferer: https://blog.example/\r\n\r\n"
            )
            .as_bytes(),
        );
    }
}

fn configuration(port: u16, folder: &Path, sink: Option<u16>) -> String {
    let destination = sink.map_or(String::new(), |sink| {
        format!(
            r#"
[[destination]]
id = "sink"
template = "meta"
endpoint = "http://127.0.0.1:{sink}"
allow_private_network = true
[destination.settings]
pixel_id = "1234567890"
access_token = "bench-access-token"
"#
        )
    });
    format!(
        r#"
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
open_metrics = true
[store]
path = "{}"
[api]
tokens = [{{ name = "bench", token = "bench-token-0123456789" }}]
# One loopback address presses.
[links]
max_per_second_per_ip = 0
max_kib_per_second = 0
[[source]]
id = "cake-bench"
template = "cake"
key = "bench-key-0123456789"
currency = "USD"
[[affiliate]]
id = "200"
name = "Bench Media"
[[offer]]
id = "565"
url = "https://advertiser.example/lp?cid={{click_id}}&s1={{s1}}"
pass = ["utm_*"]
currency = "USD"
payout = "7.00"
[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = "761"
{destination}"#,
        folder.join("data").display()
    )
}
