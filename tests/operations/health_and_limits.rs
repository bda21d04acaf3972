//! What operators rely on: health, metrics, reload, limits, and what happens when the disk is full.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::platform::{Act, Platform};
use crate::support::relay::{Connection, KEY, Setup, TOKEN, ask, wait_until};
use crate::support::small_disk::SmallDisk;
use crate::support::tls_fixture::write_pair;

fn get(address: std::net::SocketAddr, path: &str, headers: &str) -> crate::support::relay::Answer {
    ask(address, format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes()).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Host: t.example.com\r\nAuthorization: Bearer {token}\r\n")
}

#[test]
fn metrics_count_what_happens_and_need_a_token_also_on_loopback() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    relay.postback("cake-test", b"s2=c1&tid=M1&price=3");
    relay.postback("cake-test", b"s2=c1&tid=M1&price=3");
    relay.postback("cake-test", b"s2=c1&tid=M2&price=");
    relay.postback("cake-test", b"s2=never&tid=M3&price=3");
    let metrics = || get(relay.address, "/metrics", &bearer(TOKEN)).text();
    let has = |line: &str| metrics().lines().any(|known| known == line);
    assert!(
        wait_until(Duration::from_secs(10), || has(
            r#"postbridge_attempts_total{destination="meta-main",reason_code="delivered"} 1"#
        )),
        "{}",
        metrics()
    );
    for (verdict, count) in [("accepted", 2), ("duplicate", 1), ("quarantined", 1)] {
        let line = format!(r#"postbridge_postbacks_total{{source="cake-test",verdict="{verdict}"}} {count}"#);
        assert!(has(&line), "{line} in {}", metrics());
    }
    assert!(has(r#"postbridge_held_deliveries{destination="meta-main"} 1"#), "{}", metrics());
    for name in [
        "postbridge_ack_seconds_count",
        "postbridge_fsync_seconds_count",
        "postbridge_commit_group_size_count",
        "postbridge_oldest_due_age_seconds",
    ] {
        assert!(metrics().lines().any(|line| line.starts_with(name)), "{name}");
    }
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"never","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    assert!(
        wait_until(Duration::from_secs(10), || has(
            r#"postbridge_held_deliveries{destination="meta-main"} 0"#
        )),
        "gauges come down again"
    );

    for host in ["127.0.0.1", "localhost", "t.example.com"] {
        assert_eq!(get(relay.address, "/metrics", &format!("Host: {host}\r\n")).status, 401, "{host}");
    }
    assert_eq!(get(relay.address, "/metrics", &bearer("another-token-0123456789")).status, 401);
}

#[test]
fn metrics_are_open_where_the_configuration_says_so_and_on_the_operators_listener() {
    for (server, is_open) in [("open_metrics = true\n", true), ("open_metrics = false\n", false)] {
        let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
        let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
        setup.server = server.to_owned();
        let relay = setup.start();
        let status = |headers: &str| get(relay.address, "/metrics", headers).status;
        assert_eq!(status("Host: t.example.com\r\n") == 200, is_open, "{server}");
        assert_eq!(status(&bearer("another-token-0123456789")) == 200, is_open, "{server}");
    }
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setup.server = format!("admin_listen = \"{admin}\"\n");
    let relay = setup.start();
    assert_eq!(get(admin, "/metrics", "Host: t\r\n").status, 200);
    assert_eq!(get(relay.address, "/metrics", &bearer(TOKEN)).status, 404);
    assert_eq!(
        get(admin, "/api/v1/conversions", "Host: t\r\n").status,
        401,
        "the API needs its token there too"
    );
}

#[test]
fn a_relay_that_runs_is_alive_and_ready() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    assert_eq!(get(relay.address, "/livez", "Host: t\r\n").status, 200);
    assert_eq!(get(relay.address, "/readyz", "Host: t\r\n").status, 200);
}

#[test]
fn a_source_with_a_limit_answers_429_and_says_when_to_come_back() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra = setup.extra.replace("currency = \"USD\"", "currency = \"USD\"\nmax_per_second = 2");
    let relay = setup.start();
    let answers: Vec<_> =
        (0..12).map(|n| relay.postback("cake-test", format!("tid=L{n}&price=1").as_bytes())).collect();
    let limited: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!limited.is_empty() && limited[0].head.to_ascii_lowercase().contains("retry-after"));
    assert!(answers.iter().any(|answer| answer.status == 200));
}

