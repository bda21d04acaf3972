//! Any one place of a data folder that is damaged loses nothing: journal and index put each other right, or it is refused.

use std::fs;
use std::path::Path;

use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;
use postbridge::store::embedded::data_folder::verify_closed;

use crate::support::damaged_folder::{
    FolderImage, Outcome, Tally, copy, image_of, killed, killed_after_a_stop, last_frames, open, outcome,
    receive, stopped,
};
use crate::support::trial::{Chance, rounds};

/// How many sales a folder has.
const SALES: usize = 600;

fn states() -> [(&'static str, FolderImage); 3] {
    [
        ("killed", killed(SALES)),
        ("stopped", stopped(SALES)),
        ("killed after a stop", killed_after_a_stop(SALES)),
    ]
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_folder_that_is_not_damaged_is_whole_in_every_state() {
    for (state, image) in states() {
        assert_eq!(image.try_damage(|_| {}), Outcome::Whole, "{state}");
    }
}

#[test]
fn a_byte_that_is_flipped_anywhere_loses_nothing() {
    let mut chance = Chance::of_this_run();
    let mut tally = Tally::default();
    for (state, image) in states() {
        let files = image.files();
        let all: u64 = files.iter().map(|(_, length)| length).sum();
        for _ in 0..rounds(20) {
            let mut at = chance.below(all);
            let (file, _) = files
                .iter()
                .find(|(_, length)| {
                    let is_here = at < *length;
                    at -= if is_here { 0 } else { *length };
                    is_here
                })
                .unwrap();
            let flip = 1 << (chance.byte() % 8);
            let outcome =
                image.try_damage(|data| change(&data.join(file), |bytes| bytes[at as usize] ^= flip));
            tally.note(state, &format!("{} byte {at} ^ {flip}", file.display()), &outcome);
        }
    }
    tally.end();
}

#[test]
fn a_file_that_is_cut_emptied_missing_or_half_there_loses_nothing() {
    let mut chance = Chance::of_this_run();
    let mut tally = Tally::default();
    for (state, image) in states() {
        for (file, length) in image.files() {
            let (half, some) = ((length / 2) as usize, chance.below(length) as usize);
            let mut note = |what: &str, outcome: Outcome| {
                tally.note(state, &format!("{}: {what}", file.display()), &outcome);
            };
            note("missing", image.try_damage(|data| fs::remove_file(data.join(&file)).unwrap()));
            note("emptied", image.try_damage(|data| change(&data.join(&file), Vec::clear)));
            note("half", image.try_damage(|data| change(&data.join(&file), |bytes| bytes.truncate(half))));
            note(
                "half copied",
                image.try_damage(|data| change(&data.join(&file), |bytes| bytes[half..].fill(0))),
            );
            note(
                &format!("cut at {some}"),
                image.try_damage(|data| change(&data.join(&file), |bytes| bytes.truncate(some))),
            );
        }
        let whole = image.try_damage(|data| fs::remove_dir_all(data.join("index")).unwrap());
        tally.note(state, "no index", &whole);
        let whole = image.try_damage(|data| fs::remove_dir_all(data.join("journal")).unwrap());
        tally.note(state, "no journal", &whole);
    }
    tally.end();
    assert_eq!(tally.count("stopped", "Refused"), 0, "what was closed is in both copies");
}

/// Puts a folder as it was in the middle of its life into the place of one.
fn put_older(image: &FolderImage, name: &str, data: &Path) {
    fs::remove_dir_all(data.join(name)).unwrap();
    copy(&image.older().join(name), &data.join(name));
}

#[test]
fn a_file_that_is_swapped_with_an_older_one_of_the_same_folder_loses_nothing() {
    let mut tally = Tally::default();
    for (state, image) in states() {
        for (file, _) in image.files() {
            let older = image.older().join(&file);
            if older.exists() && fs::read(&older).unwrap() != fs::read(image.data().join(&file)).unwrap() {
                let swapped = image.try_damage(|data| {
                    fs::copy(&older, data.join(&file)).unwrap();
                });
                tally.note(state, &file.display().to_string(), &swapped);
            }
        }
        let swapped = image.try_damage(|data| put_older(&image, "index", data));
        tally.note(state, "index", &swapped);
    }
    tally.end();
}

/// Of a clean stop the manifest says how far both go, and the index makes up what is missing.
#[test]
fn a_journal_that_is_swapped_with_an_older_one_loses_nothing_after_a_clean_stop() {
    let image = stopped(SALES);
    let swapped = image.try_damage(|data| put_older(&image, "journal", data));
    assert_eq!(swapped, Outcome::Repaired);
}

#[test]
fn a_journal_that_is_swapped_with_an_older_one_after_a_kill_is_refused_and_nothing_is_changed() {
    for image in [killed(SALES), killed_after_a_stop(SALES)] {
        let swapped = image.try_damage(|data| put_older(&image, "journal", data));
        assert_eq!(swapped, Outcome::Refused);
    }
}

/// A burst of which no checkpoint and no stop has seen anything.
fn burst() -> FolderImage {
    killed(60)
}

#[test]
fn the_end_of_a_burst_that_is_damaged_in_any_byte_is_refused_or_is_the_last_commit_alone() {
    let image = burst();
    let segment = image.open_segment();
    let (frames, end) = last_frames(&image.data().join(&segment), 3);
    let (mut chance, mut tally) = (Chance::of_this_run(), Tally::default());
    let share = if rounds(1) > 1 { 1 } else { 10 };
    for at in frames[2]..end {
        if chance.below(share) > 0 {
            continue;
        }
        let flip = 1 << (chance.byte() % 8);
        let outcome =
            image.try_damage(|data| change(&data.join(&segment), |bytes| bytes[at as usize] ^= flip));
        let kind = if at >= frames[0] { "the last frame" } else { "the two before it" };
        tally.note(kind, &format!("byte {at} ^ {flip}"), &outcome);
    }
    tally.end();
    assert_eq!(tally.kinds("the last frame"), ["LastSetAside"]);
    assert_eq!(tally.kinds("the two before it"), ["Refused"]);
}

#[test]
fn the_end_of_a_burst_that_is_cut_or_zeroed_block_by_block_is_never_silent() {
    let image = burst();
    let segment = image.open_segment();
    let (frames, end) = last_frames(&image.data().join(&segment), 1);
    let (mut chance, mut tally) = (Chance::of_this_run(), Tally::default());
    let share = if rounds(1) > 1 { 1 } else { 10 };
    let last_blocks = (2 * 1024 * 1024u64).min(end.next_multiple_of(4096));
    for block in (0..last_blocks / 4096).map(|block| block * 4096) {
        let is_sampled = chance.below(share) == 0 || block + 8192 >= end;
        if !is_sampled {
            continue;
        }
        let from = block as usize;
        let zeroed = image.try_damage(|data| {
            change(&data.join(&segment), |bytes| bytes[from..from + 4096].fill(0));
        });
        let cut = image.try_damage(|data| change(&data.join(&segment), |bytes| bytes.truncate(from)));
        let tail = image.try_damage(|data| change(&data.join(&segment), |bytes| bytes[from..].fill(0)));
        for (how, outcome) in [("zeroed", zeroed), ("cut", cut), ("zeroed to the end", tail)] {
            let kind = if block > frames[0] { format!("{how} in the last frame") } else { how.to_owned() };
            tally.note(&kind, &format!("block at {block} of {end}"), &outcome);
        }
    }
    tally.end();
}

#[test]
fn a_file_of_the_journal_that_is_zeros_from_its_first_byte_is_never_taken_for_one_without_commits() {
    let image = burst();
    let segment = image.open_segment();
    let zeroed = image.try_damage(|data| change(&data.join(&segment), |bytes| bytes.fill(0)));
    assert_eq!(zeroed, Outcome::Refused);
    let first_block = image.try_damage(|data| change(&data.join(&segment), |bytes| bytes[..4096].fill(0)));
    assert_eq!(first_block, Outcome::Repaired);
    // Where a stop has proven what there was, the index has all of it.
    let image = stopped(60);
    let zeroed = image.try_damage(|data| change(&data.join(image.open_segment()), |bytes| bytes.fill(0)));
    assert_eq!(zeroed, Outcome::Repaired);
}

#[test]
fn an_index_that_is_ahead_of_an_older_journal_heals_it_or_is_refused_untouched() {
    let early = stopped(30);
    let journal_of = |image: &FolderImage| image.data().join("journal");
    let swap = |from: &Path, data: &Path| {
        fs::remove_dir_all(data.join("journal")).unwrap();
        copy(from, &data.join("journal"));
    };
    let older = journal_of(&early);
    // The same folder later: stopped, and killed after a stop.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(&early.data(), &data);
    let store = open(&data).unwrap();
    let mut acknowledged = early.acknowledged.clone();
    receive(&store, "later", 30, &mut acknowledged);
    wait(store.close()).unwrap();
    drop(store);
    let closed = image_of(&data, acknowledged.clone());
    assert_eq!(closed.try_damage(|data| swap(&older, data)), Outcome::Repaired);
    let store = open(&data).unwrap();
    let open_again = image_of(&data, acknowledged);
    // No one knows what was received since the index was marked.
    assert_eq!(open_again.try_damage(|data| swap(&older, data)), Outcome::Refused);
    drop(store);
}

#[test]
fn what_is_damaged_of_a_segment_and_no_commit_is_written_again() {
    let image = stopped(SALES * 4);
    let segments: Vec<_> =
        image.files().into_iter().filter(|(file, _)| file.starts_with("journal")).collect();
    let segments =
        segments.into_iter().filter(|(file, _)| file.extension().is_some_and(|end| end == "journal"));
    let finished: Vec<_> = segments.filter(|(file, _)| *file != image.open_segment()).collect();
    assert!(!finished.is_empty());
    for (file, length) in &finished {
        for at in [20, length - 20] {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            copy(&image.data(), &data);
            change(&data.join(file), |bytes| bytes[at as usize] ^= 1);
            assert_eq!(outcome(&data, &image.acknowledged), Outcome::Repaired, "{file:?} at {at}");
            assert_eq!(outcome(&data, &image.acknowledged), Outcome::Whole, "{file:?} at {at}, again");
            let found = verify_closed(&data, &|_, _| {}).unwrap().findings;
            assert_eq!(found, [], "{file:?} at {at}, verified");
        }
    }
}
