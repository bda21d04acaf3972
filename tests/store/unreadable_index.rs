//! Pages of the index that turn bad while it is in use: what it cannot give is read from the journal, by key and by scan.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use postbridge::store::engine::checkpoint::{CheckpointSettings, IndexedJournal};
use postbridge::store::engine::current_index::OpenIndex;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ReadFault};
use postbridge::store::engine::journal::append::{Journal, JournalSettings};
use postbridge::store::engine::journal::segment::StoreId;
use postbridge::store::engine::journaled::Journaled;
use postbridge::store::engine::kv::{Batch, Direction, Kv, KvError, Span, WRITER_THREAD};
use postbridge::store::engine::overlay::Overlay;
use postbridge::store::engine::packed::Packed;
use postbridge::store::engine::sled::Sled;

use crate::store::journal_engine::{Model, assert_holds, held};
use crate::support::relay::wait_until;

/// A journal with an index whose records can be made unreadable.
fn engine(tables: &'static [u8]) -> (tempfile::TempDir, Journaled, Faulty) {
    let folder = tempfile::tempdir().unwrap();
    let journal_folder = folder.path().join("journal");
    fs::create_dir(&journal_folder).unwrap();
    let settings = JournalSettings { segment_bytes: 16 * 1024, wall: None };
    let journal = Journal::begin(&journal_folder, StoreId([7; 16]), 1, settings).unwrap();
    let sled = Arc::new(Sled::open(&folder.path().join("index")).unwrap());
    let disk = Faulty::over(Arc::clone(&sled));
    let records = Packed::new(Arc::new(disk.clone()), tables);
    let checkpoint = CheckpointSettings { every: Duration::from_secs(3600), bytes: 1024 * 1024 };
    let shared = IndexedJournal::new(journal, Overlay::new(0), OpenIndex { sled, records }, checkpoint);
    (folder, Journaled::start(shared, None, 0).unwrap(), disk)
}

fn key(number: u64) -> Vec<u8> {
    [b"K".as_slice(), &number.to_be_bytes()].concat()
}

#[test]
fn what_the_index_cannot_give_or_take_is_read_from_the_journal_and_no_other_record_is_harmed() {
    let (_folder, kv, disk) = engine(b"");
    let put = |number: u64, value: &str| {
        let mut batch = Batch::default();
        batch.put(key(number), value.as_bytes().to_vec());
        kv.commit(batch, &mut |_| {}).unwrap();
    };
    let value = |number: u64| kv.get(&key(number)).unwrap().map(|value| String::from_utf8(value).unwrap());
    (0..300).for_each(|number| put(number, &format!("first-{number}")));
    put(7, "second-7");
    kv.tidy_now(&[]).unwrap();
    disk.cannot_read(ReadFault::Damaged, move |found| (5..10).any(|number| found == key(number)));
    assert_eq!(value(6).as_deref(), Some("first-6"));
    assert_eq!(value(7).as_deref(), Some("second-7"));
    assert_eq!(value(11).as_deref(), Some("first-11"));
    // They are changed and removed like all others, and every other one goes to the index.
    put(7, "third-7");
    put(8, "second-8");
    let mut batch = Batch::default();
    batch.remove(key(9));
    batch.remove(key(12));
    kv.commit(batch, &mut |_| {}).unwrap();
    kv.tidy_now(&[]).unwrap();
    assert_eq!(value(5).as_deref(), Some("first-5"));
    assert_eq!(value(7).as_deref(), Some("third-7"));
    assert_eq!(value(8).as_deref(), Some("second-8"));
    assert_eq!((value(9), value(12)), (None, None));
    assert_eq!(value(299).as_deref(), Some("first-299"));
    drop(kv);
}

#[test]
fn what_the_index_could_not_take_stays_over_it_when_another_tries_again() {
    let (_folder, kv, disk) = engine(b"");
    let put = |number: u64| {
        let mut batch = Batch::default();
        batch.put(key(number), b"some".to_vec());
        kv.commit(batch, &mut |_| {})
    };
    (0..50).for_each(|number| put(number).unwrap());
    disk.fail(FaultAt::BeforeWrite, 0, "EIO");
    assert_eq!(kv.tidy_now(&[]), Err(KvError::Failed("EIO".to_owned())));
    // The disk is there again. What it did not take is not taken for written.
    disk.fail(FaultAt::BeforeWrite, u64::MAX, "");
    assert_eq!(kv.tidy_now(&[]), Err(KvError::Failed("EIO".to_owned())));
    assert_eq!(put(50), Err(KvError::Failed("EIO".to_owned())));
    assert!((0..50).all(|number| kv.get(&key(number)).unwrap().is_some()));
    assert_eq!(kv.close(), Err(KvError::Failed("EIO".to_owned())));
}

