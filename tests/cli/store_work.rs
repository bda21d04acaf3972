//! `postbridge verify`, `backup`, `restore`, `salvage` and `serve --accept-loss`: of a relay that runs, and of a folder that no
//! one has open.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::support::command_line::{err, json_of, out, postbridge};
use crate::support::platform::Platform;
use crate::support::relay::{Relay, Setup};

/// A relay whose configuration is where the commands find it, and may back up below `backups`.
fn setup(folder: &Path) -> Setup {
    let platform = Platform::accepting();
    let mut setup = Setup::cake_to_meta(folder, platform.address);
    setup.store.push_str(&format!("backup_dir = \"{}\"\n", folder.join("backups").display()));
    setup
}

fn sell(relay: &Relay, from: usize, to: usize) {
    for number in from..to {
        let sold = relay.postback("cake-test", format!("s2=c1&tid=T{number}&price=3").as_bytes());
        assert_eq!(sold.status, 200);
    }
}

/// Sends them again: none is new.
fn assert_known(relay: &Relay, count: usize) {
    for number in 0..count {
        let again = relay.postback("cake-test", format!("s2=c1&tid=T{number}&price=3").as_bytes());
        assert_eq!(again.json()["status"], "duplicate", "T{number}: {}", again.text());
    }
}

fn by(relay: &Relay, folder: &Path, arguments: &[&str]) -> Output {
    let server = format!("http://{}", relay.address);
    let all: Vec<&str> = arguments.iter().copied().chain(["--server", server.as_str()]).collect();
    postbridge(folder, &all)
}

fn data(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(folder.join("postbridge.toml")).unwrap();
    let path =
        text.lines().find_map(|line| line.strip_prefix("path = ")).unwrap().trim_matches('"').to_owned();
    folder.join(path)
}

