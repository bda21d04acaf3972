//! What was acknowledged is on the disk at every moment, whatever a power cut leaves of what was not synced: writes,
//! sizes and names of a recorded program are rebuilt with some of them dropped, torn, or out of order.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::data_folder::OpenReport;
use postbridge::store::engine::journal::manifest::Manifest;

use crate::support::crash_disk::{CrashDisk, Kept};
use crate::support::platform::Platform;
use crate::support::recording::{Recorder, Recording};
use crate::support::relay::{Setup, wait_until};
use crate::support::relay_load::{self, Acknowledged, Ledger, Load};
use crate::support::trial::{Chance, rounds};
use crate::trials::store_loader::{Ack, Loader, parse, verify};

/// How many images there are of each of the two recordings.
const IMAGES: usize = 10;

/// How the images of a recording were opened.
#[derive(Default)]
struct Opened(BTreeMap<&'static str, usize>);

impl Opened {
    fn note(&mut self, report: &OpenReport) {
        let how = match report {
            OpenReport { torn: Some(_), .. } => "last commit set aside",
            OpenReport { repairs, .. } if repairs.is_empty() => "whole",
            _ => "repaired",
        };
        *self.0.entry(how).or_default() += 1;
    }
}

/// The moments of crashes, in order: half of them just after a name or a size changed, or a file was made.
pub fn moments(recording: &Recording, count: usize, chance: &mut Chance) -> Vec<usize> {
    let turns = recording.turning_points();
    let mut moments: Vec<usize> = (0..count)
        .map(|number| match number % 2 {
            0 => turns[chance.below(turns.len() as u64) as usize] + 1 + chance.below(3) as usize,
            _ => chance.below(recording.len() as u64) as usize,
        })
        .map(|moment| moment.min(recording.len()))
        .collect();
    moments.sort_unstable();
    moments
}

/// Makes images of a recording, opens each, and checks it: `check` is given the number of the first record that had not
/// happened then.
fn try_images(recording: &Recording, chance: &mut Chance, check: &mut dyn FnMut(&Embedded, usize)) -> Opened {
    let mut opened = Opened::default();
    let mut disk = CrashDisk::new(recording);
    for moment in moments(recording, rounds(IMAGES), chance) {
        disk.go_to(moment);
        let kept = Kept::by(chance);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        disk.write_image(&data, kept, chance);
        let image = format!("image after record {moment} of {}, {kept:?} kept", recording.len());
        let store = Embedded::open_sled(&data, usual_rules());
        let store = store.unwrap_or_else(|error| panic!("{image}: it was not opened: {error}"));
        println!("{image}: {:?}", store.opened());
        opened.note(store.opened());
        check(&store, moment);
    }
    opened
}

#[test]
fn no_power_cut_loses_what_a_loaded_store_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Some(recorder) = Recorder::of(&data, &folder.path().join("log")) else { return };
    let mut chance = Chance::of_this_run();
    // The second finds what the first left, and makes of it what a start does.
    for round in 0..2 {
        let loader = Loader::recorded(&data, 400 + round, &recorder);
        std::thread::sleep(Duration::from_millis(900 + 2 * u64::from(chance.byte())));
        assert!(loader.kill().len() > 100);
    }
    let recording = recorder.recording();
    let acks: Vec<(usize, Ack)> = recording
        .sent()
        .flat_map(|(record, bytes)| {
            let lines = std::str::from_utf8(bytes).unwrap_or_default().lines();
            lines.filter_map(parse).map(move |ack| (record, ack)).collect::<Vec<_>>()
        })
        .collect();
    let mut verified = 0;
    let opened = try_images(&recording, &mut chance, &mut |store, moment| {
        let before = acks.iter().take_while(|(record, _)| *record < moment);
        let before: Vec<Ack> = before.map(|(_, ack)| ack.clone()).collect();
        verify(store, &before);
        verified += before.len();
    });
    println!("images of a loaded store: {:?}; {verified} acknowledgements verified, 0 lost", opened.0);
    assert!(acks.len() > 200, "the load was too small to show anything: {}", acks.len());
}

