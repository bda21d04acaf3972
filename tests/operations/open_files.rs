//! The limit of open files: raised at start, and enough of it kept for sending and the store.

use std::time::Duration;

use crate::support::command_line::{CONFIG, folder, out};
use crate::support::platform::Platform;
use crate::support::relay::{Connection, Setup, ask, wait_until};

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start_by("ulimit -Sn 256; ulimit -Hn 9000; exec \"$0\" \"$@\"");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", relay.id())).unwrap();
    let files: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3..5], ["9000", "9000"], "{limits}");
    let log = std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(!log.contains("max_connections"), "4096 fit: {log}");
}

#[test]
fn with_few_files_connections_are_fewer_and_deliveries_still_go_out_under_a_flood() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start_by("ulimit -n 700; exec \"$0\" \"$@\"");
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(log().contains("444 will be used") && log().contains("LimitNOFILE"), "{}", log());
    let flood: Vec<_> = (0..1_000).map(|_| Connection::open(relay.address).unwrap()).collect();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    for number in 0..50 {
        let taken = relay.postback("cake-test", format!("s2=c1&tid=F{number}&price=1").as_bytes());
        assert_eq!(taken.status, 200, "{}", taken.text());
    }
    let delivered = || relay.api("/api/v1/deliveries?state=delivered")["items"].as_array().unwrap().len();
    assert!(wait_until(Duration::from_secs(20), || delivered() == 50), "{}", delivered());
    let (full, failed) =
        (log().matches("max_connections were taken").count(), log().matches("could not be accepted").count());
    assert_eq!((full, failed), (1, 0), "{}", log());
    drop(flood);
}

#[test]
fn check_says_that_fewer_connections_will_be_used_and_how_many() {
    let folder = folder(CONFIG);
    let checked = |files: &str| {
        let script = format!("ulimit -n {files}; exec \"$0\" check");
        let ended = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_postbridge")])
            .current_dir(folder.path())
            .env("CAKE_KEY", "hBtoE3hN-k3y")
            .env("META_ACCESS_TOKEN", "EAAB-token-of-the-account")
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", out(&ended));
        out(&ended)
    };
    assert!(checked("1024").contains("there is room for 768 "), "{}", checked("1024"));
    assert!(checked("64").contains("there is room for 32 "), "{}", checked("64"));
    assert!(!checked("9000").contains("max_connections"));
}

#[test]
fn at_its_last_file_the_listener_logs_one_line_and_serves_again() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    // Lowered while it runs, below what its connections were counted by.
    let relay = setup.start_by("exec \"$0\" \"$@\"");
    let lowered = std::process::Command::new("prlimit")
        .args([format!("--pid={}", relay.id()), "--nofile=120:120".to_owned()])
        .status();
    if !lowered.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "prlimit of util-linux is there");
        eprintln!("skipped: the limit of a running process cannot be lowered here");
        return;
    }
    let flood: Vec<_> = (0..200).map(|_| Connection::open(relay.address).unwrap()).collect();
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(wait_until(Duration::from_secs(10), || log().contains("could not be accepted")), "{}", log());
    let request = b"GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(relay.address, request).unwrap().status, 200, "the longest idle made room");
    assert_eq!(log().matches("could not be accepted").count(), 1, "{}", log());
    drop(flood);
}
