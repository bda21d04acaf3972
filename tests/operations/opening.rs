//! While the store is being opened the port is bound: who asks is asked to come again, and no connection is lost.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postbridge::store::contract::Store;
use postbridge::store::contract::error::StoreError;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::memory::Memory;
use postbridge::template::diagnostic::Problem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::relay::{Answer, CAMPAIGN, Connection, KEY, Setup, ask, bearer, parse, wait_until};
use crate::support::relay_in_process::{RelayInProcess, StartingInProcess};
use crate::support::tls_fixture::{CertificateFolder, begin_tls};

/// One at a time: what is refused meanwhile is counted by the process, not by the relay.
static ALONE: Mutex<()> = Mutex::new(());

/// What the opening of a store ends with, once a test says so.
struct Release {
    sender: Sender<Result<(), Problem>>,
    _alone: MutexGuard<'static, ()>,
}

impl Release {
    fn send(&self, end: Result<(), Problem>) {
        self.sender.send(end).unwrap();
    }
}

/// How many requests were refused so far because a store was being opened.
fn refused(metrics: &str) -> u64 {
    let counted = |line: &str| {
        line.strip_prefix("postbridge_refused_total{reason_code=\"store_opening\"} ")?.parse().ok()
    };
    // None is shown before the first.
    metrics.lines().find_map(counted).unwrap_or(0)
}

/// A relay whose store opens when it is released.
fn blocked(setup: &Setup) -> (StartingInProcess, Release) {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, released) = channel();
    let starting = StartingInProcess::listen(setup, move |_, rules, _| {
        released.recv().unwrap_or(Ok(()))?;
        Ok(Arc::new(Embedded::open(Arc::new(Memory::new()), rules).unwrap()) as Arc<dyn Store>)
    });
    (starting, Release { sender, _alone: alone })
}

fn setup(folder: &Path) -> Setup {
    let source =
        format!("[[source]]\nid = \"cake-test\"\ntemplate = \"cake\"\nkey = \"{KEY}\"\ncurrency = \"USD\"\n");
    Setup { extra: source + CAMPAIGN, ..Setup::of(folder) }
}

fn head_of(answer: &Answer) -> String {
    answer.head.to_ascii_lowercase()
}

#[track_caller]
fn assert_not_yet(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    assert!(head_of(answer).contains("retry-after: 5"), "{what}: {}", answer.head);
}

/// A GET on a connection of its own.
fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes()).unwrap()
}

