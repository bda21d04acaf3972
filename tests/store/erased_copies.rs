//! What is left in the files of a data folder once a person's data was erased, and what becomes of it in older copies that
//! are put back.

use std::fs;
use std::path::{Path, PathBuf};

use postbridge::domain::erasure::report::{Erasure, ErasureState};
use postbridge::domain::erasure::subject::SubjectKind;
use postbridge::ops::erasure;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::{at, wait};
use postbridge::store::contract::conformance::fixture::work::{first_page, transactions};
use postbridge::store::contract::copies::{CopyError, KnownBackup};
use postbridge::store::contract::lookup::{ConversionFilter, PostbackFilter};
use postbridge::store::contract::operator::ToKeep;
use postbridge::store::embedded::Embedded;
use postbridge::store::embedded::data_folder::{restore_folder, restore_in_place_of, salvage_folder};
use postbridge::store::engine::journal::changes;
use postbridge::store::engine::journal::segment_reader::SegmentReader;
use postbridge::store::engine::restore::RestoreSource;

use crate::store::backups::backup;
use crate::store::erased_bytes::{EMAIL, erase, fill, needles, plan, unpacked};
use crate::support::damaged_folder::{copy, open};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The bytes of a file, and of a segment what is packed in its frames.
fn plain(file: &Path) -> Vec<u8> {
    let mut bytes = fs::read(file).unwrap();
    if file.extension().is_some_and(|ending| ending == "journal") {
        let mut reader = SegmentReader::open(file).unwrap();
        while let Ok(head) = reader.next_frame() {
            changes::each(reader.unpack(&head).unwrap(), |(key, value)| {
                bytes.extend(key);
                bytes.extend(unpacked(value.unwrap_or_default()));
            })
            .unwrap();
        }
    }
    bytes.make_ascii_lowercase();
    bytes
}

/// The files below a folder that name the person.
fn naming(folder: &Path) -> Vec<String> {
    let names = |file: &PathBuf| {
        let bytes = plain(file);
        needles().iter().any(|needle| memchr::memmem::find(&bytes, needle).is_some())
    };
    let found = files(folder).into_iter().filter(names);
    found.map(|file| file.strip_prefix(folder).unwrap().display().to_string()).collect()
}

/// Lets the journal go on as it does within the hour.
fn rewrite(store: &Embedded) {
    wait(store.erase_step(at(700))).unwrap();
    wait(store.erase_step(at(700))).unwrap();
    store.folder().unwrap().tidy().unwrap();
    wait(store.erase_step(at(701))).unwrap();
}

/// Lets the index be made anew, as it is after that.
fn renew(store: &Embedded) {
    store.folder().unwrap().tidy().unwrap();
    wait(store.erase_step(at(800))).unwrap();
}

fn one(store: &Embedded) -> Erasure {
    wait(store.erasure(1)).unwrap().unwrap()
}

/// Erases, and takes it out of the journal.
fn erase_all(store: &Embedded) {
    erase(store);
    rewrite(store);
}

/// Applies what is not applied yet, and takes it out of the journal.
fn go_on(store: &Embedded) {
    wait(erasure::finish(store, at(600))).unwrap();
    rewrite(store);
}

/// Nothing that the store shows names the person, and nothing of the others is lost.
fn assert_erased(store: &Embedded) {
    let kept = one(store);
    assert_eq!(kept.state, ErasureState::Done { at: at(600) });
    assert!(kept.erased.conversions > 0, "{kept:?}");
    let shown = format!(
        "{:?}{:?}",
        wait(store.conversions(ConversionFilter::default(), first_page(10))).unwrap(),
        wait(store.postbacks(PostbackFilter::default(), first_page(10))).unwrap()
    );
    assert!(!shown.to_lowercase().contains("jane"), "{shown}");
    assert_eq!(transactions(store, ConversionFilter::default()), ["t3", "t2", "t1"]);
}

fn known(dir: &Path) -> ToKeep {
    ToKeep::Backup(KnownBackup { dir: dir.to_owned(), began: at(450), ended: at(451), last: 1 })
}

