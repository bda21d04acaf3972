//! The nginx configuration of docs/operating.md, run with a certificate of its own: what arrives through it byte for
//! byte, whose address arrives with it, and what it refuses.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::platform::Platform;
use crate::support::relay::{Answer, CAMPAIGN, KEY, Relay, Setup, ask, parse, wait_until};
use crate::support::tls_fixture::write_pair;

/// The name in the guide's configuration.
const NAME: &str = "t.example.com";
/// Where the visitor is: an address that is neither nginx's nor the relay's.
const VISITOR: [u8; 4] = [127, 0, 0, 9];

struct Nginx {
    child: Child,
    plain: SocketAddr,
    secure: SocketAddr,
    certificate: CertificateDer<'static>,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one `nginx` block of the guide.
fn guide_configuration() -> String {
    let guide = include_str!("../../docs/operating.md");
    let block = guide.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("the guide shows an nginx configuration").to_owned()
}

fn nginx_program() -> Option<&'static str> {
    let found =
        ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists());
    let in_ci = std::env::var_os("CI").is_some();
    assert!(found.is_some() || !in_ci, "nginx must be installed in CI: apt-get install nginx-light");
    if found.is_none() {
        eprintln!("skipped: nginx is not installed");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Replaces what must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the guide's nginx configuration has no `{from}`");
    text.replace(from, to)
}