#[test]
fn sighup_takes_a_changed_key_from_its_file_and_refuses_a_broken_configuration() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    let key = folder.path().join("key.txt");
    std::fs::write(&key, "the-old-key-1\n").unwrap();
    setup.extra = setup.extra.replace(&format!("key = \"{KEY}\""), "key = { file = \"key.txt\" }");
    let relay = setup.start();
    let with = |key: &str| {
        get(relay.address, &format!("/{key}/collect/cake-test?tid=S{key}&price=1"), "Host: t\r\n").status
    };
    assert_eq!((with("the-old-key-1"), with("the-new-key-2")), (200, 403));
    std::fs::write(&key, "the-new-key-2\n").unwrap();
    relay.signal(1);
    assert!(wait_until(Duration::from_secs(10), || with("the-new-key-2") == 200), "the new key opens");
    assert_eq!(with("the-old-key-1"), 403, "and the old one does not");

    let config = folder.path().join("postbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[nonsense]\nx = 1\n")).unwrap();
    relay.signal(1);
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(wait_until(Duration::from_secs(10), || log().contains("not reloaded")), "{}", log());
    assert_eq!(with("the-new-key-2"), 200, "the old configuration stays");
}

#[test]
fn a_destination_taken_out_of_the_configuration_is_skipped_when_its_hours_are_over_and_says_so() {
    let platform = Platform::start(|_| Act::status(503, "{}").with_header("Retry-After", "3600"));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    // Its hours are over at once.
    let with_hours = |text: &str| text.replacen("[store]\n", "[store]\nkeep_removed_hours = 0\n", 1);
    drop(setup.start());
    let config = folder.path().join("postbridge.toml");
    let text = with_hours(&std::fs::read_to_string(&config).unwrap());
    let relay = setup.run(&text).unwrap();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    relay.postback("cake-test", b"s2=c1&tid=W1&price=3");
    assert!(wait_until(Duration::from_secs(10), || platform.count() == 1));
    std::fs::write(&config, text.split("[[destination]]").next().unwrap()).unwrap();
    relay.signal(1);
    let skipped = || relay.api("/api/v1/deliveries?state=skipped")["items"].as_array().unwrap().clone();
    assert!(wait_until(Duration::from_secs(20), || skipped().len() == 1), "it ends skipped");
    assert_eq!(skipped()[0]["reason_code"], "destination_removed");
    let id = skipped()[0]["id"].as_str().unwrap().to_owned();
    let retried = relay.post(&format!("/api/v1/deliveries/{id}/retry"), "");
    assert_eq!(
        (retried.status, retried.json()["error"]["code"].as_str()),
        (409, Some("destination_not_configured"))
    );
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    let said = || log().contains("deliveries of a removed destination were skipped");
    assert!(wait_until(Duration::from_secs(10), said), "{}", log());
}

