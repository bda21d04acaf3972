//! What a verification finds, in a folder that no one has open and in a store that runs; and what is salvaged of a damaged one.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;
use postbridge::store::contract::verification::StoreVerification;
use postbridge::store::embedded::data_folder::{renew_index, salvage_folder, verify_closed};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::data_folder::{FolderContents, FolderSettings};
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::journal::manifest::Manifest;
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};
use postbridge::store::engine::open_folder;
use postbridge::store::engine::packed::Packed;
use postbridge::store::engine::sled::Sled;

use crate::support::damaged_folder::{
    Acknowledged, FolderImage, Outcome, copy, killed, open, outcome, receive, small_settings, stopped,
};
use crate::support::relay::wait_until;

/// The tables that the store packs.
const TABLES: &[u8] = b"AGEXBHPR";

fn verified(data: &Path) -> StoreVerification {
    verify_closed(data, &|_, _| {}).unwrap()
}

fn codes(verification: &StoreVerification) -> BTreeSet<&'static str> {
    verification.findings.iter().map(|finding| finding.code()).collect()
}

/// A copy of a folder, damaged.
fn damaged(image: &FolderImage, damage: impl FnOnce(&Path)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(&image.data(), &data);
    damage(&data);
    (folder, data)
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.collect();
    found.retain(|file| file.extension().is_some_and(|ending| ending == "journal"));
    found.sort();
    found
}

/// A folder that was closed, whose first file of the journal is finished, and written anew as it is once it changes no more.
fn rewritten() -> FolderImage {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "r", 2500, &mut acknowledged);
    let is_rewritten = || {
        let manifest = Manifest::read(&data.join("journal")).0;
        manifest.is_some_and(|manifest| manifest.segments[0].known > 0)
    };
    assert!(wait_until(Duration::from_secs(60), is_rewritten));
    wait(store.close()).unwrap();
    drop(store);
    // What was replaced is removed by the next start.
    wait(open(&data).unwrap().close()).unwrap();
    FolderImage { folder, acknowledged, older: tempfile::tempdir().unwrap() }
}

/// Changes a record of the index in such a way that its own sums are those of what it has then.
fn change_record(data: &Path) {
    let sled = Arc::new(Sled::open(&data.join("index")).unwrap());
    let packed = Packed::new(Arc::<Sled>::clone(&sled), TABLES);
    let mut batch = Batch::default();
    packed
        .scan(Span { from: b"P", to: b"Q", direction: Direction::Up }, &mut |key, value| {
            let mut value = value.unwrap().to_vec();
            *value.last_mut().unwrap() ^= 1;
            batch.put(key.to_vec(), value);
            std::ops::ControlFlow::Break(())
        })
        .unwrap();
    packed.apply(batch).unwrap();
    sled.sync().unwrap();
}

fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else if path.file_name().unwrap() != "lock" {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn what_is_whole_is_fine_and_is_not_changed_by_looking_at_it() {
    for image in [stopped(300), killed(300)] {
        let before = all_files(&image.data());
        let verification = verified(&image.data());
        assert_eq!(codes(&verification), BTreeSet::new(), "{verification:?}");
        assert!(verification.records > 900 && verification.references > 900, "{verification:?}");
        assert!(all_files(&image.data()) == before);
    }
}

#[test]
fn each_kind_of_damage_is_found_and_named() {
    let image = rewritten();
    let found = |damage: &dyn Fn(&Path)| codes(&verified(&damaged(&image, damage).1));
    let a_frame = found(&|data| flip(&segments(data)[0], 6000));
    assert_eq!(a_frame, BTreeSet::from(["journal_damaged", "segment_differs"]));
    let a_hash = found(&|data| flip(&segments(data)[0], 3500));
    assert_eq!(a_hash, BTreeSet::from(["segment_differs"]));
    let missing = found(&|data| fs::remove_file(&segments(data)[0]).unwrap());
    assert_eq!(missing, BTreeSet::from(["journal_damaged", "segment_differs"]));
    let manifest = found(&|data| flip(&data.join("journal/manifest.copy"), 80));
    assert_eq!(manifest, BTreeSet::from(["journal_flaw"]));
    assert_eq!(found(&change_record), BTreeSet::from(["record_differs"]));
    let no_index = found(&|data| fs::remove_dir_all(data.join("index")).unwrap());
    assert_eq!(no_index, BTreeSet::from(["index_wrong"]));
    let an_index = found(&|data| {
        let db = data.join("index/db");
        let middle = fs::metadata(&db).unwrap().len() as usize / 2;
        let mut bytes = fs::read(&db).unwrap();
        bytes[middle..].fill(0);
        fs::write(&db, bytes).unwrap();
    });
    assert_eq!(an_index, BTreeSet::from(["index_wrong"]));
}

#[test]
fn counts_of_the_manifest_that_are_not_those_of_the_frames_are_found() {
    let image = rewritten();
    let (_folder, data) = damaged(&image, |data| {
        let journal = data.join("journal");
        let mut manifest = Manifest::read(&journal).0.unwrap();
        let finished = manifest.segments[0].finished.as_mut().unwrap();
        finished.counts.get_mut(&b'P').unwrap().put += 1;
        manifest.write(&journal).unwrap();
    });
    assert_eq!(codes(&verified(&data)), BTreeSet::from(["segment_differs"]));
}

#[test]
fn a_folder_that_someone_has_open_is_not_looked_at_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _store = open(&data).unwrap();
    assert!(matches!(verify_closed(&data, &|_, _| {}), Err(OpenError::Locked { .. })));
}

