//! Journal and index as one engine: whatever is committed, rewritten, ended and made anew, it holds what a plain map holds.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postbridge::domain::time::Time;
use postbridge::store::engine::checkpoint::CheckpointSettings;
use postbridge::store::engine::data_folder::{FolderContents, FolderSettings, OpenReport};
use postbridge::store::engine::journal::append::{Journal, JournalSettings};
use postbridge::store::engine::journal::finish::finish_all;
use postbridge::store::engine::journal::inspect::inspect;
use postbridge::store::engine::journal::segment::StoreId;
use postbridge::store::engine::journal::segment_reader::SegmentReader;
use postbridge::store::engine::journaled::Journaled;
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};
use postbridge::store::engine::open_folder;

use crate::support::damaged_folder::copy;
use crate::support::trial::{Chance, rounds};

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Packed records, records with keys in no order, and a ring of keys that are used again.
pub const TABLES: &[u8] = b"HR";

pub struct Clock(pub Arc<AtomicI64>);

impl Clock {
    pub fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::Relaxed)).unwrap()
    }

    pub fn settings(&self) -> FolderSettings {
        let millis = Arc::clone(&self.0);
        let wall = move || Time::from_millis(millis.fetch_add(1000, Ordering::Relaxed)).unwrap();
        FolderSettings {
            journal: JournalSettings { segment_bytes: 16 * 1024, wall: Some(Arc::new(wall)) },
            checkpoint: CheckpointSettings { every: Duration::from_secs(3600), bytes: 24 * 1024 },
            ..FolderSettings::default()
        }
    }
}

fn open(data: &Path, clock: &Clock) -> Journaled {
    let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
    open_folder::open(data, &clock.settings(), contents).unwrap().0
}

