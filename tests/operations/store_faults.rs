//! What a relay answers, shows and reports while its store does not answer, or cannot read a record.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use postbridge::clock::Clock;
use postbridge::domain::ruleset::Ruleset;
use postbridge::store::contract::Store;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{Faulty, ProcessEnd, ReadFault};
use postbridge::store::engine::memory::Memory;
use postbridge::store::writer::SLOW;
use postbridge::web::answer::Answer;
use postbridge::web::health::ProcessHealth;

use crate::support::relay::{KEY, Setup, report};
use crate::support::relay_in_process::RelayInProcess;
use crate::support::remote_store::{Connection, RemoteStore};
use crate::support::tls_fixture::{CertificateFolder, begin_tls};

/// Another key of the same source.
const NEW_KEY: &str = "another-key-9876543210";

/// One source, and no destination.
fn setup(folder: &Path, key: &str) -> Setup {
    let source =
        format!("[[source]]\nid = \"cake-test\"\ntemplate = \"cake\"\nkey = \"{key}\"\ncurrency = \"USD\"\n");
    Setup { extra: source, ..Setup::of(folder) }
}

/// A relay on a store that can be cut off.
fn on_a_remote_store(setup: &Setup) -> (RelayInProcess, Arc<RemoteStore>) {
    let (opened, remote) = std::sync::mpsc::channel();
    let relay = RelayInProcess::start(setup, move |rules| {
        let store = RemoteStore::of(Arc::new(Embedded::open(Arc::new(Memory::new()), rules).unwrap()));
        opened.send(Arc::clone(&store)).unwrap();
        store
    });
    (relay, remote.recv().unwrap())
}

fn on(disk: &Faulty) -> impl FnOnce(Arc<Ruleset>) -> Arc<dyn Store> + Send + use<> {
    let disk = Arc::new(disk.clone());
    move |rules| Arc::new(Embedded::open(disk, rules).unwrap())
}

/// What the store counts.
const STORED: [&str; 10] = [
    "postbridge_open_dead_letters",
    "postbridge_open_quarantine",
    "postbridge_last_postback_timestamp_seconds",
    "postbridge_oldest_unsent_seconds",
    "postbridge_destination_oldest_unsent_seconds",
    "postbridge_held_deliveries",
    "postbridge_waiting_deliveries",
    "postbridge_confirming_deliveries",
    "postbridge_due_deliveries",
    "postbridge_oldest_due_age_seconds",
];

/// Which of those a scrape shows.
fn shown(relay: &RelayInProcess) -> Vec<&'static str> {
    let page = relay.get("/metrics");
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    // Other relays of this process count in the same registry.
    assert!(
        text.contains("postbridge_postbacks_total{source=\"cake-test\",verdict=\"accepted\"} "),
        "{text}"
    );
    let is_shown = |name: &&str| text.lines().any(|line| line.starts_with(*name));
    STORED.into_iter().filter(is_shown).collect()
}

#[test]
fn while_the_store_does_not_answer_metrics_show_everything_but_what_it_counts() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap());
    let (relay, remote) = on_a_remote_store(&setup);
    assert_eq!(relay.postback(KEY, "s2=c1&tid=t1&price=7").status, 200);
    assert_eq!(shown(&relay), STORED);
    for disturb in [Connection::cut, Connection::silence] {
        disturb(&remote);
        assert_eq!(shown(&relay), [""; 0]);
        remote.reconnect();
        assert_eq!(shown(&relay), STORED);
    }
    relay.stop();
}

#[tokio::test]
async fn readiness_is_refused_in_time_while_a_write_hangs_and_asked_for_once() {
    let clock = Clock::fixed(Clock::system().now());
    let remote = RemoteStore::of(Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap()));
    let mut health = ProcessHealth::default();
    assert!(health.probe_limit <= SLOW, "no later than postbacks are refused");
    health.probe_limit = Duration::from_millis(50);
    remote.silence();
    let checks = (0..3).map(|_| health.readyz(&*remote, &clock));
    let answered = tokio::time::timeout(Duration::from_secs(5), join_all(checks)).await;
    let answers = answered.expect("each is answered in time");
    assert_eq!(answers.iter().map(Answer::status).collect::<Vec<_>>(), [StatusCode::SERVICE_UNAVAILABLE; 3]);
    assert_eq!(remote.asked(), 1);
    remote.reconnect();
    clock.run(1_000);
    assert_eq!(health.readyz(&*remote, &clock).await.status(), StatusCode::OK);
}

#[test]
fn a_postback_that_needs_a_damaged_record_is_answered_503_and_counted_nowhere_and_the_next_one_is_taken() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Faulty::over(Memory::new()));
    let mut setup = setup(folder.path(), KEY);
    // Other relays of this process count in the same registry.
    setup.extra = setup.extra.replace("cake-test", "of-damage");
    let postback =
        |relay: &RelayInProcess, query: &str| report(relay.address, (KEY, "of-damage"), query.as_bytes());
    let before = RelayInProcess::start(&setup, on(&disk));
    assert_eq!(postback(&before, "s2=c1&tid=t1&price=7").status, 200);
    before.stop();
    let disk = disk.after(ProcessEnd::Killed).unwrap();
    disk.cannot_read(ReadFault::Damaged, |key| key.starts_with(b"B"));
    let relay = RelayInProcess::start(&setup, on(&disk));
    let counted = || {
        let text = relay.get("/metrics").text();
        let of_source = "postbridge_postbacks_total{source=\"of-damage\"";
        let lines = text.lines().filter(|line| line.starts_with(of_source));
        lines.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let counted_before = counted();
    let refused = postback(&relay, "s2=c1&tid=t1&price=7");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (503, &"record_damaged".into()));
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: "), "{}", refused.head);
    assert_eq!(counted(), counted_before);
    assert_eq!(relay.failed(), None);
    assert_eq!(postback(&relay, "s2=c2&tid=t2&price=7").status, 200);
    disk.can_read();
    let kept = relay.get("/api/v1/postbacks").json();
    assert_eq!(kept["items"].as_array().unwrap().len(), 2, "{kept}");
    assert_eq!(postback(&relay, "s2=c1&tid=t1&price=7").json()["status"], "duplicate");
    relay.stop();
}

