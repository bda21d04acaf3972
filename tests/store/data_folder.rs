//! The embedded store's data folder: its mode, its lock, its limits, and what it survives.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postbridge::store::contract::Store;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::conformance::fixture::attempt::{dead, delivered, exchange, failed, one};
use postbridge::store::contract::conformance::fixture::received::{DAY, at, click, sale, unscreened, wait};
use postbridge::store::contract::conformance::fixture::work::{claim, purge_all, transactions};
use postbridge::store::contract::lookup::ConversionFilter;
use postbridge::store::contract::work::{AttemptOutcome, Claimed, Recorded};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use postbridge::store::engine::memory::Memory;
use postbridge::store::engine::sled::Sled;

use crate::support::relay::wait_until;

fn keys(kv: &dyn Kv) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let span = Span { from: b"", to: b"\xff", direction: Direction::Up };
    kv.scan(span, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    keys
}

fn blobs(data: &Path) -> usize {
    std::fs::read_dir(data.join("blobs")).unwrap().count()
}

#[test]
fn the_data_folder_is_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/data");
    drop(Embedded::open_sled(&data, Arc::default()).unwrap());
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_that_is_in_use_is_refused_with_words_that_help() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _first = Embedded::open_sled(&data, Arc::default()).unwrap();
    let Err(error) = Embedded::open_sled(&data, Arc::default()) else { panic!("it was opened twice") };
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let Err(error) = Embedded::open_sled(&file.join("data"), Arc::default()) else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
}

#[test]
fn an_index_that_its_engine_does_not_read_is_made_anew_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let index = data.join("index");
    let is_snapshot = |name: &str| name.starts_with("snap.");
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut sales = Vec::new();
    for (n, broken) in ["snap.", "conf", "db"].into_iter().enumerate() {
        let store = Embedded::open_sled(&data, Arc::default()).unwrap();
        sale(&format!("t{n}")).receive(&store);
        sales.insert(0, format!("t{n}"));
        drop(store);
        if !names(&index).iter().any(|name| is_snapshot(name)) {
            std::fs::write(index.join("snap.0000000000000001"), b"").unwrap();
        }
        for name in names(&index).into_iter().filter(|name| name.starts_with(broken)) {
            std::fs::write(index.join(name), b"not what it should be, but long enough to be read").unwrap();
        }
        let store = Embedded::open_sled(&data, Arc::default()).unwrap();
        assert_eq!(transactions(&store, ConversionFilter::default()), sales, "{broken}");
        assert!(store.opened().repairs.iter().any(|repair| repair.contains("made anew")), "{broken}");
        assert!(names(&data).iter().any(|name| name.starts_with("index.set-aside")), "{:?}", names(&data));
        // A clean stop removes what was kept.
        wait(store.close()).unwrap();
        drop(store);
        assert!(!names(&data).iter().any(|name| name.starts_with("index.set-aside")), "{:?}", names(&data));
    }
}

/// The longest value that sled gets in one piece.
const ONE_PIECE: usize = 7 * 1024 - 2;

#[test]
fn values_of_one_piece_and_of_many_fill_leaves_without_making_blob_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let sled = Sled::open(&data).unwrap();
    for round in 0..3u8 {
        let mut batch = Batch::default();
        for n in 0..500u16 {
            let value = sale("x").body(ONE_PIECE).body;
            batch.add(format!("B-{round}-{n:05}").into_bytes(), value);
        }
        sled.commit(batch, &mut |_| {}).unwrap();
        // Over and over on the same leaves, as marks are written.
        for n in 0..40u16 {
            let mut batch = Batch::default();
            let length = ONE_PIECE * usize::from(1 + n % 4);
            batch.put(format!("B-{round}-{n:05}").into_bytes(), vec![round; length]);
            sled.commit(batch, &mut |_| {}).unwrap();
        }
    }
    drop(sled);
    assert_eq!(keys(&Sled::open(&data).unwrap()).len(), 1500);
    assert_eq!(blobs(&data), 0);
}

/// The database without our part above it. Who had it open lets go of its lock a moment after it was dropped.
fn raw_sled(data: &Path) -> sled::Db {
    let mut opened = None;
    wait_until(Duration::from_secs(10), || {
        opened = sled::Config::new().path(data).segment_size(1024 * 1024).open().ok();
        opened.is_some()
    });
    opened.expect("no one else has it open")
}