pub fn held(kv: &dyn Kv, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut tables: Vec<u8> = (b'A'..=b'Z').collect();
    if direction == Direction::Down {
        tables.reverse();
    }
    for table in tables {
        let span = Span { from: &[table], to: &[table + 1], direction };
        kv.scan(span, &mut |key, value| {
            found.push((key.to_vec(), value.unwrap().to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    found
}

pub fn assert_holds(kv: &dyn Kv, model: &Model, after: &str) {
    let wanted: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert!(held(kv, Direction::Up) == wanted, "it does not hold what it should after {after}");
    let mut down = held(kv, Direction::Down);
    down.reverse();
    assert!(down == wanted, "downwards, after {after}");
    for (key, value) in model.iter().step_by(7) {
        assert_eq!(kv.get(key).unwrap().as_ref(), Some(value), "after {after}");
    }
    assert_eq!(kv.get(b"Hnothing").unwrap(), None);
}

fn random(chance: &mut Chance, below: usize) -> usize {
    (usize::from(chance.byte()) * 256 + usize::from(chance.byte())) % below
}

/// Commits some changes to the engine and to the map.
fn commit(kv: &dyn Kv, model: &mut Model, next: &mut u64, chance: &mut Chance) {
    let mut batch = Batch::default();
    for _ in 0..1 + random(chance, 12) {
        let length = if chance.byte() < 6 { 9000 } else { random(chance, 300) };
        let value = vec![chance.byte(); length];
        match chance.byte() % 8 {
            0..4 => {
                let key = [b"H".as_slice(), &next.to_be_bytes()].concat();
                *next += 1;
                model.insert(key.clone(), value.clone());
                batch.add(key, value);
            }
            4 => {
                let key = vec![b'K', chance.byte(), chance.byte() % 4];
                model.insert(key.clone(), value.clone());
                batch.put(key, value);
            }
            5 => {
                let key = vec![b'U', chance.byte() % 16];
                model.insert(key.clone(), value.clone());
                batch.put(key, value);
            }
            6 => {
                let key = vec![b'U', chance.byte() % 16];
                model.remove(&key);
                batch.remove(key);
            }
            _ => {
                let Some(key) = model.keys().nth(random(chance, model.len().max(1))).cloned() else {
                    continue;
                };
                if chance.byte() < 100 {
                    model.insert(key.clone(), value.clone());
                    batch.put(key, value);
                } else {
                    model.remove(&key);
                    batch.remove(key);
                }
            }
        }
    }
    kv.commit(batch, &mut |_| {}).unwrap();
}

#[test]
fn it_holds_what_a_map_holds_through_rewritings_renewals_stops_kills_and_a_lost_index() {
    let mut chance = Chance::of_this_run();
    for _ in 0..rounds(3) {
        let folder = tempfile::tempdir().unwrap();
        let mut data = folder.path().join("data-0");
        let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
        let (mut model, mut next) = (Model::new(), 0);
        let mut kv = open(&data, &clock);
        for round in 1..=30 {
            for _ in 0..random(&mut chance, 60) {
                commit(&kv, &mut model, &mut next, &mut chance);
            }
            let after = match chance.byte() % 7 {
                0 => {
                    kv.tidy_now(&[clock.now()]).unwrap();
                    "a rewriting"
                }
                1 => {
                    // What is old goes, and with it whole segments.
                    let mut batch = Batch::default();
                    let old: Vec<_> = model.keys().take(model.len() / 2).cloned().collect();
                    for key in old {
                        model.remove(&key);
                        batch.remove(key);
                    }
                    kv.commit(batch, &mut |_| {}).unwrap();
                    kv.tidy_now(&[clock.now()]).unwrap();
                    "a purge and a rewriting"
                }
                2 => {
                    drop(kv);
                    kv = open(&data, &clock);
                    "a stop"
                }
                3 => {
                    let copied = folder.path().join(format!("data-{round}"));
                    copy(&data, &copied);
                    drop(kv);
                    data = copied;
                    kv = open(&data, &clock);
                    "a kill"
                }
                4 => {
                    drop(kv);
                    fs::remove_dir_all(data.join("index")).unwrap();
                    kv = open(&data, &clock);
                    "the loss of the index"
                }
                5 => {
                    kv.renew_index().unwrap();
                    kv.renew_index_now(&|| Ok(())).unwrap();
                    assert!(!kv.is_index_to_renew());
                    "a renewal of the index"
                }
                _ => "commits",
            };
            assert_holds(&kv, &model, after);
        }
        kv.tidy_now(&[clock.now()]).unwrap();
        drop(kv);
        fs::remove_dir_all(data.join("index")).unwrap();
        assert_holds(&open(&data, &clock), &model, "the loss of the index at the end");
    }
}

#[test]
fn what_is_gone_is_in_no_file_of_the_journal_once_it_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let kv = open(&data, &clock);
    for number in 0..2000u64 {
        let mut batch = Batch::default();
        let key = [b"H".as_slice(), &number.to_be_bytes()].concat();
        batch.add(key, format!("person-{number}@example.com, of whom there is some text").into_bytes());
        kv.commit(batch, &mut |_| {}).unwrap();
    }
    let bytes = || -> u64 {
        let files = fs::read_dir(data.join("journal")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let before = bytes();
    let mut batch = Batch::default();
    (0..1900u64).for_each(|number| batch.remove([b"H".as_slice(), &number.to_be_bytes()].concat()));
    kv.commit(batch, &mut |_| {}).unwrap();
    kv.tidy_now(&[clock.now()]).unwrap();
    let after = bytes();
    assert!(after < before / 2, "{before} bytes before, {after} after");
    // The oldest of what is left is where the journal begins.
    let mut journal = Vec::new();
    for file in fs::read_dir(data.join("journal")).unwrap() {
        journal.extend(fs::read(file.unwrap().path()).unwrap());
    }
    assert!(!journal.windows(9).any(|bytes| bytes == b"person-5@"), "the first ones are gone");
    drop(kv);
    fs::remove_dir_all(data.join("index")).unwrap();
    assert_eq!(held(&open(&data, &clock), Direction::Up).len(), 100);
}

#[test]
fn a_file_that_is_full_to_its_last_bytes_has_nothing_behind_its_end() {
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let mut chance = Chance::of_this_run();
    let most: Vec<u8> = (0..16 * 1024).map(|_| chance.byte()).collect();
    let mut lefts = Vec::new();
    for length in 12_150..12_300 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let kv = open(&data, &clock);
        let mut batch = Batch::default();
        batch.put(b"K1".to_vec(), most[..length].to_vec());
        kv.commit(batch, &mut |_| {}).unwrap();
        let (_, end) = kv.journal().snapshot();
        let left = end.header.size - end.at;
        if left > 64 {
            continue;
        }
        lefts.push(left);
        let killed = folder.path().join("killed");
        copy(&data, &killed);
        drop(kv);
        for data in [&data, &killed] {
            let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
            let report = open_folder::open(data, &clock.settings(), contents).unwrap().1;
            assert_eq!(report, OpenReport::default(), "{left} bytes are left");
        }
    }
    assert!(lefts.iter().filter(|left| **left < 32).count() > 10, "{lefts:?}");
}

#[test]
fn a_first_commit_that_is_longer_than_the_first_file_is_in_one_file_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let mut chance = Chance::of_this_run();
    let (kv, mut model) = (open(&data, &clock), Model::new());
    for number in 0..4u64 {
        let mut batch = Batch::default();
        let key = [b"K".as_slice(), &number.to_be_bytes()].concat();
        let value: Vec<u8> = (0..40_000).map(|_| chance.byte()).collect();
        model.insert(key.clone(), value.clone());
        batch.put(key, value);
        kv.commit(batch, &mut |_| {}).unwrap();
    }
    kv.tidy_now(&[clock.now()]).unwrap();
    let named: Vec<u64> = kv.journal().manifest().segments.iter().map(|entry| entry.first).collect();
    assert_eq!(named, [1, 2, 3, 4]);
    assert_holds(&kv, &model, "long commits");
    drop(kv);
    fs::remove_dir_all(data.join("index")).unwrap();
    assert_holds(&open(&data, &clock), &model, "the loss of the index");
}

#[test]
fn files_that_someone_reads_stay_until_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let kv = open(&data, &clock);
    let mut model = Model::new();
    let (mut next, mut chance) = (0, Chance::of_this_run());
    (0..400).for_each(|_| commit(&kv, &mut model, &mut next, &mut chance));
    let reading = kv.journal().hold_files();
    let files: Vec<_> = kv.journal().manifest().segments.into_iter().map(|entry| entry.file).collect();
    kv.tidy_now(&[clock.now()]).unwrap();
    let named = || kv.journal().manifest().segments.into_iter().map(|entry| entry.file).collect::<Vec<_>>();
    assert!(files.len() > 2 && named()[0] != files[0], "{files:?} became {:?}", named());
    assert!(files.iter().all(|file| data.join("journal").join(file).exists()));
    drop(reading);
    kv.tidy_now(&[clock.now()]).unwrap();
    let named = named();
    let left = files.iter().filter(|file| data.join("journal").join(file).exists());
    assert!(left.eq(files.iter().filter(|file| named.contains(file))));
    assert_holds(&kv, &model, "files were kept for a reader");
}

#[test]
fn what_may_have_followed_the_damaged_commits_that_the_index_has_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let data = folder.path().join("data");
    let put = |kv: &Journaled, number: u64| {
        let mut batch = Batch { commands: 3, ..Batch::default() };
        batch.put([b"K".as_slice(), &number.to_be_bytes()].concat(), vec![number as u8; 200]);
        kv.commit(batch, &mut |_| {}).unwrap();
    };
    let kv = open(&data, &clock);
    (1..=20).for_each(|number| put(&kv, number));
    drop(kv);
    // The index has all of it; then there is one commit more, and a kill.
    let kv = open(&data, &clock);
    put(&kv, 21);
    let killed = folder.path().join("killed");
    copy(&data, &killed);
    drop(kv);
    let segment = inspect(&killed.join("journal")).unwrap().unwrap().end.unwrap().header.file_name();
    let mut reader = SegmentReader::open(&killed.join("journal").join(&segment)).unwrap();
    let mut places = Vec::new();
    while reader.next_frame().is_ok() {
        places.push(reader.at() as usize);
    }
    let &[.., begin, before_last, end] = &places[..] else { panic!("{places:?}") };
    let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
    let damaged = |damage: &dyn Fn(&mut Vec<u8>)| {
        let damaged = folder.path().join("damaged");
        let _ = fs::remove_dir_all(&damaged);
        copy(&killed, &damaged);
        let file = damaged.join("journal").join(&segment);
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut bytes);
        fs::write(&file, bytes).unwrap();
        let (kv, report) = open_folder::open(&damaged, &clock.settings(), contents).unwrap();
        let count = held(&kv, Direction::Up).len();
        let torn = report.torn.map(|last| {
            (last.torn.bytes > 0, last.torn.commands, last.aside.is_some_and(|aside| aside.exists()))
        });
        (count, torn)
    };
    // Both frames, only the first of them, and the first with a byte of the second.
    assert_eq!(damaged(&|bytes| bytes[begin..end].fill(0)), (20, Some((false, None, false))));
    assert_eq!(damaged(&|bytes| bytes.truncate(begin)), (20, Some((false, None, false))));
    assert_eq!(damaged(&|bytes| bytes[begin..before_last].fill(0)), (21, None));
    // The last one alone: its slot says that it was begun.
    assert_eq!(damaged(&|bytes| bytes[before_last..end].fill(0)), (20, Some((false, None, false))));
    let cut_in = damaged(&|bytes| {
        bytes[begin] ^= 1;
        bytes[end - 1] ^= 1;
    });
    assert_eq!(cut_in, (20, Some((true, Some(3), true))));
}

fn begin_journal(folder: &Path) -> Journal {
    let settings = JournalSettings { segment_bytes: 16 * 1024, wall: None };
    Journal::begin(folder, StoreId([7; 16]), 1, settings).unwrap()
}

fn append(journal: &Journal, number: u64) {
    let mut batch = Batch::default();
    batch.put([b"K".as_slice(), &number.to_be_bytes()].concat(), vec![number as u8; 100]);
    assert_eq!(journal.append(&batch, &mut |_| {}).unwrap(), number);
}

#[test]
fn segments_that_are_made_ahead_while_commits_need_new_ones_lose_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = begin_journal(folder.path());
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                if journal.needs_spare() {
                    journal.make_spare().unwrap();
                }
            }
        });
        (1..=3000).for_each(|number| append(&journal, number));
        ended.store(true, Ordering::SeqCst);
    });
    drop(journal);
    let inspection = inspect(folder.path()).unwrap().unwrap();
    assert_eq!((inspection.last, &inspection.damage[..], &inspection.flaws[..]), (3000, &[][..], &[][..]));
}