#[test]
fn no_file_has_the_data_once_the_journal_is_rewritten_and_the_index_was_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = open(&data).unwrap();
    fill(&store);
    // It is in the index too.
    store.folder().unwrap().tidy().unwrap();
    assert!(!naming(&data.join("journal")).is_empty());
    erase(&store);
    assert!(!naming(&data.join("journal")).is_empty(), "what was overwritten is in the journal still");
    assert_eq!(one(&store).journal.rewritten_at, None);
    // In the place of a byte in the index's free space.
    fs::write(data.join("index/old"), EMAIL).unwrap();
    fs::write(data.join("index.set-aside"), EMAIL).unwrap();
    assert_eq!(one(&store).journal.files, ["index.set-aside"]);
    fs::remove_file(data.join("index.set-aside")).unwrap();
    rewrite(&store);
    assert_eq!(naming(&data.join("journal")), Vec::<String>::new());
    let journal = one(&store).journal;
    assert_eq!((journal.rewritten_at, journal.index_renewed_at), (Some(at(701)), None));
    renew(&store);
    assert_eq!(one(&store).journal.index_renewed_at, Some(at(800)));
    assert_eq!(naming(&data), Vec::<String>::new());
    assert_erased(&store);
    assert!(store.folder().unwrap().verify(&|_, _| {}).unwrap().is_fine());
    wait(store.close()).unwrap();
    drop(store);
    let store = open(&data).unwrap();
    assert_eq!(store.opened().repairs, Vec::<String>::new());
    assert_eq!(naming(&data), Vec::<String>::new());
    assert_erased(&store);
    assert!(store.folder().unwrap().verify(&|_, _| {}).unwrap().is_fine());
}

#[test]
fn a_file_of_the_journal_that_was_rewritten_is_rewritten_again_for_a_later_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = open(&data).unwrap();
    fill(&store);
    let other = plan(&store, SubjectKind::Email, "adam@example.com").unwrap();
    wait(erasure::carry_out(&store, other, ("ops", false))).unwrap();
    go_on(&store);
    assert!(one(&store).journal.rewritten_at.is_some());
    assert!(!naming(&data.join("journal")).is_empty());
    erase_all(&store);
    let kept = wait(store.erasure(2)).unwrap().unwrap();
    assert_eq!(kept.journal.rewritten_at, Some(at(701)));
    assert_eq!(naming(&data.join("journal")), Vec::<String>::new());
}

#[test]
fn a_stop_at_any_time_leaves_the_rest_of_it_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut store = open(&data).unwrap();
    fill(&store);
    let plan = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    wait(erasure::carry_out(&store, plan, ("ops", false))).unwrap();
    let step = |store: &Embedded| {
        wait(store.erase_step(at(600))).unwrap();
    };
    let steps: [&dyn Fn(&Embedded); 8] = [
        &|_| {},
        &step,
        &|store| wait(erasure::finish(store, at(600))).unwrap(),
        &step,
        &step,
        &|store| store.folder().unwrap().tidy().unwrap(),
        &step,
        &step,
    ];
    for (number, act) in steps.iter().enumerate() {
        act(&store);
        // What a kill leaves.
        let image = folder.path().join(number.to_string());
        copy(&data, &image);
        let again = open(&image).unwrap();
        wait(erasure::finish(&again, at(600))).unwrap();
        rewrite(&again);
        drop(again);
        // It is asked for before the stop, and done after it.
        let again = open(&image).unwrap();
        renew(&again);
        assert_erased(&again);
        assert!(one(&again).journal.index_renewed_at.is_some(), "after step {number}");
        assert_eq!(naming(&image), Vec::<String>::new(), "after step {number}");
        wait(store.close()).unwrap();
        drop(store);
        store = open(&data).unwrap();
    }
}