#[test]
fn a_reload_while_the_store_does_not_answer_says_to_reload_again_and_the_old_configuration_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (old, mut new) = (setup(folder.path(), KEY), setup(folder.path(), NEW_KEY));
    // By the store's rules a repeat, by the new ones a sale of its own.
    new.extra += "dedup = \"each\"\n";
    let (relay, remote) = on_a_remote_store(&old);
    remote.cut();
    let problems = relay.reload(&new).unwrap_err();
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.what.contains("the store does not answer now"), "{problem}");
    assert!(problem.hint.contains("reload once more"), "{problem}");
    remote.reconnect();
    let sale = "s2=c1&tid=t1&price=7";
    let verdicts = || [relay.postback(KEY, sale), relay.postback(KEY, sale)].map(|answer| answer.json());
    assert_eq!(verdicts().map(|verdict| verdict["status"].clone()), ["accepted", "duplicate"]);
    assert_eq!(relay.postback(NEW_KEY, sale).status, 403);
    relay.reload(&new).unwrap();
    assert_eq!(relay.postback(KEY, sale).status, 403);
    assert_eq!(relay.postback(NEW_KEY, sale).json()["status"], "accepted");
    relay.stop();
}

#[test]
fn a_reload_that_the_store_refuses_leaves_the_certificate_that_was_in_use() {
    let (folder, certificates) = (tempfile::tempdir().unwrap(), CertificateFolder::empty());
    let mut setup = setup(folder.path(), KEY);
    let (certificate, key) = (certificates.certificate.display(), certificates.key.display());
    setup.server = format!("[server.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let old = certificates.renew();
    let (relay, remote) = on_a_remote_store(&setup);
    let new = certificates.renew();
    let is_served = |trusted| {
        let connection = tokio::net::TcpStream::connect(relay.address);
        relay.run(async { begin_tls(connection.await.unwrap(), trusted).await }).is_ok()
    };
    remote.cut();
    relay.reload(&setup).unwrap_err();
    assert_eq!([&old, &new].map(is_served), [true, false]);
    remote.reconnect();
    relay.reload(&setup).unwrap();
    assert_eq!([&old, &new].map(is_served), [false, true]);
    relay.stop();
}

/// A relay that has clicks, and a configuration by which repeats among them are looked for: its rules read them.
fn about_to_look_back(disk: &Faulty, folder: &Path) -> (RelayInProcess, Setup) {
    let old = setup(folder, KEY);
    let relay = RelayInProcess::start(&old, on(disk));
    let click = crate::support::relay::ask_api(
        relay.address,
        ("POST", "/api/v1/clicks"),
        &crate::support::relay::bearer(),
        r#"{"id": "c1", "ip": "203.0.113.9", "user_agent": "Mozilla/5.0"}"#,
    );
    assert_eq!(click.status, 200, "{}", click.text());
    let mut new = setup(folder, NEW_KEY);
    new.extra += "[filters]\nduplicate = { mode = \"observe\", window_seconds = 3600, by = \"ip\" }\n";
    (relay, new)
}

#[test]
fn a_reload_whose_rules_need_a_damaged_record_is_reported_and_the_relay_goes_on_by_the_old_ones() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Faulty::over(Memory::new()));
    let (relay, new) = about_to_look_back(&disk, folder.path());
    disk.cannot_read(ReadFault::DamagedPage, |key| key.starts_with(b"G"));
    let problems = relay.reload(&new).unwrap_err();
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.what.contains("cannot be read"), "{problem}");
    assert!(problem.hint.contains("[filters]"), "{problem}");
    assert_eq!(relay.failed(), None);
    assert_eq!(relay.postback(KEY, "s2=c1&tid=t1&price=7").status, 200);
    disk.can_read();
    relay.reload(&new).unwrap();
    assert_eq!(relay.postback(NEW_KEY, "s2=c1&tid=t2&price=7").status, 200);
    relay.stop();
}

#[test]
fn a_reload_whose_rules_cannot_be_read_since_the_disk_fails_says_so_and_ends_the_process() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Faulty::over(Memory::new()));
    let (relay, new) = about_to_look_back(&disk, folder.path());
    disk.cannot_read(ReadFault::Failed, |key| key.starts_with(b"G"));
    let problems = relay.reload(&new).unwrap_err();
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.what.contains("Input/output error"), "{problem}");
    assert!(problem.hint.contains("start again"), "{problem}");
    assert!(relay.failed().is_some_and(|reason| reason.contains("Input/output error")));
    assert_eq!(relay.postback(NEW_KEY, "s2=c1&tid=t1&price=7").status, 403, "the old key is in force");
    assert_eq!(relay.postback(KEY, "s2=c1&tid=t1&price=7").status, 503);
}