/// What is counted of something is changed in journal and index alike.
fn miscount(data: &Path) {
    let settings = small_settings().folder;
    let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
    let (kv, _) = open_folder::open(data, &settings, contents).unwrap();
    let mut lines = Vec::new();
    kv.scan(Span { from: b"U", to: b"V", direction: Direction::Up }, &mut |key, value| {
        lines.push((key.to_vec(), value.unwrap().to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    let other = |value: &[u8]| lines.iter().map(|(_, other)| other).find(|other| *other != value).cloned();
    let (key, value) = lines.iter().find_map(|(key, value)| Some((key, other(value)?))).unwrap();
    let mut batch = Batch::default();
    batch.put(key.clone(), value);
    kv.commit(batch, &mut |_| {}).unwrap();
    kv.close().unwrap();
}

#[test]
fn what_is_counted_otherwise_than_a_recount_finds_is_named() {
    for image in [killed(600), stopped(600)] {
        let whole = verified(&image.data());
        assert!(whole.is_fine() && whole.counts > 0, "{whole:?}");
        let (_folder, data) = damaged(&image, miscount);
        assert_eq!(codes(&verified(&data)), BTreeSet::from(["count_differs"]));
        let store = open(&data).unwrap();
        assert_eq!(codes(&verify_live(&store)), BTreeSet::from(["count_differs"]));
    }
}

fn verify_live(store: &Embedded) -> StoreVerification {
    store.folder().unwrap().verify(&|_, _| {}).unwrap()
}

#[test]
fn a_store_that_is_written_at_full_speed_is_found_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = Arc::new(open(&data).unwrap());
    receive(&store, "before", 300, &mut Acknowledged::new());
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            std::thread::spawn(move || {
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    receive(&store, &format!("w{number}-{round}"), 20, &mut Acknowledged::new());
                }
            })
        })
        .collect();
    let verification = verify_live(&store);
    is_over.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(codes(&verification), BTreeSet::new(), "{verification:?}");
    assert!(verification.records > 900);
}

#[test]
fn a_running_store_finds_a_damaged_segment_and_a_record_that_its_index_has_otherwise() {
    let image = rewritten();
    let (_folder, data) = damaged(&image, change_record);
    let store = open(&data).unwrap();
    assert_eq!(codes(&verify_live(&store)), BTreeSet::from(["record_differs"]));
    flip(&segments(&data)[0], 3500);
    assert_eq!(codes(&verify_live(&store)), BTreeSet::from(["record_differs", "segment_differs"]));
}

fn open_accepting(data: &Path, word: &str) -> Result<Embedded, OpenError> {
    let settings = small_settings();
    let folder = FolderSettings { accept_loss: Some(word.to_owned()), ..settings.folder };
    let settings = EmbeddedSettings { folder, ..settings };
    let rules = postbridge::store::contract::conformance::fixture::engine::usual_rules();
    Embedded::open_sled_with(data, rules, settings)
}

/// A folder in which both copies have lost the same: its journal has a bad frame, and its index is gone.
fn lost_in_both(at: usize) -> (tempfile::TempDir, PathBuf, Acknowledged) {
    let image = stopped(400);
    let (folder, data) = damaged(&image, |data| {
        flip(&segments(data)[0], at);
        fs::remove_dir_all(data.join("index")).unwrap();
    });
    (folder, data, image.acknowledged.clone())
}