/// A GET on a connection that is kept.
async fn over(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Answer {
    connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
    let mut received = Vec::new();
    loop {
        assert_ne!(connection.read_buf(&mut received).await.unwrap(), 0, "{path}: it was closed");
        let Some(answer) = parse(received.clone()) else { continue };
        let length =
            head_of(&answer).lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if Some(answer.body.len()) == length {
            return answer;
        }
    }
}

#[test]
fn until_the_store_is_open_it_is_alive_and_asks_to_come_again_and_then_goes_on_on_the_same_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (starting, release) = blocked(&setup(folder.path()));
    let earlier = tempfile::tempdir().unwrap();
    let other = RelayInProcess::start(&setup(earlier.path()), |rules| {
        Arc::new(Embedded::open(Arc::new(Memory::new()), rules).unwrap()) as Arc<dyn Store>
    });
    let before = refused(&other.get("/metrics").text());
    other.stop();
    let sale = format!("/{KEY}/collect/cake-test?s2=c1&tid=T1&price=3");
    let mut kept = Connection::open(starting.address).unwrap();
    assert_eq!(kept.get("/livez").unwrap().text(), "ok\n");
    let ready = kept.get("/readyz").unwrap();
    assert_not_yet(&ready, "/readyz");
    assert_eq!(ready.text(), "the store is being opened\n");
    for path in [&*sale, "/wrong-key/collect/cake-test?tid=1", "/api/v1/conversions", "/pixel.gif?o=565"] {
        let answer = kept.get_with(path, &bearer()).unwrap();
        assert_not_yet(&answer, path);
        assert_eq!(answer.json()["error"]["code"], "store_opening", "{path}");
    }
    for path in ["/", "/conversions", "/c/8599?s1=x", "/?a=200&c=761"] {
        let answer = kept.get(path).unwrap();
        assert_not_yet(&answer, path);
        let head = head_of(&answer);
        assert!(head.contains("content-type: text/html") && head.contains("refresh: 5"), "{path}: {head}");
    }
    let of_network = kept.get("/api/2/conversion.json?api_key=x").unwrap();
    assert_not_yet(&of_network, "/api/2");
    assert_eq!(of_network.json()["request_status"], "Error");

    // A request that is half here when the store opens is answered by the routes.
    let body = "s2=c1&tid=T2&price=4";
    let mut halfway = TcpStream::connect(starting.address).unwrap();
    let head = format!(
        "POST /{KEY}/collect/cake-test HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n",
        body.len()
    );
    halfway.write_all(head.as_bytes()).unwrap();
    halfway.write_all(&body.as_bytes()[..5]).unwrap();

    release.send(Ok(()));
    let relay = starting.opened().unwrap();
    assert_eq!(kept.get("/livez").unwrap().status, 200);
    assert_eq!(kept.get("/readyz").unwrap().status, 200);
    let taken = kept.get(&sale).unwrap();
    assert_eq!((taken.status, &taken.json()["status"]), (200, &"accepted".into()));
    assert_eq!(kept.get("/c/8599?s1=x").unwrap().status, 302);
    halfway.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = Vec::new();
    halfway.read_to_end(&mut answer).unwrap();
    let answer = parse(answer).unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"accepted".into()));
    let counted = refused(&relay.get("/metrics").text());
    assert_eq!(counted - before, 9);
    relay.stop();
}

#[test]
fn what_the_wire_refuses_meanwhile_is_to_be_sent_again_too_and_its_limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = setup(folder.path());
    setup.server = "head_timeout_ms = 200\nmax_body_bytes = 1024\n".to_owned();
    let (starting, release) = blocked(&setup);
    let line = format!("POST /{KEY}/collect/cake-test HTTP/1.1\r\nHost: t\r\n");
    let too_large = format!("{line}Content-Length: 20000\r\n\r\n");
    let malformed = format!("{line}Transfer-Encoding: chunked, chunked\r\n\r\n");
    let too_long =
        format!("GET /{KEY}/collect/cake-test?x={} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(20_000));
    let never_whole = line.clone();
    for request in [too_large, malformed, too_long, never_whole] {
        let answer = ask(starting.address, request.as_bytes()).unwrap();
        assert_not_yet(&answer, &request[..60]);
        assert!(head_of(&answer).contains("connection: close"), "{}", answer.head);
    }
    let silent = TcpStream::connect(starting.address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!((&silent).read_to_end(&mut Vec::new()).is_ok(), "one that says nothing is closed");
    release.send(Ok(()));
    let relay = starting.opened().unwrap();
    assert_eq!(
        ask(relay.address, format!("{line}Content-Length: x\r\n\r\n").as_bytes()).unwrap().status,
        400
    );
    relay.stop();
}

#[test]
fn both_listeners_answer_meanwhile_and_by_tls_where_they_speak_it() {
    let (folder, certificates) = (tempfile::tempdir().unwrap(), CertificateFolder::empty());
    let trusted = certificates.renew();
    let mut setup = setup(folder.path());
    let (certificate, key) = (certificates.certificate.display(), certificates.key.display());
    setup.server = format!(
        "admin_listen = \"127.0.0.1:0\"\n[server.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
    );
    let (starting, release) = blocked(&setup);
    let addresses = [starting.address, starting.admin_address.unwrap()];
    let connect = |address| {
        let trusted = &trusted;
        async move { begin_tls(tokio::net::TcpStream::connect(address).await.unwrap(), trusted).await.unwrap() }
    };
    let mut connections = addresses.map(|address| starting.run(connect(address)));
    for connection in &mut connections {
        assert_eq!(starting.run(over(connection, "/livez")).status, 200);
        let ready = starting.run(over(connection, "/readyz"));
        assert_not_yet(&ready, "/readyz");
        assert!(head_of(&ready).contains("strict-transport-security: "), "{}", ready.head);
    }
    release.send(Ok(()));
    let relay = starting.opened().unwrap();
    for connection in &mut connections {
        assert_eq!(relay.run(over(connection, "/readyz")).status, 200);
    }
    let [public, admin] = &mut connections;
    assert_eq!(relay.run(over(public, "/sign-in")).status, 404, "each has its own routes");
    assert_eq!(relay.run(over(admin, "/sign-in")).status, 200);
    drop(connections);
    relay.stop();
}

#[test]
fn a_store_that_cannot_be_opened_is_the_problem_of_the_start_and_nothing_listens_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (starting, release) = blocked(&setup(folder.path()));
    let address = starting.address;
    assert_eq!(get(address, "/livez").status, 200);
    release.send(Err(Problem::new("the data folder is a file", "name a folder")));
    let problem = starting.opened().err().expect("it does not start");
    assert_eq!(problem.what, "the data folder is a file");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn one_that_panics_is_a_problem_too() {
    let folder = tempfile::tempdir().unwrap();
    let starting = StartingInProcess::listen(&setup(folder.path()), |_, _, _| panic!("a page is missing"));
    let problem = starting.opened().err().expect("it does not start");
    assert!(problem.what.starts_with("the store could not be opened: "), "{problem}");
}

#[test]
fn a_store_that_fails_while_it_is_opened_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (release, released) = channel::<()>();
    let starting = StartingInProcess::listen(&setup(folder.path()), move |_, _, health| {
        let cause = "the disk has not answered for 30 s".to_owned();
        health.store_failed(&StoreError::Broken { doing: "write", cause });
        released.recv().unwrap();
        Err(Problem::new("released", ""))
    });
    let problem = starting.opened().err().expect("it does not start");
    assert!(problem.what.contains("the disk has not answered for 30 s"), "{problem}");
    assert!(problem.hint.contains("look at the disk"), "{problem}");
    drop(release);
}