fn first_segment(data: &Path) -> PathBuf {
    let files = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "journal")).min().unwrap()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_running_relay_is_backed_up_and_verified_and_what_is_restored_knows_every_sale() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    let relay = setup.start();
    sell(&relay, 0, 5);
    let verified = by(&relay, folder.path(), &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}{}", out(&verified), err(&verified));
    assert!(out(&verified).contains("the store is whole: 1 segments"), "{}", out(&verified));
    let made = by(&relay, folder.path(), &["backup", "nightly", "--json"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert_eq!(json_of(&made)["segments_copied"], json!(1));
    sell(&relay, 5, 8);
    let again = by(&relay, folder.path(), &["backup", "nightly"]);
    assert!(out(&again).contains("1 segments copied"), "{}{}", out(&again), err(&again));
    let known = relay.api("/api/v1/backups");
    let backup = folder.path().join("backups/nightly");
    assert_eq!(known["items"][0]["dir"], json!(backup.display().to_string()));
    assert_eq!(known["items"].as_array().unwrap().len(), 1, "of each folder the latest");
    assert_eq!(known["work"]["state"], "done");
    let repaired = postbridge(folder.path(), &["verify", "--repair"]);
    assert_eq!(repaired.status.code(), Some(1));
    assert!(err(&repaired).contains("stop the relay"), "{}", err(&repaired));
    let onto = postbridge(folder.path(), &["restore", backup.to_str().unwrap()]);
    assert_eq!(onto.status.code(), Some(1));
    assert!(err(&onto).contains("is not empty"), "{}", err(&onto));
    relay.kill();

    fs::remove_dir_all(data(folder.path())).unwrap();
    let restored = postbridge(folder.path(), &["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.status.code(), Some(0), "{}", err(&restored));
    let relay = setup.start();
    assert_known(&relay, 8);
    assert_eq!(relay.api("/api/v1/backups")["work"], json!(null));
}

#[test]
fn the_api_writes_backups_below_the_configured_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path()).start();
    std::os::unix::fs::symlink("/tmp", folder.path().join("link")).unwrap();
    fs::create_dir(folder.path().join("backups")).unwrap();
    std::os::unix::fs::symlink("/tmp", folder.path().join("backups/link")).unwrap();
    for dir in ["/tmp/elsewhere", "../elsewhere", "a/../../b", "", ".", "link", "link/deeper"] {
        let refused = relay.post("/api/v1/backups", &json!({ "dir": dir }).to_string());
        assert_eq!(refused.status, 400, "{dir}: {}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "backup_dir_refused", "{dir}");
    }
    for body in ["", "[]", "{}", r#"{"dir":1}"#, r#"{"dir":"a","more":1}"#] {
        assert_eq!(relay.post("/api/v1/backups", body).json()["error"]["code"], "bad_body", "{body}");
    }
    drop(relay);
    let bare = tempfile::tempdir().unwrap();
    let relay = Setup::of(bare.path()).start();
    let refused = relay.post("/api/v1/backups", r#"{"dir":"nightly"}"#);
    assert_eq!(refused.json()["error"]["code"], "backup_dir_refused");
}

#[test]
fn a_folder_that_no_one_has_open_is_verified_repaired_and_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path()).start();
    sell(&relay, 0, 5);
    relay.signal(15);
    assert!(relay.wait(std::time::Duration::from_secs(20)).is_some_and(|status| status.success()));
    let run = |arguments: &[&str]| postbridge(folder.path(), arguments);
    let verified = run(&["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{}{}", out(&verified), err(&verified));
    assert_eq!(json_of(&verified)["ok"], json!(true));
    flip(&first_segment(&data(folder.path())), 4200);
    let damaged = run(&["verify", "--json"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert_eq!(json_of(&damaged)["findings"][0]["code"], "journal_damaged");
    let repaired = run(&["verify", "--repair"]);
    assert_eq!(repaired.status.code(), Some(0), "{}{}", out(&repaired), err(&repaired));
    assert!(out(&repaired).contains("repaired: the journal was written anew"), "{}", out(&repaired));
    let made = run(&["backup", "by-hand"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(folder.path().join("backups/by-hand/journal/manifest").exists());
}

#[test]
fn a_backup_that_is_killed_half_way_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    let relay = setup.start();
    sell(&relay, 0, 5);
    relay.signal(15);
    assert!(relay.wait(std::time::Duration::from_secs(20)).is_some());
    let run = |arguments: &[&str]| postbridge(folder.path(), arguments);
    assert_eq!(run(&["backup", "nightly"]).status.code(), Some(0));
    for place in ["backup.segment:1", "backup.before_manifest:1", "backup.between_names:1"] {
        let mut killed = Command::new(env!("CARGO_BIN_EXE_postbridge"));
        killed.args(["backup", "nightly"]).current_dir(folder.path()).env("POSTBRIDGE_CRASH_AT", place);
        assert_eq!(killed.output().unwrap().status.code(), None, "{place}");
        let elsewhere = tempfile::tempdir().unwrap();
        let config = elsewhere.path().join("postbridge.toml");
        fs::write(
            &config,
            setup.text().replace(folder.path().to_str().unwrap(), elsewhere.path().to_str().unwrap()),
        )
        .unwrap();
        let backup = folder.path().join("backups/nightly");
        let restored = postbridge(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
        assert_eq!(restored.status.code(), Some(0), "{place}: {}", err(&restored));
        assert_eq!(postbridge(elsewhere.path(), &["verify"]).status.code(), Some(0), "{place}");
    }
    assert_eq!(run(&["backup", "nightly"]).status.code(), Some(0));
}

#[test]
fn a_refusal_gives_the_word_that_accepts_it_and_salvage_reads_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    let relay = setup.start();
    sell(&relay, 0, 5);
    relay.signal(15);
    assert!(relay.wait(std::time::Duration::from_secs(20)).is_some());
    let data = data(folder.path());
    flip(&first_segment(&data), 4200);
    fs::remove_dir_all(data.join("index")).unwrap();
    let run = |arguments: &[&str]| postbridge(folder.path(), arguments);
    let refused = run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    let word = said.split("--accept-loss ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    assert!(word.starts_with("loss-"), "{said}");
    let wrong = run(&["serve", "--accept-loss", "loss-00000000"]);
    assert_eq!(wrong.status.code(), Some(1));
    let new = folder.path().join("new");
    let salvaged = run(&["salvage", data.to_str().unwrap(), new.to_str().unwrap()]);
    assert_eq!(salvaged.status.code(), Some(1), "{}", err(&salvaged));
    assert!(out(&salvaged).contains("not saved: "), "{}", out(&salvaged));
    let relay = setup.start_by(&format!("exec \"$0\" \"$@\" --accept-loss {word}"));
    let log = fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(log.contains("goes on without what is lost"), "{log}");
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=T4&price=3").json()["status"], "duplicate");
}
