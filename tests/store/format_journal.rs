//! The journal's format: a folder with one file of each kind, as the build wrote it that set the format, is read as it was
//! written, verified, and enough to make the index anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postbridge::store::contract::conformance::fixture::received::{sale, wait};
use postbridge::store::contract::{Store, StoreFolder};
use postbridge::store::embedded::data_folder::verify_closed;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::data_folder::{FolderSettings, OpenReport};
use postbridge::store::engine::journal::append::JournalSettings;
use postbridge::store::engine::journal::manifest::{Manifest, SegmentEntry};

use crate::store::format::{check, check_network, fill, fill_network};
use crate::support::damaged_folder::copy;
use crate::support::recount::assert_recounted;
use crate::support::relay::wait_until;

/// See `fixtures/store/README.md`.
const V9_JOURNAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store/v9-journal");
const SALES: [(&str, usize); 2] = [("before", 60), ("after", 30)];

/// Files so small that a few sales fill one.
fn open_small(data: &Path) -> Embedded {
    let journal = JournalSettings { segment_bytes: 16 * 1024, ..JournalSettings::default() };
    let folder = FolderSettings { journal, ..FolderSettings::default() };
    let settings = EmbeddedSettings { folder, ..EmbeddedSettings::default() };
    Embedded::open_sled_with(data, Arc::default(), settings).unwrap()
}

fn segments(data: &Path) -> Vec<SegmentEntry> {
    Manifest::read(&data.join("journal")).0.unwrap().segments
}

/// Sales that are known by now, or are now.
fn sell(store: &Embedded, (name, count): (&str, usize)) -> Vec<&'static str> {
    let receive = |number| sale(&format!("{name}-{number}")).body(10 * number).receive(store);
    (0..count).map(|number| receive(number).verdict.name().as_str()).collect()
}

/// One record of every kind, and sales; then, after a stop and a rewriting, more sales.
fn make(data: &Path) {
    let store = open_small(data);
    fill(&store);
    fill_network(&store);
    sell(&store, SALES[0]);
    wait(store.close()).unwrap();
    drop(store);
    let store = open_small(data);
    let finished = || segments(data).into_iter().filter(|segment| segment.finished.is_some());
    let is_rewritten = || finished().count() >= 2 && finished().all(|segment| segment.known > 0);
    assert!(wait_until(Duration::from_secs(60), is_rewritten));
    sell(&store, SALES[1]);
    assert!(wait_until(Duration::from_secs(60), || finished().any(|segment| segment.known == 0)));
    wait(store.close()).unwrap();
}

/// All of it is there, in what a folder says of itself and in what is read.
fn check_all(data: &Path, expected: &OpenReport) {
    let kinds = segments(data);
    assert!(kinds.iter().any(|segment| segment.known > 0 && segment.file.ends_with("-1.journal")));
    assert!(kinds.iter().any(|segment| segment.known == 0 && segment.finished.is_some()));
    assert!(kinds.iter().any(|segment| segment.finished.is_none()));
    let closed = verify_closed(data, &|_, _| {}).unwrap();
    if *expected == OpenReport::default() {
        assert_eq!(closed.findings, []);
    }
    let store = Embedded::open_sled(data, Arc::default()).unwrap();
    assert_eq!(store.opened(), expected);
    check(&store);
    check_network(&store);
    assert_recounted(&store);
    let verified = store.data_folder().unwrap().verify(&|_, _| {}).unwrap();
    assert_eq!(verified.findings, []);
    for sales in SALES {
        assert_eq!(sell(&store, sales), vec!["duplicate"; sales.1]);
    }
}

fn fixture() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(Path::new(V9_JOURNAL), &data);
    (folder, data)
}

#[test]
fn a_journal_that_an_earlier_build_wrote_is_read_and_verified() {
    let (_folder, data) = fixture();
    check_all(&data, &OpenReport::default());
}

#[test]
fn a_journal_that_an_earlier_build_wrote_is_all_that_its_index_is_made_of() {
    let (_folder, data) = fixture();
    fs::remove_dir_all(data.join("index")).unwrap();
    let repairs = vec!["the index was made anew from the journal: it is missing".to_owned()];
    check_all(&data, &OpenReport { repairs, ..OpenReport::default() });
}

/// Makes the fixture anew where `POSTBRIDGE_MAKE_JOURNAL_FIXTURE` names a folder that is not there.
#[test]
fn the_journal_that_is_written_today_is_what_the_fixture_holds() {
    let scratch = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("POSTBRIDGE_MAKE_JOURNAL_FIXTURE").map(PathBuf::from);
    let made = scratch.path().join("data");
    make(&made);
    if let Some(asked) = asked {
        copy(&made, &asked);
    }
    check_all(&made, &OpenReport::default());
}
