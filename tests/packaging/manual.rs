//! Man pages and completions know every command.

use std::process::Command;

use crate::support::command_line::{out, postbridge};

const COMMANDS: [&str; 13] = [
    "backup",
    "check",
    "confirm-clock",
    "demo",
    "init",
    "link",
    "preview",
    "restore",
    "salvage",
    "serve",
    "templates",
    "url",
    "verify",
];

#[test]
fn there_is_a_man_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    assert!(postbridge(folder.path(), &["man", "man1"]).status.success());
    let page = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
    let whole = page("postbridge.1");
    for command in COMMANDS {
        let dashed = command.replace('-', "\\-");
        assert!(whole.contains(&format!("postbridge\\-{dashed}(1)")), "{command} is not in\n{whole}");
        assert!(page(&format!("postbridge-{command}.1")).starts_with(".ie \\n(.g .ds Aq \\(aq"));
    }
    assert!(!whole.contains("completions"), "what packages alone need is not in the way of people");
}

#[test]
fn the_completions_of_every_shell_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "fish", "zsh"] {
        let done = postbridge(folder.path(), &["completions", shell]);
        let text = out(&done);
        assert!(done.status.success() && COMMANDS.iter().all(|command| text.contains(command)), "{shell}");
        if shell == "bash" {
            let read = Command::new("bash").args(["-n", "-c", &text]).status().unwrap();
            assert!(read.success());
        }
    }
}
