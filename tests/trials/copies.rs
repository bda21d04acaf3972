//! Copies of a data folder that a relay writes at full speed have what was acknowledged before they began: those of its
//! files, and its own backups.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::journal::manifest::Manifest;
use serde_json::Value;

use crate::support::damaged_folder::copy;
use crate::support::platform::Platform;
use crate::support::relay::{Relay, Setup, wait_until};
use crate::support::relay_load::{self, Ledger, Load};
use crate::support::trial::{Chance, rounds};

const COPIES: usize = 4;
/// How often a relay is loaded and backed up twice.
const BACKUPS: usize = 2;
const CALLERS: usize = 12;

fn files_of(journal: &Path) -> Vec<String> {
    let manifest = Manifest::read(journal).0.unwrap();
    manifest.segments.into_iter().map(|segment| segment.file).collect()
}

/// Loads until so many more answers are in the ledger.
fn load_a_while(load: &Load, more: usize) {
    let before = load.acknowledged().len();
    assert!(wait_until(Duration::from_secs(60), || load.acknowledged().len() >= before + more));
}

#[test]
fn a_copy_of_the_files_of_a_relay_that_is_loaded_has_what_was_acknowledged_before_or_is_refused() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = relay_load::setup(folder.path(), platform.address);
    let data = folder.path().join("data");
    let relay = relay_load::start(&setup, &relay_load::program());
    let (ledger, mut chance) = (Arc::new(Mutex::new(Ledger::new())), Chance::of_this_run());
    let (mut whole, mut repaired, mut refused, mut verified) = (0, 0, 0, 0);
    for round in 0..rounds(COPIES) {
        let load = Load::start(relay.address, &format!("copy{round}"), CALLERS, &ledger);
        load_a_while(&load, 500 + chance.below(2000) as usize);
        let (before, files) = (load.acknowledged(), files_of(&data.join("journal")));
        let copied = tempfile::tempdir().unwrap();
        let target = copied.path().join("data");
        copy(&data, &target);
        let is_as_before = files == files_of(&data.join("journal"));
        load.end();
        match Embedded::open_sled(&target, usual_rules()) {
            Ok(store) => {
                let sample = relay_load::sample(&before, &mut chance);
                assert_eq!(relay_load::missing(&store, &sample), [""; 0], "{:?}", store.opened());
                verified += sample.len();
                if store.opened().repairs.is_empty() { whole += 1 } else { repaired += 1 }
            }
            Err(OpenError::Damaged { damage, word, .. }) => {
                println!("copy {round} is refused: {damage:?}");
                assert!(!is_as_before, "no file was begun or rewritten meanwhile: {damage:?} ({word})");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!(
        "{} copies of the files of a loaded relay: {whole} whole, {repaired} repaired, {refused} refused where a file was \
         begun or rewritten meanwhile; {verified} acknowledgements verified, 0 lost",
        rounds(COPIES)
    );
}

/// Has the relay back up, under load. Answers the report, how long it took, and what was acknowledged before.
fn back_up(setup: &Setup, relay: &Relay, program: &Path, load: &Load) -> (Value, Duration, Ledger) {
    let before = load.acknowledged();
    let (server, began) = (format!("http://{}", relay.address), Instant::now());
    let printed = relay_load::run(setup, program, &["backup", "nightly", "--json", "--server", &server]);
    (serde_json::from_str(&printed).unwrap(), began.elapsed(), before)
}

/// What a backup has, restored into a new data folder by the program, is all of a ledger.
fn assert_restored(setup: &Setup, program: &Path, ledger: &Ledger, chance: &mut Chance) -> usize {
    let restored = tempfile::tempdir().unwrap();
    let data = restored.path().join("data");
    let config =
        setup.text().replace(&setup.folder.join("data").display().to_string(), &data.display().to_string());
    fs::write(restored.path().join("postbridge.toml"), config).unwrap();
    let backup = setup.folder.join("backups/nightly");
    let into = Setup::of(restored.path());
    relay_load::run(&into, program, &["restore", backup.to_str().unwrap()]);
    let store = Embedded::open_sled(&data, usual_rules()).unwrap();
    assert_eq!(store.opened().repairs, [""; 0]);
    let sample = relay_load::sample(ledger, chance);
    assert_eq!(relay_load::missing(&store, &sample), [""; 0]);
    sample.len()
}

#[test]
fn a_backup_of_a_relay_that_is_loaded_and_then_killed_has_what_was_acknowledged_before_it_began() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let (setup, program) = (relay_load::setup(folder.path(), platform.address), relay_load::program());
    let relay = relay_load::start(&setup, &program);
    let (ledger, mut chance) = (Arc::new(Mutex::new(Ledger::new())), Chance::of_this_run());
    let (mut times, mut verified) = (Vec::new(), 0);
    for round in 0..rounds(BACKUPS) {
        let load = Load::start(relay.address, &format!("first{round}"), CALLERS, &ledger);
        load_a_while(&load, 500 + chance.below(1500) as usize);
        let (first, took, before) = back_up(&setup, &relay, &program, &load);
        times.push(took);
        // Its own, while the load goes on.
        verified += assert_restored(&setup, &program, &before, &mut chance);
        load_a_while(&load, 300);
        let (second, took, before) = back_up(&setup, &relay, &program, &load);
        times.push(took);
        load.end();
        let [copied, there] =
            ["segments_copied", "segments_already_there"].map(|key| second[key].as_u64().unwrap());
        let all =
            first["segments_copied"].as_u64().unwrap() + first["segments_already_there"].as_u64().unwrap();
        assert!(copied + there >= all && copied >= 1, "{first} {second}");
        verified += assert_restored(&setup, &program, &before, &mut chance);
    }
    let load = Load::start(relay.address, "last", CALLERS, &ledger);
    load_a_while(&load, 500);
    let (_, took, before) = back_up(&setup, &relay, &program, &load);
    load_a_while(&load, 200);
    relay.kill();
    load.end();
    times.push(took);
    verified += assert_restored(&setup, &program, &before, &mut chance);
    let all = before.len();
    times.sort_unstable();
    println!(
        "{} backups under load, of up to {all} acknowledgements: {verified} verified, 0 lost; {:?} to {:?} each",
        times.len(),
        times.first().unwrap(),
        times.last().unwrap()
    );
}
