//! `postbridge demo --once`: the README's first command runs the main job to its end, from an empty folder.

use crate::support::command_line::{err, out, postbridge};

#[test]
fn the_demo_ends_with_the_payload_that_must_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let shown = postbridge(folder.path(), &["demo", "--once"]);
    assert_eq!(shown.status.code(), Some(0), "{}{}", out(&shown), err(&shown));
    assert!(out(&shown).contains("The journey is complete"), "{}", out(&shown));
}