#[test]
fn a_scan_over_what_the_index_cannot_give_shows_what_the_journal_has() {
    let kinds = [
        (b"".as_slice(), ReadFault::Damaged),
        (b"", ReadFault::DamagedPage),
        (b"K", ReadFault::Damaged),
        (b"K", ReadFault::DamagedPage),
    ];
    let ways = [Direction::Up, Direction::Down];
    for ((tables, how), first) in kinds.into_iter().flat_map(|kind| ways.map(|way| (kind, way))) {
        let (_folder, kv, disk) = engine(tables);
        let mut model = Model::new();
        let mut change = |number: u64, value: Option<&str>| {
            let mut batch = Batch::default();
            match value.map(|value| value.repeat(60).into_bytes()) {
                Some(value) => {
                    model.insert(key(number), value.clone());
                    batch.put(key(number), value);
                }
                None => {
                    model.remove(&key(number));
                    batch.remove(key(number));
                }
            }
            kv.commit(batch, &mut |_| {}).unwrap();
            model.clone()
        };
        (0..600).for_each(|number| drop(change(number, Some(&format!("first-{number}-")))));
        (100..120).for_each(|number| drop(change(number, None)));
        kv.tidy_now(&[]).unwrap();
        let known = change(7, Some("second-7"));
        disk.cannot_read(how, move |found| found >= &key(1)[..] && found < &key(400)[..]);
        // The first one to meet it goes this way.
        let mut met = held(&kv, first);
        if first == Direction::Down {
            met.reverse();
        }
        assert!(met.into_iter().eq(known.clone()), "{tables:?} {how:?} {first:?}");
        assert_holds(&kv, &known, "a page was damaged");
        // From within it, and to within it.
        for direction in [Direction::Up, Direction::Down] {
            let mut found = Vec::new();
            kv.scan(Span { from: &key(90), to: &key(130), direction }, &mut |key, value| {
                found.push((key.to_vec(), value.unwrap().to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
            if direction == Direction::Down {
                found.reverse();
            }
            let wanted = known.range(key(90)..key(130)).map(|(key, value)| (key.clone(), value.clone()));
            assert!(found == wanted.collect::<Vec<_>>(), "{direction:?}");
        }
        change(8, Some("third-8"));
        change(95, None);
        change(110, Some("again-110"));
        let known = change(500, None);
        assert_holds(&kv, &known, "it was changed");
        kv.tidy_now(&[]).unwrap();
        assert_holds(&kv, &known, "the index got what it can take");
        assert!(kv.is_damaged());
        // A verification sees what is wrong with it all the same.
        let mut unreadable = 0;
        let scanned =
            kv.unhealed().scan(Span { from: b"K", to: b"L", direction: Direction::Up }, &mut |_, value| {
                unreadable += usize::from(value.is_err());
                ControlFlow::Continue(())
            });
        assert!(scanned.is_err() || unreadable > 0);
    }
}

#[test]
fn the_thread_that_commits_waits_for_no_healing_and_finds_what_was_healed_for_it() {
    let (_folder, kv, disk) = engine(b"");
    let mut batch = Batch::default();
    (0..50).for_each(|number| batch.put(key(number), vec![number as u8; 300]));
    kv.commit(batch, &mut |_| {}).unwrap();
    kv.tidy_now(&[]).unwrap();
    disk.cannot_read(ReadFault::Damaged, |found| found == key(7));
    std::thread::scope(|threads| {
        let writer = std::thread::Builder::new().name(WRITER_THREAD.to_owned());
        let first = writer.spawn_scoped(threads, || kv.get(&key(7))).unwrap().join().unwrap();
        assert!(matches!(first, Err(KvError::Damaged { .. })), "{first:?}");
        let is_healed = wait_until(Duration::from_secs(20), || {
            let writer = std::thread::Builder::new().name(WRITER_THREAD.to_owned());
            let found = writer.spawn_scoped(threads, || kv.get(&key(7))).unwrap().join().unwrap();
            found == Ok(Some(vec![7; 300]))
        });
        assert!(is_healed);
    });
}

#[test]
fn what_the_journal_has_lost_too_is_named_and_what_was_committed_there_since_is_shown() {
    for direction in [Direction::Up, Direction::Down] {
        let (folder, kv, disk) = engine(b"");
        (0..300).for_each(|number| {
            let mut batch = Batch::default();
            batch.put(key(number), vec![number as u8; 300]);
            kv.commit(batch, &mut |_| {}).unwrap();
        });
        kv.tidy_now(&[]).unwrap();
        let mut segments: Vec<_> = fs::read_dir(folder.path().join("journal")).unwrap().flatten().collect();
        segments.sort_by_key(|entry| entry.file_name());
        let first = segments.iter().find(|entry| entry.file_name().to_string_lossy().ends_with(".journal"));
        let first = first.unwrap().path();
        let mut bytes = fs::read(&first).unwrap();
        bytes[5000] ^= 1;
        fs::write(&first, bytes).unwrap();
        let mut batch = Batch::default();
        batch.put(key(105), b"since".to_vec());
        kv.commit(batch, &mut |_| {}).unwrap();
        disk.cannot_read(ReadFault::Damaged, |found| found >= &key(100)[..] && found < &key(110)[..]);
        let (mut found, mut lost) = (0, 0);
        kv.scan(Span { from: b"K", to: b"L", direction }, &mut |shown, value| {
            match value {
                Ok(b"since") => assert_eq!(shown, key(105)),
                Ok(_) => found += 1,
                Err(_) => lost += 1,
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(lost >= 1 && found == 290, "{direction:?}: {found} found, {lost} lost");
        assert_eq!(kv.get(&key(105)).unwrap().as_deref(), Some(b"since".as_slice()));
        assert!(matches!(kv.get(&key(104)), Err(KvError::Damaged { .. })));
        assert_eq!(kv.get(&key(99)).unwrap(), Some(vec![99; 300]));
    }
}