impl Nginx {
    /// Runs the guide's configuration in front of a relay, with other ports, files and `changes`.
    fn start(program: &str, folder: &Path, relay: SocketAddr, changes: &[(&str, &str)]) -> Nginx {
        let here = folder.display();
        let certificate = write_pair(NAME, &folder.join("fullchain.pem"), &folder.join("privkey.pem"));
        let (plain, secure) = (free_port(), free_port());
        let mut server = guide_configuration();
        for (from, to) in [
            ("listen 80;", format!("listen 127.0.0.1:{plain};")),
            ("listen 443 ssl;", format!("listen 127.0.0.1:{secure} ssl;")),
            ("/etc/letsencrypt/live/t.example.com", here.to_string()),
            ("127.0.0.1:8080", relay.to_string()),
        ] {
            server = replaced(&server, from, &to);
        }
        for (from, to) in changes {
            server = replaced(&server, from, to);
        }
        let text = format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/nginx.log; events {{ worker_connections 64; }}\nhttp {{ access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n{server}}}\n"
        );
        let path = folder.join("nginx.conf");
        std::fs::write(&path, text).unwrap();
        let child = Command::new(program).arg("-c").arg(&path).arg("-p").arg(folder).spawn().unwrap();
        let [plain, secure] = [plain, secure].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let nginx = Nginx { child, plain, secure, certificate };
        let listens = || [plain, secure].iter().all(|port| std::net::TcpStream::connect(port).is_ok());
        assert!(wait_until(Duration::from_secs(10), listens), "nginx listens");
        nginx
    }

    /// A TLS connection from the visitor's address.
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from(VISITOR), 0)).unwrap();
        let stream = socket.connect(self.secure).await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads until nginx closes.
    async fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // Some servers close without saying so first, which TLS calls an error.
        let _ = stream.read_to_end(&mut answer).await;
        parse(answer).expect("a whole answer")
    }

    /// Asks for a page until it is answered with this status, or patience ends.
    async fn answers(&self, status: u16) -> bool {
        for _ in 0..200 {
            if self.get(b"/sign-in").await.status == status {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    async fn get(&self, target: &[u8]) -> Answer {
        let headers = format!(
            " HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n"
        );
        self.ask(&[b"GET ", target, headers.as_bytes()].concat()).await
    }
}

/// A relay as the guide has it behind its proxy, with a campaign and a source that takes large bodies.
fn relay(folder: &Path, platform: &Platform) -> Relay {
    let mut setup = Setup::cake_to_meta(folder, platform.address);
    setup.server = format!("public_url = \"https://{NAME}\"\ntrusted_proxies = [\"127.0.0.1\"]\n");
    setup.extra.push_str("[[source]]\nid = \"shop\"\ntemplate = \"generic\"\nkey = \"shop-key-0123456789\"\ncurrency = \"USD\"\n");
    setup.extra.push_str(CAMPAIGN);
    setup.start()
}

fn postback(query: &[u8]) -> Vec<u8> {
    [format!("/{KEY}/collect/cake-test?").as_bytes(), query].concat()
}

#[tokio::test]
async fn the_guides_nginx_hands_postbacks_on_byte_for_byte_and_bodies_as_large_as_ours() {
    let Some(program) = nginx_program() else { return };
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let nginx = Nginx::start(program, folder.path(), relay.address, &[]);

    let query: &[u8] = b"s1=#s1#&s4=<u1>\"&s5=caf\xe9&s3={x}|%zz&s2=abc&oid=1&tid=N1&price=7";
    assert_eq!(nginx.get(&postback(query)).await.json()["status"], "accepted");
    let raw = relay.api("/api/v1/postbacks")["items"][0]["raw"].clone();
    let line =
        base64::engine::general_purpose::STANDARD.decode(raw["line_base64"].as_str().unwrap()).unwrap();
    let arrived = line.windows(query.len()).any(|window| window == query);
    assert!(arrived, "through nginx it arrived as {}", String::from_utf8_lossy(&line));
    assert_eq!(nginx.get(&postback(b"s2=a b&tid=N2&price=7")).await.status, 400, "nginx refuses a raw space");

    let order = |lines: usize| {
        let order = format!(
            "{{\"order_id\":\"N{lines}\",\"value\":7,\"lines\":[{}1]}}",
            "{\"sku\":\"A-1\"},".repeat(lines)
        );
        let length = order.len();
        let head = format!(
            "POST /shop-key-0123456789/collect/shop HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        (length, format!("{head}{order}").into_bytes())
    };
    let (length, request) = order(18_700);
    assert!((256_000..=262_144).contains(&length), "nearly as large as the source takes: {length}");
    assert_eq!(nginx.ask(&request).await.json()["status"], "accepted");
    let (length, request) = order(18_800);
    assert!(length > 262_144, "{length}");
    assert_eq!(nginx.ask(&request).await.status, 413);
}

#[tokio::test]
async fn pages_and_links_come_through_the_guides_nginx_with_the_visitors_address() {
    let Some(program) = nginx_program() else { return };
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let nginx = Nginx::start(program, folder.path(), relay.address, &[]);

    let page = nginx.get(b"/sign-in").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<form"), "{}", page.text());
    let clicked = nginx.get(b"/c/8599?s1=a").await;
    assert_eq!(clicked.status, 302, "{}", clicked.head);
    let click = relay.api("/api/v1/clicks")["items"][0].clone();
    // What the visitor claims to be is overwritten.
    assert_eq!(click["ip"], IpAddr::from(VISITOR).to_string(), "{click:#}");

    let request = format!("GET /c/8599?s1=#a#&s2=b HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    let plain = ask(nginx.plain, request.as_bytes()).unwrap();
    assert_eq!(plain.status, 308, "the method and the body are kept");
    let location = format!("Location: https://{NAME}/c/8599?s1=#a#&s2=b");
    assert!(plain.head.contains(&location), "{}", plain.head);
}

#[tokio::test]
async fn the_guides_nginx_slows_a_flood_of_one_address_down_and_no_postback() {
    let Some(program) = nginx_program() else { return };
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let slower = [("rate=200r/s", "rate=1r/m"), ("burst=2000", "burst=2")];
    let nginx = Nginx::start(program, folder.path(), relay.address, &slower);

    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(nginx.get(b"/c/8599").await.status);
    }
    assert_eq!(statuses, [302, 302, 302, 429, 429]);
    for number in 0..6 {
        let sale = postback(format!("s2=abc&tid=F{number}&price=7").as_bytes());
        assert_eq!(nginx.get(&sale).await.json()["status"], "accepted", "a postback is never turned away");
        let doubled = [b"/".as_slice(), &sale].concat();
        assert_eq!(nginx.get(&doubled).await.status, 200);
    }
}

#[tokio::test]
async fn the_guides_nginx_holds_an_address_to_its_share_of_connections() {
    let Some(program) = nginx_program() else { return };
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let fewer = [("limit_conn postbridge_connections 512;", "limit_conn postbridge_connections 1;")];
    let nginx = Nginx::start(program, folder.path(), relay.address, &fewer);

    // A request whose body does not end occupies the one connection.
    let mut slow = nginx.connect().await;
    let head = format!("POST /t/click HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    assert!(nginx.answers(429).await, "the address has its one connection");
    drop(slow);
    assert!(nginx.answers(200).await, "the connection is free again");
}