#[test]
fn a_start_that_is_left_while_it_opens_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (starting, release) = blocked(&setup(folder.path()));
    let address = starting.address;
    let mut kept = Connection::open(address).unwrap();
    assert_eq!(kept.get("/livez").unwrap().status, 200);
    starting.leave();
    // The listener closes in a task of its own, a moment after what held it is gone.
    let patience = Duration::from_secs(20);
    assert!(wait_until(patience, || kept.get("/livez").is_err()), "the connection ends");
    assert!(wait_until(patience, || TcpStream::connect(address).is_err()), "nothing listens");
    // Nothing was released: what opens the store still waits.
    drop(release);
}

/// Every file of a folder, and of those in it, with what is in it.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// `serve` on a port that is taken.
fn serve_on(taken: SocketAddr, setup: &Setup, key: &str) -> Output {
    let config = setup.folder.join("taken.toml");
    let text = match key {
        "listen" => setup.text().replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\"")),
        _ => setup.text().replace("[store]", &format!("{key} = \"{taken}\"\n[store]")),
    };
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbridge"));
    command.args(["serve", "--config"]).arg(config).output().unwrap()
}

#[test]
fn a_port_that_is_taken_is_reported_before_the_data_folder_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, data) = (setup(folder.path()), folder.path().join("data"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let refused = |key: &str| {
        let ended = serve_on(taken, &setup, key);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on {taken}: ")), "{said}");
        assert!(said.contains(&format!("[server] {key}")), "{said}");
    };
    for key in ["listen", "admin_listen"] {
        refused(key);
        assert!(!data.exists(), "{key}: no folder is made");
    }
    let relay = setup.start();
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=T1&price=3").status, 200);
    relay.kill();
    let before = contents(&data);
    assert!(before.len() > 1, "{:?}", before.keys());
    for key in ["listen", "admin_listen"] {
        refused(key);
        assert!(contents(&data) == before, "{key}: the folder is as it was");
    }
    let relay = setup.start();
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=T1&price=3").json()["status"], "duplicate");
}
