//! The walkthrough of docs/templates.md, as it is written: its files and its commands, in their order.

use std::path::Path;
use std::process::Command;

const GUIDE: &str = include_str!("../../docs/templates.md");

/// The file that the paragraph before a code block names last, if it introduces one.
fn named(before: &str) -> Option<&str> {
    let introduction = before.trim_end().strip_suffix("`:")?;
    introduction.rsplit('`').next()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn run(folder: &Path, commands: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_postbridge")).parent().unwrap();
    let done = Command::new("/bin/sh")
        .args(["-ec", commands])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{commands}\n{said}{}", String::from_utf8_lossy(&done.stderr));
    said
}

/// The first run finds no stories of the platform yet, whose folder is written later.
#[test]
fn the_walkthrough_makes_a_network_a_webhook_and_a_platform_whose_stories_pass() {
    let folder = tempfile::tempdir().unwrap();
    let parts: Vec<&str> = GUIDE.split("```").collect();
    let (mut files, mut said) = (0, String::new());
    for pair in parts.chunks_exact(2) {
        let [before, block] = pair else { unreachable!() };
        let (language, text) = block.split_once('\n').unwrap();
        match (language, named(before)) {
            ("sh", _) => said.push_str(&run(folder.path(), text)),
            (_, Some(name)) => {
                write(folder.path(), name, text);
                files += 1;
            }
            (_, None) => {}
        }
    }
    assert_eq!(files, 17);
    for expected in [
        "A-1001",
        "was received as `{payout}`",
        "\"amount\": \"129.90\"",
        "wrong_signature",
        "was received as `129.90`, not a whole number of the currency's smallest unit",
        "\"ignored\"",
        "PURCHASE",
        "park",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert!(said.ends_with("3 templates, 11 stories as expected, 0 problems\n"), "{said}");
}
