//! Standard error: no one reads it, or a program that wants JSON and nothing else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::command_line::{CONFIG, folder};
use crate::support::platform::Platform;
use crate::support::relay::{KEY, Setup, ask};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postbridge");

/// Runs the program by a shell that says what becomes of its outputs: `"$0" "$@"` is the program.
fn by_shell(folder: &Path, script: &str, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", script, PROGRAM])
        .args(arguments)
        .current_dir(folder)
        .env("CAKE_KEY", "hBtoE3hN-k3y")
        .env("META_ACCESS_TOKEN", "EAAB-token-of-the-account")
        .env("RUST_LOG", "trace")
        .output()
        .unwrap()
}

/// Closed before it starts, closed on both sides, and a pipe whose reader has gone.
const CLOSED: [&str; 3] = [
    "exec \"$0\" \"$@\" 2>&-",
    "exec \"$0\" \"$@\" >&- 2>&-",
    "{ sleep 0.1; \"$0\" \"$@\"; echo $? >code; } 2>&1 >&3 3>&- | true; exit $(cat code)",
];

#[test]
fn a_standard_error_that_no_one_reads_changes_no_exit_code() {
    let good = folder(CONFIG);
    let bad = folder(&CONFIG.replace("\"USD\"", "\"XXQ\""));
    let missing = tempfile::tempdir().unwrap();
    for script in CLOSED {
        let script = format!("exec 3>/dev/null; {script}");
        for (folder, arguments, code) in [
            (good.path(), &["check"][..], 0),
            (bad.path(), &["check"], 2),
            (missing.path(), &["check"], 2),
            (missing.path(), &["serve"], 2),
            (bad.path(), &["serve", "--log-format", "json"], 2),
            (good.path(), &["nonsense"], 2),
            (good.path(), &["link", "nowhere"], 2),
            (good.path(), &["url", "cake-test"], 0),
            (good.path(), &["--help"], 0),
        ] {
            let ended = by_shell(folder, &script, arguments);
            assert_eq!(ended.status.code(), Some(code), "{arguments:?} by {script}");
        }
    }
}

#[test]
fn a_relay_whose_log_no_one_reads_takes_postbacks_and_stops_with_0() {
    for format in ["text", "json"] {
        let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
        let setup = Setup::cake_to_meta(folder.path(), platform.address);
        std::fs::write(folder.path().join("postbridge.toml"), setup.text()).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--log-format", format])
            .current_dir(folder.path())
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("postbridge listens on ").unwrap().parse().unwrap();
        // Nor does anyone read its standard output any more.
        drop(lines);
        for number in 0..20 {
            let request = format!(
                "GET /{KEY}/collect/cake-test?tid=E{number}&price=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            );
            assert_eq!(ask(address, request.as_bytes()).unwrap().json()["status"], "accepted");
        }
        let stopped = Command::new("kill").arg("-15").arg(child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}");
    }
}

/// Every line, read as JSON, with a level and a message.
fn lines(stderr: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(stderr.to_vec()).unwrap();
    let read = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["level"].is_string() && value["timestamp"].is_string(), "{line}");
        assert!(value["fields"]["message"].is_string(), "{line}");
        value
    };
    text.lines().map(read).collect()
}

#[test]
fn with_json_every_line_of_a_start_that_fails_is_json() {
    let bad = folder(&CONFIG.replace("\"USD\"", "\"XXQ\"").replace("pixel_id", "pixelid"));
    let blocked = folder(CONFIG);
    std::fs::write(blocked.path().join("data"), "in the way").unwrap();
    let missing = tempfile::tempdir().unwrap();
    for (folder, arguments, code, words) in [
        (missing.path(), &["serve", "--log-format", "json"][..], 2, "cannot be read"),
        (bad.path(), &["serve", "--log-format=json"], 2, "XXQ"),
        (blocked.path(), &["serve", "--log-format=json"], 1, "data folder"),
        (bad.path(), &["serve", "--log-format", "json", "--nonsense"], 2, "--nonsense"),
        (bad.path(), &["--nonsense", "serve", "--log-format=json"], 2, "--nonsense"),
    ] {
        let ended = by_shell(folder, "exec \"$0\" \"$@\"", arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
        let said = lines(&ended.stderr);
        let errors: Vec<&Value> = said.iter().filter(|line| line["level"] == "ERROR").collect();
        let named = |line: &&Value| line["fields"]["message"].as_str().unwrap().contains(words);
        assert!(errors.iter().any(named), "{words} in {said:?}");
        assert_eq!(ended.stdout, b"");
    }
}

#[test]
fn with_json_a_relay_that_runs_warns_and_stops_writes_json_alone() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start_by("exec \"$0\" \"$@\" --log-format json");
    assert_eq!(relay.postback("cake-test", b"tid=J1&price=1").status, 200);
    relay.signal(1);
    relay.signal(15);
    assert_eq!(relay.wait(std::time::Duration::from_secs(30)).unwrap().code(), Some(0));
    let said = lines(&std::fs::read(folder.path().join("serve.log")).unwrap());
    assert!(said.iter().any(|line| line["level"] == "WARN"), "{said:?}");
    assert!(said.iter().any(|line| line["fields"]["message"].as_str().unwrap().contains("stopping")));
}

/// The child half of the next test; on its own it does nothing.
#[test]
fn panics_where_it_is_asked_to() {
    if std::env::var_os("POSTBRIDGE_TEST_PANIC").is_none() {
        return;
    }
    postbridge::cli::stderr::set_format(postbridge::cli::LogFormat::Json);
    let panicked = std::thread::spawn(|| panic!("two\nlines")).join();
    assert!(panicked.is_err());
}

#[test]
fn with_json_a_panic_is_one_line_of_json() {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["cli::standard_error::panics_where_it_is_asked_to", "--exact", "--nocapture"])
        .env("POSTBRIDGE_TEST_PANIC", "1")
        .output()
        .unwrap();
    assert!(ended.status.success());
    let said = lines(&ended.stderr);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["fields"]["message"].as_str().unwrap().contains("two\nlines"), "{said:?}");
    assert!(said[0]["fields"]["at"].as_str().unwrap().contains("tests/cli/standard_error.rs"), "{said:?}");
}