/// Loads a relay through two stops and a kill, recorded. Answers what it acknowledged.
fn load_recorded(setup: &Setup, program: &Path) -> Ledger {
    let ledger = Arc::new(Mutex::new(Ledger::new()));
    let journal = setup.folder.join("data/journal");
    let manifest = || Manifest::read(&journal).0;
    let patience = Duration::from_secs(60);
    for life in 0..3 {
        let relay = relay_load::start(setup, program);
        let load = Load::start(relay.address, &format!("life{life}"), 6, &ledger);
        let begun = manifest().map_or(0, |manifest| manifest.segments.last().map_or(0, |open| open.first));
        // Two more files of the journal; then what a stop brought into the index is written anew.
        let is_enough = || {
            manifest().is_some_and(|manifest| {
                let more = manifest.segments.iter().filter(|segment| segment.first > begun).count();
                let is_rewritten = manifest.segments.iter().any(|segment| segment.known > 0);
                more >= 2 && (life == 0 || is_rewritten)
            })
        };
        assert!(wait_until(patience, is_enough), "{:?}", manifest());
        if life < 2 {
            load.end();
            relay.signal(libc::SIGTERM);
            assert!(relay.wait(patience).is_some_and(|status| status.success()));
        } else {
            relay.kill();
            load.end();
        }
    }
    ledger.lock().unwrap().clone()
}

/// By its conversion's or its click's id: at which records something was sent that names it so.
fn answers(recording: &Recording) -> HashMap<String, Vec<usize>> {
    let mut answers: HashMap<String, Vec<usize>> = HashMap::new();
    for (record, bytes) in recording.sent() {
        let text = String::from_utf8_lossy(bytes);
        for (before, end) in [("\"conversion_id\":\"", "\""), ("?cid=", "&")] {
            for (at, _) in text.match_indices(before) {
                let id = text[at + before.len()..].split([end, "\r"].map(|end| end.chars().next().unwrap()));
                answers.entry(id.into_iter().next().unwrap().to_owned()).or_default().push(record);
            }
        }
    }
    answers
}

#[test]
fn no_power_cut_loses_what_a_relay_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let Some(recorder) = Recorder::of(&folder.path().join("data"), &log) else { return };
    let mut chance = Chance::of_this_run();
    let platform = Platform::accepting();
    let mut setup = relay_load::setup(folder.path(), platform.address);
    for (name, value) in recorder.environment() {
        setup = setup.env(name, value.to_str().unwrap());
    }
    let ledger = load_recorded(&setup, &relay_load::program());
    let recording = recorder.recording();
    let answers = answers(&recording);
    let placed: Vec<(usize, Acknowledged)> = ledger
        .into_iter()
        .map(|entry| {
            // A sale that was reported anew was answered twice.
            let (id, time) = match &entry {
                Acknowledged::Click(id) => (id.to_string(), 0),
                Acknowledged::Sale { conversion, price, .. } => {
                    (conversion.to_string(), usize::from(*price == relay_load::PRICES[1]))
                }
            };
            let record = answers.get(&id).and_then(|records| records.get(time));
            (*record.unwrap_or_else(|| panic!("the answer to {entry:?} was not recorded")), entry)
        })
        .collect();
    let mut verified = 0;
    let opened = try_images(&recording, &mut chance, &mut |store, moment| {
        let before = placed.iter().filter(|(record, _)| *record < moment);
        let before: Ledger = before.map(|(_, entry)| entry.clone()).collect();
        let missing = relay_load::missing(store, &before);
        assert_eq!(missing, [""; 0], "of {}", before.len());
        verified += before.len();
    });
    println!("images of a relay: {:?}; {verified} acknowledgements verified, 0 lost", opened.0);
    assert!(placed.len() > 500, "the load was too small to show anything: {}", placed.len());
}