#[test]
fn a_full_segment_that_cannot_be_read_to_its_end_is_not_cut_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = begin_journal(folder.path());
    (1..=400).for_each(|number| append(&journal, number));
    let first = folder.path().join(&journal.manifest().segments[0].file);
    let mut bytes = fs::read(&first).unwrap();
    bytes[8000] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let error = finish_all(&journal).unwrap_err();
    assert!(error.to_string().contains("to its end"), "{error}");
    assert!(fs::read(&first).unwrap() == bytes, "it is as it was");
    // One that is missing altogether is no segment of which nothing was left.
    let second = folder.path().join(&journal.manifest().segments[1].file);
    journal.write_manifest(|manifest| drop(manifest.segments.remove(1))).unwrap();
    fs::remove_file(second).unwrap();
    bytes[8000] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let damage = inspect(folder.path()).unwrap().unwrap().damage;
    assert!(!damage.is_empty());
}

#[test]
fn nothing_is_committed_to_an_engine_that_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock(Arc::new(AtomicI64::new(1_700_000_000_000)));
    let kv = open(&folder.path().join("data"), &clock);
    let mut batch = Batch::default();
    batch.put(b"Ka".to_vec(), vec![1]);
    kv.commit(batch.clone(), &mut |_| {}).unwrap();
    kv.close().unwrap();
    assert!(kv.commit(batch, &mut |_| {}).is_err());
}
