//! Any one place of a data folder that is damaged loses nothing: journal and index put each other right, or it is refused.

use std::fs;
use std::path::Path;

use postbridge::store::engine::journal::segment_reader::SegmentReader;

use crate::support::damaged_folder::{FolderImage, Outcome, Tally, killed, killed_after_a_stop, stopped};
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

fn number(chance: &mut Chance, below: u64) -> u64 {
    let bytes: [u8; 8] = std::array::from_fn(|_| chance.byte());
    u64::from_le_bytes(bytes) % below.max(1)
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
            let mut at = number(&mut chance, all);
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
            let (half, some) = ((length / 2) as usize, number(&mut chance, length) as usize);
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

/// Where the last frames of a segment begin, the last one first, and where the last one ends.
fn last_frames(segment: &Path, count: usize) -> (Vec<u64>, u64) {
    let mut reader = SegmentReader::open(segment).unwrap();
    let mut places = Vec::new();
    loop {
        let at = reader.at();
        if reader.next_frame().is_err() {
            places.reverse();
            places.truncate(count);
            return (places, at);
        }
        places.push(at);
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
        if number(&mut chance, share) > 0 {
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
        let is_sampled = number(&mut chance, share) == 0 || block + 8192 >= end;
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