#[test]
fn a_long_value_is_read_whole_whichever_way_and_a_missing_piece_fails_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let long: Vec<u8> = (0..5 * ONE_PIECE).map(|n| (n % 251) as u8).collect();
    let values = [(b"a".to_vec(), vec![1]), (b"b".to_vec(), long.clone()), (b"c".to_vec(), vec![])];
    let sled = Sled::open(&data).unwrap();
    let mut batch = Batch::default();
    values.iter().cloned().for_each(|(key, value)| batch.add(key, value));
    sled.commit(batch, &mut |_| {}).unwrap();
    let scanned = |sled: &Sled, direction| {
        let mut found = Vec::new();
        let span = Span { from: b"", to: b"z", direction };
        let done = sled.scan(span, &mut |key, value| {
            found.push(value.map(|value| (key.to_vec(), value.to_vec())).map_err(KvError::clone));
            ControlFlow::Continue(())
        });
        done?;
        found.into_iter().collect::<Result<Vec<_>, KvError>>()
    };
    assert_eq!(sled.get(b"b").unwrap(), Some(long));
    assert_eq!(scanned(&sled, Direction::Up).unwrap(), values);
    let mut down = scanned(&sled, Direction::Down).unwrap();
    down.reverse();
    assert_eq!(down, values);
    drop(sled);

    let raw = raw_sled(&data);
    raw.remove([0, b'b', 0, 2]).unwrap().expect("the second further piece");
    drop(raw);
    let sled = Sled::open(&data).unwrap();
    let missing = sled.get(b"b").unwrap_err();
    assert_eq!(missing, KvError::Damaged { key: b"b".to_vec(), cause: "its piece 2 is missing".to_owned() });
    assert_eq!(scanned(&sled, Direction::Up).unwrap_err(), missing);
    assert_eq!(sled.get(b"a").unwrap(), Some(vec![1]));
    let mut batch = Batch::default();
    batch.put(b"b".to_vec(), vec![2]);
    sled.commit(batch, &mut |_| {}).unwrap();
    drop(sled);
    // The last one says what should be in it.
    assert_eq!(raw_sled(&data).len(), 3 + 1, "no piece of what was replaced is left");
}

#[test]
fn however_large_the_records_no_blob_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let many: Vec<String> = (0..40).map(|n| format!("destination-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let store = Embedded::open_sled(&data, sale("any").forward().to(&many).rules()).unwrap();
    let reported: Vec<_> = (0..64usize)
        .map(|n| {
            let mut reported = sale(&format!("t{n}")).body(n * 3000);
            reported.draft.params.push(("long".to_owned(), "y".repeat(n * 400)));
            store.arrive(reported.arrival())
        })
        .collect();
    for receipt in reported {
        wait(receipt).unwrap();
    }
    for work in claim(&store, "destination-7", at(0)) {
        let mut outcome = dead(&work, at(1));
        outcome.attempt.exchange = Some(Arc::new(exchange("", &sale("x").body(64 * 1024).body)));
        wait(store.record(one(outcome))).unwrap();
    }
    wait(store.close()).unwrap();
    drop(store);
    assert_eq!(blobs(&data.join("index")), 0);
}

#[test]
fn an_exchange_that_several_attempts_share_is_stored_once() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    for n in 0..20 {
        sale(&format!("t{n}")).forward().receive(&store);
    }
    let shared = Arc::new(exchange("", &sale("x").body(30_000).body));
    let outcome = |work: &Claimed| {
        let mut outcome = delivered(work, at(1));
        outcome.attempt.exchange = Some(Arc::clone(&shared));
        outcome
    };
    let outcomes: Arc<[AttemptOutcome]> = claim(&store, "ads", at(0)).iter().map(outcome).collect();
    assert_eq!(wait(store.record(outcomes)).unwrap(), [Recorded::Settled; 20]);
    drop(store);
    let mut bytes = 0;
    memory
        .scan(Span { from: b"A", to: b"F", direction: Direction::Up }, &mut |key, value| {
            bytes += if matches!(key[0], b'A' | b'E') { value.unwrap().len() } else { 0 };
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!((30_000..60_000).contains(&bytes), "{bytes} bytes of attempts and exchanges");
}

#[test]
fn purging_leaves_no_key_of_what_it_removed() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    for n in 0..40 {
        sale(&format!("t{n}")).forward().body(n * 1000).receive(&store);
    }
    sale("t7").forward().value("8").receive(&store);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    for work in claim(&store, "ads", at(0)) {
        let mut outcome = failed(&work, at(1), at(2));
        outcome.attempt.exchange = Some(Arc::new(exchange("", &sale("x").body(30_000).body)));
        wait(store.record(one(outcome))).unwrap();
    }
    for work in claim(&store, "ads", at(2)) {
        wait(store.record(one(delivered(&work, at(3))))).unwrap();
    }
    purge_all(&store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    let left: Vec<String> = keys(&memory).iter().map(|key| key.escape_ascii().to_string()).collect();
    // What commits counted are numbers, whose keys are used again, and the key of digests is random.
    let left: Vec<String> = left.into_iter().filter(|key| !key.starts_with('U')).collect();
    assert_eq!(left, ["Mdigestkey", "Mformat", "Mnumbers"]);
}
