//! Backups of a store that is written at full speed, what is restored from them, and what refuses them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postbridge::store::contract::Store;
use postbridge::store::contract::copies::{CopyError, CopyReport};
use postbridge::store::embedded::Embedded;
use postbridge::store::embedded::data_folder::restore_folder;
use postbridge::store::engine::journal::manifest::Manifest;

use crate::support::damaged_folder::{Acknowledged, Outcome, open, outcome, receive};
use crate::support::relay::wait_until;
use crate::support::trial::rounds;

pub fn backup(store: &Embedded, target: &Path) -> Result<CopyReport, CopyError> {
    store.folder().unwrap().backup(target, &|_, _| {})
}

/// Restores a backup into a new folder, and sends again all that was acknowledged.
fn restored(target: &Path, acknowledged: &Acknowledged) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    restore_folder(target, &data, &|_, _| {}).unwrap();
    outcome(&data, acknowledged)
}

fn segments(target: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(target.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|file| file.extension().is_some()).collect();
    found.retain(|file| file.extension().is_some_and(|ending| ending == "journal"));
    found.sort();
    found
}

/// Small commits are written anew in larger ones once they are in the index: then the first file changes no more.
fn wait_until_rewritten(data: &Path) {
    let is_rewritten = || {
        let manifest = Manifest::read(&data.join("journal")).0;
        manifest.is_some_and(|manifest| manifest.segments[0].known > 0)
    };
    assert!(wait_until(Duration::from_secs(60), is_rewritten));
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_backup_has_all_that_was_acknowledged_before_it_began_while_the_store_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = Arc::new(open(&data).unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
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
    let mut acknowledged = Acknowledged::new();
    for round in 0..rounds(4) {
        receive(&store, &format!("own-{round}"), 120, &mut acknowledged);
        let report = backup(&store, &target).unwrap();
        assert!(report.copied >= 1, "{report:?}");
        assert!(matches!(restored(&target, &acknowledged), Outcome::Whole), "{round}");
    }
    is_over.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn the_second_backup_copies_only_what_is_new_and_a_damaged_file_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "first", 2500, &mut acknowledged);
    wait_until_rewritten(&data);
    let first = backup(&store, &target).unwrap();
    assert_eq!(first.already_there, 0);
    assert!(first.copied >= 2, "{first:?}");
    let second = backup(&store, &target).unwrap();
    assert_eq!((second.copied, second.already_there), (1, first.copied - 1));
    assert_eq!(second.last, first.last);
    // What is on the backup's own disk may turn bad.
    let files = segments(&target);
    flip(&files[0], 9000);
    receive(&store, "second", 5, &mut acknowledged);
    let third = backup(&store, &target).unwrap();
    assert_eq!((third.copied, third.already_there), (2, first.copied - 2));
    assert_eq!(restored(&target, &acknowledged), Outcome::Whole);
}

#[test]
fn a_backup_that_finds_its_source_damaged_names_it_and_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "first", 20, &mut acknowledged);
    backup(&store, &target).unwrap();
    receive(&store, "second", 2000, &mut Acknowledged::new());
    wait_until_rewritten(&data);
    let source = segments(&data)[0].clone();
    flip(&source, 6000);
    match backup(&store, &target) {
        Err(CopyError::Source { file, .. }) => assert_eq!(file, source),
        other => panic!("{other:?}"),
    }
    assert_eq!(restored(&target, &acknowledged), Outcome::Whole);
}

#[test]
fn a_backup_goes_into_no_folder_that_holds_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data).unwrap();
    assert!(matches!(backup(&store, &data), Err(CopyError::Within { .. })));
    assert!(matches!(backup(&store, &data.join("inside")), Err(CopyError::Within { .. })));
    assert!(matches!(backup(&store, folder.path()), Err(CopyError::Within { .. })));
    let other = open(&folder.path().join("other")).unwrap();
    backup(&other, &target).unwrap();
    assert!(matches!(backup(&store, &target), Err(CopyError::OtherStore { .. })));
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letters.txt"), "mine").unwrap();
    assert!(matches!(backup(&store, &full), Err(CopyError::NoBackup { .. })));
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
}

#[test]
fn a_restore_refuses_a_folder_that_has_anything_and_a_backup_that_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data).unwrap();
    receive(&store, "first", 20, &mut Acknowledged::new());
    backup(&store, &target).unwrap();
    drop(store);
    let restore_into = |data: &Path| restore_folder(&target, data, &|_, _| {});
    assert!(matches!(restore_into(&data), Err(CopyError::NotEmpty { .. })));
    let nothing = restore_folder(folder.path(), &folder.path().join("new"), &|_, _| {});
    assert!(matches!(nothing, Err(CopyError::NothingThere { .. })));
    flip(&segments(&target)[0], 6000);
    assert!(matches!(restore_into(&folder.path().join("new")), Err(CopyError::Damaged { .. })));
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_restore_that_was_interrupted_is_not_opened_and_can_be_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "first", 20, &mut acknowledged);
    backup(&store, &target).unwrap();
    let new = folder.path().join("new");
    restore_folder(&target, &new, &|_, _| {}).unwrap();
    fs::write(new.join("restoring"), "").unwrap();
    fs::remove_file(new.join("journal/manifest")).unwrap();
    assert!(open(&new).is_err());
    restore_folder(&target, &new, &|_, _| {}).unwrap();
    assert_eq!(outcome(&new, &acknowledged), Outcome::Whole);
}

#[test]
fn a_backup_that_ends_between_its_two_names_is_whole_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "first", 20, &mut acknowledged);
    backup(&store, &target).unwrap();
    fs::rename(target.join("journal"), target.join("journal.new")).unwrap();
    assert_eq!(restored(&target, &acknowledged), Outcome::Whole);
    receive(&store, "second", 20, &mut acknowledged);
    backup(&store, &target).unwrap();
    assert_eq!(restored(&target, &acknowledged), Outcome::Whole);
    let names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["journal"]);
}
