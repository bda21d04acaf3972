//! An index that is made anew while it is in use: all is read and written meanwhile as if nothing were.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use postbridge::store::engine::data_folder::{FolderContents, OpenReport};
use postbridge::store::engine::folder::size_of;
use postbridge::store::engine::journal::rewrite::{self, RewrittenSegment};
use postbridge::store::engine::journaled::Journaled;
use postbridge::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use postbridge::store::engine::open_folder;
use postbridge::store::engine::verify::verify_folder;

use crate::store::journal_engine::{Clock, Model, TABLES, assert_holds};

fn clock() -> Clock {
    Clock(Arc::new(AtomicI64::new(1_700_000_000_000)))
}

fn open(data: &Path, clock: &Clock) -> (Journaled, OpenReport) {
    let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
    open_folder::open(data, &clock.settings(), contents).unwrap()
}

fn numbered(table: u8, number: u64) -> Vec<u8> {
    [[table].as_slice(), &number.to_be_bytes()].concat()
}

fn renew(kv: &Journaled) {
    kv.renew_index().unwrap();
    kv.renew_index_now(&|| Ok(())).unwrap();
}

/// Commits records that stay, one that counts them, and one that goes with the next.
fn write_on(kv: &Journaled, done: &AtomicU64, stop: &AtomicBool) -> Model {
    let mut model = BTreeMap::new();
    for number in 1.. {
        let mut batch = Batch::default();
        let value = number.to_string().repeat(1 + number as usize % 40).into_bytes();
        for (key, value) in [
            (numbered(b'H', number), value.clone()),
            (numbered(b'K', number % 97), value),
            (b"Kcount".to_vec(), number.to_be_bytes().to_vec()),
            (numbered(b'R', number), b"goes".to_vec()),
        ] {
            model.insert(key.clone(), value.clone());
            batch.put(key, value);
        }
        model.remove(&numbered(b'R', number - 1));
        batch.remove(numbered(b'R', number - 1));
        kv.commit(batch, &mut |_| {}).unwrap();
        done.store(number, Ordering::SeqCst);
        if stop.load(Ordering::SeqCst) {
            return model;
        }
    }
    model
}

/// Whatever was committed before a look is seen by it, nothing that was removed before, and all in order.
fn read_on(kv: &Journaled, done: &AtomicU64, stop: &AtomicBool, direction: Direction) -> usize {
    let mut looks = 0;
    while !stop.load(Ordering::SeqCst) {
        let before = done.load(Ordering::SeqCst);
        let counted =
            kv.get(b"Kcount").unwrap().map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()));
        assert!(counted >= before, "{counted} were counted after {before}");
        let mut found = Vec::new();
        kv.scan(Span { from: b"H", to: b"I", direction }, &mut |key, value| {
            assert!(value.is_ok());
            found.push(u64::from_be_bytes(key[1..].try_into().unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
        if direction == Direction::Down {
            found.reverse();
        }
        assert!(found.iter().copied().eq(1..=found.len() as u64), "something is missing, or twice");
        assert!(found.len() as u64 >= before, "{} of {before}", found.len());
        let mut left = Vec::new();
        let all = Span { from: b"R", to: b"S", direction };
        kv.scan(all, &mut |key, _| {
            left.push(u64::from_be_bytes(key[1..].try_into().unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(left.iter().all(|number| *number >= before), "{left:?} were there after {before}");
        looks += 1;
    }
    looks
}

#[test]
fn all_is_read_and_written_while_it_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let clock = clock();
    let kv = open(&data, &clock).0;
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let model = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_on(&kv, &done, &stop));
        let readers = [Direction::Up, Direction::Down, Direction::Up].map(|direction| {
            scope.spawn({
                let (kv, done, stop) = (&kv, &done, &stop);
                move || read_on(kv, done, stop, direction)
            })
        });
        for round in 0..6 {
            renew(&kv);
            assert!(
                !kv.is_index_to_renew()
                    && !data.join("index.old").exists()
                    && !data.join("index.new").exists()
            );
            if round % 2 == 1 {
                kv.tidy_now(&[clock.now()]).unwrap();
            }
        }
        stop.store(true, Ordering::SeqCst);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
        writer.join().unwrap()
    });
    assert_holds(&kv, &model, "six renewals");
    drop(kv);
    let (kv, report) = open(&data, &clock);
    assert_eq!(report, OpenReport::default());
    assert_holds(&kv, &model, "a stop");
    drop(kv);
    fs::remove_dir_all(data.join("index")).unwrap();
    assert_holds(&open(&data, &clock).0, &model, "the loss of the index");
}

/// Bytes that do not pack.
fn value(number: u64) -> Vec<u8> {
    let mut chance = number;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 56) as u8
    };
    (0..4000).map(|_| next()).collect()
}