#[test]
fn what_an_operator_must_act_on_leaves_one_line_and_is_counted_also_after_a_restart() {
    let platform = Platform::start(|_| Act::status(400, "{\"error\":{\"code\":100}}"));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    for n in 0..5 {
        relay.postback("cake-test", format!("s2=c1&tid=D{n}&price=3").as_bytes());
        relay.postback("cake-test", format!("s2=c1&tid=Q{n}&price=").as_bytes());
        get(relay.address, &format!("/wrong-key-{n}/collect/cake-test?tid=1"), "Host: t\r\n");
        get(relay.address, &format!("/{KEY}/collect/nobody-{n}?tid=1"), "Host: t\r\n");
    }
    let metrics = |address| get(address, "/metrics", &bearer(TOKEN)).text();
    let dead = r#"postbridge_open_dead_letters{destination="meta-main"} 5"#;
    assert!(
        wait_until(Duration::from_secs(20), || metrics(relay.address).contains(dead)),
        "{}",
        metrics(relay.address)
    );
    let refused = metrics(relay.address);
    for reason in ["bad_key", "unknown_source"] {
        let line = format!(r#"postbridge_refused_total{{reason_code="{reason}"}} 5"#);
        assert!(refused.contains(&line), "{line} in {refused}");
    }
    assert!(!refused.contains("nobody-"), "no label is a stranger's");
    let log = std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines("a delivery is dead"), 1, "{log}");
    assert_eq!(lines("a postback was quarantined"), 1, "{log}");
    assert_eq!(lines("a postback was refused"), 2, "one a reason: {log}");
    assert!(!log.contains("wrong-key") && !log.contains("nobody-"), "{log}");
    drop(relay);
    let relay = setup.start();
    let after = metrics(relay.address);
    let source = |name: &str| format!(r#"{name}{{source="cake-test"}}"#);
    for line in [dead.to_owned(), format!("{} 5", source("postbridge_open_quarantine"))] {
        assert!(after.contains(&line), "{line} in {after}");
    }
    let last = source("postbridge_last_postback_timestamp_seconds");
    let last = after.lines().find_map(|line| line.strip_prefix(&last)).unwrap().trim();
    let now = postbridge::clock::Clock::system().now().as_seconds();
    assert!((now - last.parse::<f64>().unwrap() as i64) < 600, "{last}");
    assert!(after.contains("postbridge_oldest_unsent_seconds 0"), "nothing waits: {after}");
    assert!(after.contains("postbridge_retention_paused 0"), "{after}");
}

#[test]
fn a_clock_that_is_not_believed_is_reported_and_confirmed_by_the_command() {
    use postbridge::domain::clock_rule::ClockRecord;
    use postbridge::domain::time::Time;
    use postbridge::store::contract::Store;
    use postbridge::store::contract::operator::ToKeep;
    use postbridge::store::embedded::Embedded;

    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let disbelieve = || {
        let store = Embedded::open_sled(&folder.path().join("data"), Arc::default()).unwrap();
        let believed = Time::parse("2024-01-01T00:00:00Z").unwrap();
        postbridge::store::contract::conformance::fixture::received::wait(
            store.keep(ToKeep::Clock(ClockRecord::new(believed))),
        )
        .unwrap();
        postbridge::store::contract::conformance::fixture::received::wait(store.close()).unwrap();
    };
    disbelieve();
    let relay = setup.start();
    let shown = relay.api("/api/v1/clock");
    assert_eq!(
        (&shown["retention"], &shown["believed"]),
        (&"paused".into(), &"2024-01-01T00:00:00.000Z".into())
    );
    assert_eq!(get(relay.address, "/readyz", "Host: t\r\n").status, 200);
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=W1&price=3").status, 200, "all else goes on");
    let metrics = || get(relay.address, "/metrics", &bearer(TOKEN)).text();
    assert!(metrics().contains("postbridge_retention_paused 1"), "{}", metrics());
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(log().contains("retention is paused"), "{}", log());
    assert_eq!(relay.post("/api/v1/clock", "").status, 405);
    let confirm = |server: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbridge"));
        command.arg("confirm-clock").arg("--config").arg(folder.path().join("postbridge.toml"));
        if !server.is_empty() {
            command.args(["--server", server]);
        }
        command.output().unwrap()
    };
    let done = confirm(&format!("http://{}/", relay.address));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(relay.api("/api/v1/clock")["retention"], "running");
    assert!(metrics().contains("postbridge_retention_paused 0"), "{}", metrics());
    assert!(log().contains("the clock was confirmed"), "{}", log());
    let address = relay.address;
    drop(relay);
    let elsewhere = confirm(&format!("http://{address}"));
    assert_eq!(elsewhere.status.code(), Some(1), "what was named does not answer");
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("no relay answers"));

    disbelieve();
    let done = confirm("");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let relay = setup.start();
    assert_eq!(relay.api("/api/v1/clock")["retention"], "running", "confirmed where no relay runs");
}

#[test]
fn confirm_clock_asks_a_relay_with_tls_by_the_name_in_its_certificate_on_either_listener() {
    // Of the ports that no one is given who asks for any: what is free stays free until the relay has it.
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let free =
        |from: u16| (from..).find(|port| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok()).unwrap();
    for listen in ["127.0.0.1", "0.0.0.0"] {
        let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        write_pair("relay.example", &certificate, &key);
        let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
        // As is usual, the public name leads elsewhere than to the pages.
        setup.server = format!(
            "admin_listen = \"{listen}:{}\"\npublic_url = \"https://relay.example\"\ntls = {{ certificate = \"cert.pem\", key = \"key.pem\" }}\n",
            free(first)
        );
        let _relay = setup.start();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbridge"));
        command.arg("confirm-clock").arg("--config").arg(folder.path().join("postbridge.toml"));
        let done = command.env("SSL_CERT_FILE", &certificate).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.starts_with("the clock is confirmed: "), "the relay did it: {said}");
    }
}