fn refusal(data: &Path) -> (String, u64, u64) {
    match open(data) {
        Err(OpenError::Damaged { damage, word, .. }) => (word, damage[0].first, damage[0].last.known()),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn a_loss_is_accepted_by_the_word_for_this_very_damage_and_nothing_else_is_lost() {
    let (_folder, data, acknowledged) = lost_in_both(30_000);
    let (_other_folder, other, _) = lost_in_both(60_000);
    let (word, first, last) = refusal(&data);
    let (other_word, ..) = refusal(&other);
    assert_ne!(word, other_word);
    for wrong in [other_word.as_str(), "", "yes"] {
        assert!(matches!(open_accepting(&data, wrong), Err(OpenError::Damaged { .. })), "{wrong}");
    }
    let store = open_accepting(&data, &word).unwrap();
    assert!(store.opened().repairs.iter().any(|repair| repair.contains("goes on without")));
    wait(store.close()).unwrap();
    drop(store);
    // One commit was named, and one sale, or none where it held a click, is not known.
    assert_eq!(first, last);
    match outcome(&data, &acknowledged) {
        Outcome::Lost(what) => assert!(what.starts_with("1 of "), "{what}"),
        other => assert!(matches!(other, Outcome::Whole | Outcome::Repaired), "{other:?}"),
    }
}

#[test]
fn what_can_be_read_of_a_refused_folder_is_salvaged_and_the_rest_is_named() {
    let (folder, data, acknowledged) = lost_in_both(30_000);
    let before = all_files(&data);
    let new = folder.path().join("new");
    let report = salvage_folder(&data, &new, &|_, _| {}).unwrap();
    assert!(all_files(&data) == before);
    assert!(report.records[&'B'] >= 399, "{report:?}");
    assert_eq!(report.of_index, None);
    assert!(report.lost.iter().any(|lost| lost.contains("commit ")), "{report:?}");
    match outcome(&new, &acknowledged) {
        Outcome::Lost(what) => assert!(what.starts_with("1 of "), "{what}"),
        other => assert!(matches!(other, Outcome::Whole | Outcome::Repaired), "{other:?}"),
    }
    assert!(salvage_folder(&data, &new, &|_, _| {}).is_err(), "it is not empty");
}

#[test]
fn what_only_the_index_has_is_salvaged_from_it() {
    let image = stopped(400);
    let (folder, data) = damaged(&image, |data| {
        fs::remove_file(&segments(data)[0]).unwrap();
        fs::remove_file(data.join("journal/manifest")).unwrap();
        fs::remove_file(data.join("journal/manifest.copy")).unwrap();
    });
    let new = folder.path().join("new");
    let report = salvage_folder(&data, &new, &|_, _| {}).unwrap();
    assert!(report.of_index.is_some_and(|count| count > 0), "{report:?}");
    assert_eq!(outcome(&new, &image.acknowledged), Outcome::Whole);
    assert_eq!(codes(&verified(&new)), BTreeSet::new());
}

#[test]
fn an_index_whose_records_are_others_is_made_anew_and_the_one_before_goes_with_the_next_clean_stop() {
    let image = stopped(400);
    let (_folder, data) = damaged(&image, change_record);
    assert!(verified(&data).has_other_records());
    renew_index(&data).unwrap();
    assert_eq!(codes(&verified(&data)), BTreeSet::new());
    assert_eq!(outcome(&data, &image.acknowledged), Outcome::Whole);
    wait(open(&data).unwrap().close()).unwrap();
    let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("aside")).count(), 0);
}

#[test]
fn opening_repairs_what_a_verification_found() {
    let image = rewritten();
    let damages: [&dyn Fn(&Path); 3] = [
        &|data| flip(&segments(data)[0], 6000),
        &|data| fs::remove_file(&segments(data)[0]).unwrap(),
        &|data| fs::remove_dir_all(data.join("index")).unwrap(),
    ];
    for damage in damages {
        let (_folder, data) = damaged(&image, damage);
        assert!(!verified(&data).is_fine());
        let store = open(&data).unwrap();
        wait(store.close()).unwrap();
        drop(store);
        assert_eq!(codes(&verified(&data)), BTreeSet::new());
    }
}