/// Commits 16 MB of records.
fn fill(kv: &Journaled) {
    for some in 0..100 {
        let mut batch = Batch::default();
        (0..40).for_each(|number| batch.put(numbered(b'K', 40 * some + number), value(40 * some + number)));
        kv.commit(batch, &mut |_| {}).unwrap();
    }
}

#[test]
fn the_room_of_what_is_gone_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, clock) = (folder.path().join("data"), clock());
    let kv = open(&data, &clock).0;
    fill(&kv);
    let mut batch = Batch::default();
    (0..3900).for_each(|number| batch.remove(numbered(b'K', number)));
    kv.commit(batch, &mut |_| {}).unwrap();
    // Files are finished by the first, and past their age for the second.
    (0..2).for_each(|_| kv.tidy_now(&[clock.now()]).unwrap());
    let before = size_of(&data.join("index")).unwrap();
    renew(&kv);
    let after = size_of(&data.join("index")).unwrap();
    assert!(before > 12 << 20 && after < 4 << 20, "{before} bytes before, {after} after");
    let left: Model = (3900..4000).map(|number| (numbered(b'K', number), value(number))).collect();
    assert_holds(&kv, &left, "a renewal");
}

#[test]
fn one_that_is_broken_off_or_finds_files_gone_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, clock) = (folder.path().join("data"), clock());
    let kv = open(&data, &clock).0;
    fill(&kv);
    let model: Model = (0..4000).map(|number| (numbered(b'K', number), value(number))).collect();
    kv.tidy_now(&[]).unwrap();
    // In the place of a request, so that the thread for it is not the one that does it.
    fs::write(data.join("index-to-renew"), "").unwrap();
    let stops = || {
        assert!(data.join("index.new").exists());
        Err(KvError::Failed("it is to stop".to_owned()))
    };
    assert_eq!(kv.renew_index_now(&stops), Err(KvError::Failed("it is to stop".to_owned())));
    let first = kv.journal().manifest().segments.remove(0).file;
    let takes_away = || {
        // Once it was read: whatever was removed since might be in the new index.
        let file = data.join("journal").join(&first);
        if file.exists() {
            fs::rename(&file, folder.path().join("away")).unwrap();
            let gone = RewrittenSegment { replaced: file, first: u64::MAX, known: 0, bytes: (0, 0) };
            rewrite::remove_replaced(kv.journal(), &gone).unwrap();
        }
        Ok(())
    };
    let refused = kv.renew_index_now(&takes_away).unwrap_err().to_string();
    assert!(refused.contains("had to be removed meanwhile"), "{refused}");
    fs::rename(folder.path().join("away"), data.join("journal").join(&first)).unwrap();
    assert!(kv.is_index_to_renew() && !data.join("index.new").exists() && !data.join("index.old").exists());
    assert_holds(&kv, &model, "renewals that failed");
    kv.renew_index_now(&|| Ok(())).unwrap();
    assert!(!kv.is_index_to_renew());
    assert_holds(&kv, &model, "a renewal");
}

#[test]
fn what_a_process_that_was_killed_left_of_it_is_in_no_ones_way() {
    let folder = tempfile::tempdir().unwrap();
    let (data, clock) = (folder.path().join("data"), clock());
    let kv = open(&data, &clock).0;
    let mut model = Model::new();
    for number in 0..500 {
        let mut batch = Batch::default();
        batch.put(numbered(b'K', number), b"some".to_vec());
        model.insert(numbered(b'K', number), b"some".to_vec());
        kv.commit(batch, &mut |_| {}).unwrap();
    }
    drop(kv);
    for left in ["index.old", "index.new"] {
        fs::create_dir(data.join(left)).unwrap();
        fs::write(data.join(left).join("db"), "some bytes").unwrap();
    }
    let (kv, report) = open(&data, &clock);
    assert_eq!(report, OpenReport::default());
    assert!(!data.join("index.old").exists() && !data.join("index.new").exists());
    // Between the two names neither is the index.
    drop(kv);
    fs::rename(data.join("index"), data.join("index.old")).unwrap();
    let (kv, report) = open(&data, &clock);
    assert_eq!(report, OpenReport::default());
    assert!(!data.join("index.old").exists());
    assert_holds(&kv, &model, "a kill between the names");
    let first = kv.journal().manifest().segments.remove(0).file;
    drop(kv);
    fs::rename(data.join("index"), data.join("index.old")).unwrap();
    let verified = verify_folder(&data, TABLES, &|_, _| Ok(()), &|_, _| {}).unwrap();
    assert!(verified.is_fine(), "{verified:?}");
    // What the journal has lost besides is taken from it.
    let segment = data.join("journal").join(first);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (kv, report) = open(&data, &clock);
    assert_ne!(report.repairs, Vec::<String>::new());
    assert_holds(&kv, &model, "a damaged journal and a kill between the names");
}
