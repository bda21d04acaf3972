//! What the embedded store acknowledged survives `kill -9`, at random moments and at every named point.

use std::time::Duration;

use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::embedded::Embedded;

use crate::support::trial::{Chance, rounds};
use crate::trials::store_loader::{Ack, Loader, verify};

#[test]
fn nothing_acknowledged_is_lost_to_kills_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acks: Vec<Ack> = Vec::new();
    let (kills, mut chance) = (rounds(10), Chance::of_this_run());
    for round in 0..kills {
        let loader = Loader::start(&data, round, None);
        std::thread::sleep(Duration::from_millis(150 + 2 * u64::from(chance.byte())));
        acks.extend(loader.kill());
        verify(&Embedded::open_sled(&data, usual_rules()).unwrap(), &acks);
    }
    println!("{kills} kills at random moments: {} acknowledgements verified", acks.len());
    assert!(acks.len() > 100, "the load was too small to show anything: {}", acks.len());
    assert_eq!(std::fs::read_dir(data.join("index/blobs")).unwrap().count(), 0);
}

/// A process may die between making its files and syncing their names: the next one has to do it.
#[cfg(debug_assertions)]
#[test]
fn every_open_syncs_the_data_folder_and_not_only_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for round in 0..3 {
        let acks = Loader::start(&data, 200 + round, Some("open.after_sync:1")).ended();
        assert_eq!(acks, [], "it ends where the folder is synced, before it takes anything");
    }
    drop(Embedded::open_sled(&data, usual_rules()).unwrap());
}

/// What happens once for many commits is not waited for as often, and what happens once not again.
#[cfg(debug_assertions)]
fn later(point: &str) -> usize {
    match point.split_once('.') {
        Some(("commit", _)) => 9,
        Some(("index", _)) => 1,
        _ => 2,
    }
}

/// Only debug builds have the points; a release build of the tests has nothing to check here.
#[cfg(debug_assertions)]
#[test]
fn nothing_acknowledged_is_lost_to_a_kill_at_any_named_point() {
    let points = [
        "commit.before_write",
        "commit.after_write",
        "commit.after_sync",
        "commit.before_answer",
        "journal.new_segment",
        "journal.new_segment_named",
        "journal.segment_finished",
        "journal.rewritten",
        "journal.rewritten_named",
        "checkpoint.before_mark",
        "checkpoint.after_mark",
        "index.between_names",
        "index.replaced",
        "purge.before_write",
        "purge.after_sync",
    ];
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acks: Vec<Ack> = Vec::new();
    for (round, (point, count)) in
        points.iter().flat_map(|point| [(point, 1), (point, later(point))]).enumerate()
    {
        let loader = Loader::start(&data, 100 + round, Some(&format!("{point}:{count}")));
        acks.extend(loader.ended());
        verify(&Embedded::open_sled(&data, usual_rules()).unwrap(), &acks);
    }
    println!("{} kills at named points: {} acknowledgements verified", 2 * points.len(), acks.len());
    assert!(acks.len() > 100, "the load was too small to show anything: {}", acks.len());
}

/// What is counted is moved to the rollups by one commit in thousands.
#[cfg(debug_assertions)]
#[test]
fn what_is_counted_equals_a_recount_after_a_kill_while_it_is_folded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acks: Vec<Ack> = Vec::new();
    let points = ["fold.before_write:1", "fold.after_write:1", "fold.after_sync:1"];
    for (round, point) in points.into_iter().enumerate() {
        acks.extend(Loader::start(&data, 300 + round, Some(point)).ended());
        verify(&Embedded::open_sled(&data, usual_rules()).unwrap(), &acks);
    }
    assert!(acks.len() > 100, "the load was too small to show anything: {}", acks.len());
}
