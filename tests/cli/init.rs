//! `postbridge init`: a file that runs as it is, and one with its examples switched on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::command_line::{err, folder, out, postbridge};
use crate::support::relay::ask;

/// The program, without a single variable of ours.
fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbridge"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

#[test]
fn inits_file_passes_check_and_runs_without_any_variable_and_with_nothing_live_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = bare(folder.path(), &["init"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(
        out(&made).contains("next: postbridge serve\n") && !out(&made).contains("export"),
        "{}",
        out(&made)
    );
    let checked = bare(folder.path(), &["check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    let said = out(&checked);
    assert!(said.contains("is fine: 0 sources, 0 destinations\n"), "{said}");
    assert!(!said.contains("offer") && !said.contains("campaign"), "{said}");

    // Only the port differs, which another test may have.
    let file = folder.path().join("postbridge.toml");
    let text = fs::read_to_string(&file).unwrap().replace("127.0.0.1:8080", "127.0.0.1:0");
    fs::write(&file, text).unwrap();
    let mut child = bare(folder.path(), &["serve"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let listens = |line: String| line.strip_prefix("postbridge listens on ").map(str::to_owned);
    let address = lines.by_ref().find_map(listens).map(|address| address.parse().unwrap());
    let request = b"GET /readyz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let ready = address.map(|address| ask(address, request).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ready.unwrap().status, 200);
}

#[test]
fn inits_example_names_its_variables_and_passes_check_once_they_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let made = postbridge(folder.path(), &["init", "relay", "--example"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    for name in ["POSTBRIDGE_TOKEN", "CAKE_KEY", "META_ACCESS_TOKEN"] {
        assert!(out(&made).contains(&format!("export {name}=")), "{}", out(&made));
    }
    let config = "relay/postbridge.toml";
    let checked = postbridge(folder.path(), &["check", "--config", config]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    let counted = "is fine: 1 source, 1 destination, 1 offer, 1 campaign, 1 outgoing postback";
    assert!(out(&checked).contains(counted), "{}", out(&checked));
    let unset = bare(folder.path(), &["check", "--config", config]).output().unwrap();
    assert_eq!(unset.status.code(), Some(2), "{}", out(&unset));
}

#[test]
fn init_never_writes_over_a_file() {
    let folder = folder("# mine\n");
    for arguments in [&["init"][..], &["init", "--example"]] {
        let made = postbridge(folder.path(), arguments);
        assert_eq!(made.status.code(), Some(1));
        assert!(err(&made).contains("exists already"), "{}", err(&made));
        assert_eq!(fs::read_to_string(folder.path().join("postbridge.toml")).unwrap(), "# mine\n");
    }
}

#[test]
fn what_is_added_to_inits_file_is_checked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    bare(folder.path(), &["init"]).output().unwrap();
    let file = folder.path().join("postbridge.toml");
    let source =
        "\n[[source]]\nid = \"a\"\ntemplate = \"coke\"\nkey = \"0123456789abcdef\"\ncurrency = \"USD\"\n";
    let destination = "\n[[destination]]\nid = \"b\"\ntemplate = \"mata\"\n";
    fs::write(&file, format!("{}{source}{destination}", fs::read_to_string(&file).unwrap())).unwrap();
    let checked = bare(folder.path(), &["check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(2));
    let said = out(&checked);
    assert!(said.contains("did you mean `cake`?") && said.contains("did you mean `meta`?"), "{said}");
}