#[test]
fn no_delivery_is_left_behind_when_its_destination_goes_under_load() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    let address = relay.address;
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                for number in 0..400 {
                    let path = format!("/{KEY}/collect/cake-test?s2=c1&tid=G{thread}-{number}&price=1");
                    assert_eq!(connection.get(&path).unwrap().status, 200);
                }
            })
        })
        .collect();
    let config = folder.path().join("postbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.split("[[destination]]").next().unwrap()).unwrap();
    relay.signal(1);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let unexplained = || {
        let waiting = relay.api("/api/v1/deliveries?state=waiting")["items"].as_array().unwrap().clone();
        waiting.iter().filter(|one| one["reason_code"] != "destination_removed").count()
    };
    assert!(
        wait_until(Duration::from_secs(30), || unexplained() == 0),
        "{} wait without a reason",
        unexplained()
    );
}

#[test]
fn on_a_full_disk_it_answers_503_ends_with_1_and_has_lost_nothing_when_there_is_room_again() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let Some(disk) = SmallDisk::mount(&folder.path().join("data"), "12m") else {
        assert!(std::env::var_os("CI").is_none(), "CI is root and can mount a tmpfs");
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.store = "reserve_mb = 0\n".to_owned();
    let relay = setup.start();
    let mut connection = Connection::open(relay.address).unwrap();
    let mut acknowledged = Vec::new();
    let filler: String = (0..6000).map(|n| char::from(b'a' + (n * 7919 % 26) as u8)).collect();
    let refused = (0..20_000).find_map(|number| {
        let noise: String =
            postbridge::clock::entropy::<1024>().unwrap().iter().map(|b| format!("{b:02x}")).collect();
        let path = format!("/{KEY}/collect/cake-test?s1={noise}{filler}&tid=F{number}&price=1");
        match connection.get(&path) {
            Ok(answer) if answer.status == 200 => {
                acknowledged.push(number);
                None
            }
            other => Some(other),
        }
    });
    let refused = refused.expect("the disk fills up").expect("an answer, not a hang-up");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.head.to_ascii_lowercase().contains("retry-after"), "{}", refused.head);
    let ended = relay.wait(Duration::from_secs(30)).expect("the process ends");
    assert_eq!(ended.code(), Some(1));
    let log = std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(log.contains("free some space, then start"), "{log}");

    disk.grow("256m");
    let relay = setup.start();
    let mut connection = Connection::open(relay.address).unwrap();
    assert!(acknowledged.len() > 100, "{} were acknowledged", acknowledged.len());
    for number in acknowledged {
        let reported =
            connection.get(&format!("/{KEY}/collect/cake-test?tid=F{number}&price=1")).unwrap().json();
        assert_eq!(reported["status"], "duplicate", "F{number} was acknowledged and is known: {reported}");
    }
}

#[test]
fn a_destination_on_hold_is_seen_by_scripts_and_by_operators_and_its_deliveries_say_so() {
    let platform = Platform::start(|_| Act::status(503, "{}").with_header("Retry-After", "3600"));
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let listed = || relay.api("/api/v1/destinations")["items"][0].clone();
    assert_eq!((&listed()["id"], &listed()["state"]), (&"meta-main".into(), &"untried".into()));
    assert_eq!(listed()["on_hold"], serde_json::Value::Null);
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    relay.postback("cake-test", b"s2=c1&tid=W1&price=3");
    assert!(wait_until(Duration::from_secs(10), || listed()["state"] == "on_hold"), "{:#}", listed());
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=W2&price=4").status, 200);
    let one = listed();
    assert!(one["on_hold"]["reason"].as_str().unwrap().contains("HTTP 503"), "{one:#}");
    let time =
        |name: &str| postbridge::domain::time::Time::parse(one["on_hold"][name].as_str().unwrap()).unwrap();
    let lasts = time("until").millis_since(time("since"));
    assert!((890_000..=900_000).contains(&lasts), "fifteen minutes at most: {one:#}");
    assert_eq!((&one["waiting"], &one["due"], &one["template"]), (&2.into(), &1.into(), &"meta".into()));
    let metrics = get(relay.address, "/metrics", &bearer(TOKEN)).text();
    assert!(metrics.contains("postbridge_on_hold{destination=\"meta-main\"} 1"), "{metrics}");
    assert_eq!(platform.count(), 1, "the second is not sent");
    let refused = relay.post("/api/v1/destinations", "");
    assert_eq!(refused.status, 405);
}