#[test]
fn an_older_backup_that_is_restored_is_erased_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data).unwrap();
    fill(&store);
    backup(&store, &target).unwrap();
    let unknown = folder.path().join("unknown");
    backup(&store, &unknown).unwrap();
    wait(store.keep(known(&target))).unwrap();
    erase_all(&store);
    assert_eq!(one(&store).journal.backups, [target.display().to_string()], "it has the data still");
    drop(store);
    let (new, left, moved) =
        (folder.path().join("new"), folder.path().join("left"), folder.path().join("moved"));
    // By the file that the backup was given; by one that was left in the folder; by the folder that is replaced.
    restore_folder(&target, &new, &|_, _| {}).unwrap();
    fs::create_dir(&left).unwrap();
    fs::copy(data.join("erasures"), left.join("erasures")).unwrap();
    restore_folder(&unknown, &left, &|_, _| {}).unwrap();
    let source = RestoreSource { backup: &unknown, replaced: Some(&data) };
    let report = restore_in_place_of(source, &moved, &|_, _| {}).unwrap();
    assert_eq!(report.erasures, 1);
    for restored in [&new, &left, &moved] {
        assert!(!naming(restored).is_empty());
        let store = open(restored).unwrap();
        go_on(&store);
        assert_erased(&store);
        renew(&store);
        drop(store);
        assert_eq!(naming(restored), Vec::<String>::new(), "{}", restored.display());
    }
    let gone = RestoreSource { backup: &unknown, replaced: Some(&folder.path().join("nowhere")) };
    let refused = restore_in_place_of(gone, &folder.path().join("other"), &|_, _| {});
    assert!(matches!(refused, Err(CopyError::Io { .. })), "{refused:?}");
}

#[test]
fn a_backup_that_is_made_again_has_neither_the_data_nor_misses_the_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data).unwrap();
    fill(&store);
    backup(&store, &target).unwrap();
    erase_all(&store);
    backup(&store, &target).unwrap();
    assert_eq!(naming(&target), Vec::<String>::new());
    assert_eq!(fs::read(target.join("erasures")).unwrap(), fs::read(data.join("erasures")).unwrap());
    let late = KnownBackup { dir: target.clone(), began: at(800), ended: at(801), last: 9 };
    wait(store.keep(ToKeep::Backup(late))).unwrap();
    assert_eq!(one(&store).journal.backups, Vec::<String>::new());
}

#[test]
fn a_known_backup_that_cannot_be_reached_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data).unwrap();
    fill(&store);
    backup(&store, &target).unwrap();
    let (away, other) = (folder.path().join("away"), folder.path().join("other"));
    backup(&open(&folder.path().join("data of others")).unwrap(), &other).unwrap();
    for dir in [&away, &target, &other] {
        wait(store.keep(known(dir))).unwrap();
    }
    let plan = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    let kept = wait(erasure::carry_out(&store, plan, ("ops", false))).unwrap();
    let names = [&away, &other].map(|dir| dir.display().to_string());
    assert_eq!(kept.journal.unreached, names);
    assert!(target.join("erasures").exists() && !other.join("erasures").exists() && !away.exists());
    assert_eq!(one(&store), kept);
}

#[test]
fn what_is_salvaged_is_erased_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, new) = (folder.path().join("data"), folder.path().join("new"));
    let store = open(&data).unwrap();
    fill(&store);
    erase_all(&store);
    drop(store);
    salvage_folder(&data, &new, &|_, _| {}).unwrap();
    let store = open(&new).unwrap();
    assert_eq!(one(&store).state, ErasureState::Working);
    wait(erasure::finish(&store, at(600))).unwrap();
    assert_eq!(one(&store).state, ErasureState::Done { at: at(600) });
    drop(store);
    assert_eq!(one(&open(&new).unwrap()).state, ErasureState::Done { at: at(600) }, "once");
}

#[test]
fn a_damaged_file_of_erasures_is_filled_again_and_one_of_another_store_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let store = open(&data).unwrap();
    fill(&store);
    assert!(!data.join("erasures").exists());
    let before = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    wait(erasure::carry_out(&store, before, ("ops", false))).unwrap();
    let file = data.join("erasures");
    let whole = fs::read(&file).unwrap();
    assert!(memchr::memmem::find(&whole, b"jane").is_none());
    drop(store);
    for damaged in [&whole[..whole.len() / 2], b"\xff\xfe\n", b""] {
        fs::write(&file, damaged).unwrap();
        drop(open(&data).unwrap());
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    fs::remove_file(&file).unwrap();
    drop(open(&data).unwrap());
    assert_eq!(fs::read(&file).unwrap(), whole);
    drop(open(&other).unwrap());
    fs::copy(&file, other.join("erasures")).unwrap();
    let store = open(&other).unwrap();
    assert_eq!(wait(store.erasures(first_page(10))).unwrap().items, []);
    assert!(!other.join("erasures").exists());
    assert_eq!(fs::read(other.join("erasures.set-aside")).unwrap(), whole);
}
