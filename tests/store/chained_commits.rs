//! Commits that are whole, each in its place by number, and still not those that were committed: what has only the look of a
//! journal or an index is not taken for one.

use std::fs;
use std::path::{Path, PathBuf};

use postbridge::store::engine::data_folder::{FolderContents, FolderSettings, OpenReport};
use postbridge::store::engine::journal::damage::LastLost;
use postbridge::store::engine::journal::inspect::inspect;
use postbridge::store::engine::journaled::Journaled;
use postbridge::store::engine::kv::{Batch, Direction, Kv};
use postbridge::store::engine::open_folder;

use crate::store::journal_engine::held;
use crate::support::damaged_folder::{copy, last_frames};

const TABLES: &[u8] = b"H";

fn opened(data: &Path) -> (Journaled, OpenReport) {
    let contents = FolderContents { tables: TABLES, check: &|_| Ok(()) };
    open_folder::open(data, &FolderSettings::default(), contents).unwrap()
}

/// One commit for each number, all of one length.
fn commit(kv: &Journaled, numbers: std::ops::Range<u64>, fill: u8) {
    for number in numbers {
        let mut batch = Batch { commands: 1, ..Batch::default() };
        batch.put([b"K".as_slice(), &number.to_be_bytes()].concat(), vec![fill; 100]);
        kv.commit(batch, &mut |_| {}).unwrap();
    }
}

fn open_segment(data: &Path) -> PathBuf {
    let journal = data.join("journal");
    journal.join(inspect(&journal).unwrap().unwrap().end.unwrap().header.file_name())
}

#[test]
fn a_commit_of_another_history_in_the_place_of_one_is_found_by_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    commit(&opened(&begun).0, 1..11, 0);
    // The same folder goes on twice: commits of the same numbers and lengths follow the same ones.
    let [own, other] = [1, 2].map(|fill| {
        let (data, killed) =
            (folder.path().join(format!("on-{fill}")), folder.path().join(format!("{fill}")));
        copy(&begun, &data);
        let (kv, report) = opened(&data);
        assert_eq!(report, OpenReport::default());
        commit(&kv, 11..15, fill);
        copy(&data, &killed);
        killed
    });
    let (own_segment, other_segment) = (open_segment(&own), open_segment(&other));
    let (places, end) = last_frames(&own_segment, 4);
    assert_eq!(last_frames(&other_segment, 4), (places.clone(), end));
    let damage = |own: &Path| inspect(&own.join("journal")).unwrap().unwrap().damage;
    assert_eq!(damage(&own), []);
    // The last one first: commit 13 is the second.
    let (from, to) = (places[1] as usize, places[0] as usize);
    let (mut bytes, others) = (fs::read(&own_segment).unwrap(), fs::read(&other_segment).unwrap());
    assert_ne!(bytes[from..to], others[from..to]);
    bytes[from..to].copy_from_slice(&others[from..to]);
    fs::write(&own_segment, bytes).unwrap();
    let found = damage(&own);
    // It does not follow commit 12, and commit 14 does not follow it.
    let places: Vec<_> = found.iter().map(|damage| (damage.first, damage.last)).collect();
    assert_eq!(places, [(12, LastLost::Commit(12)), (13, LastLost::Commit(13))], "{found:#?}");
    assert!(found.iter().all(|damage| damage.what == "a commit does not follow the one before it"));
}

#[test]
fn an_index_that_has_lost_or_changed_a_record_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    commit(&opened(&data).0, 1..11, 0);
    let whole = held(&opened(&data).0, Direction::Up);
    assert_eq!(whole.len(), 10);
    let key = [b"K".as_slice(), &7_u64.to_be_bytes()].concat();
    let changes: [&dyn Fn(&sled::Db); 3] = [
        &|index| drop(index.remove(&key).unwrap().unwrap()),
        &|index| {
            let mut value = index.get(&key).unwrap().unwrap().to_vec();
            *value.last_mut().unwrap() ^= 1;
            index.insert(&key, value).unwrap().unwrap();
        },
        &|index| {
            let value = index.get(&key).unwrap().unwrap();
            assert_eq!(index.insert([b"K".as_slice(), &77_u64.to_be_bytes()].concat(), value).unwrap(), None);
        },
    ];
    for change in changes {
        // By no way of ours: what the index says of itself stays as it was.
        let config = sled::Config::new().path(data.join("index")).segment_size(1024 * 1024);
        let index = config.open().unwrap();
        change(&index);
        index.flush().unwrap();
        drop(index);
        let (kv, report) = opened(&data);
        let repaired = &report.repairs[..];
        assert!(
            matches!(repaired, [done] if done.starts_with("the index was made anew from the journal")),
            "{report:?}"
        );
        assert_eq!(held(&kv, Direction::Up), whole);
    }
}
