//! A power cut while a data folder is put right, made anew or converted loses nothing: a start that does so is recorded, and
//! the folder is rebuilt at moments of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::journal::segment::FRAMES;

use crate::store::format::{V9, check, check_network};
use crate::support::crash_disk::{CrashDisk, Kept};
use crate::support::damaged_folder::{Outcome, Tally, copy, open, outcome, stopped};
use crate::support::recording::{Recorder, Recording};
use crate::support::recount::assert_recounted;
use crate::support::trial::{Chance, rounds};
use crate::trials::crash_images::moments;

/// How many images there are of each kind of start.
const IMAGES: usize = 4;

/// The data folder of the child.
const FOLDER: &str = "POSTBRIDGE_TEST_CHILD_OPENS";
const NAME: &str = "trials::crash_repairs::opens_a_folder_and_closes_it";

/// The child itself, when a trial starts it; else a first look that it ends well.
#[test]
fn opens_a_folder_and_closes_it() {
    let scratch = tempfile::tempdir().unwrap();
    let asked = std::env::var_os(FOLDER).map(PathBuf::from);
    let store = open(&asked.unwrap_or_else(|| scratch.path().join("data"))).unwrap();
    wait(store.close()).unwrap();
}

/// Has a child open the data folder in `folder`, recorded, and close it.
fn started(folder: &Path) -> Option<Recording> {
    let recorder = Recorder::of(&folder.join("data"), &folder.join("log"))?;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", NAME, "--test-threads", "1"]).env(FOLDER, folder.join("data"));
    let done = child.envs(recorder.environment()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    Some(recorder.recording())
}

/// Has such a folder opened, and each image of that looked at.
fn try_start(base: &Path, chance: &mut Chance, check: &mut dyn FnMut(&Path, &str)) {
    let folder = tempfile::tempdir().unwrap();
    copy(base, &folder.path().join("data"));
    let Some(recording) = started(folder.path()) else { return };
    let mut disk = CrashDisk::over(&recording, base);
    for moment in moments(&recording, rounds(IMAGES), chance) {
        disk.go_to(moment);
        let (kept, image) = (Kept::by(chance), tempfile::tempdir().unwrap());
        let data = image.path().join("data");
        disk.write_image(&data, kept, chance);
        check(&data, &format!("image after record {moment} of {}, {kept:?} kept", recording.len()));
    }
}

/// Damages a folder that was stopped, and starts it.
fn damaged(kind: &str, tally: &mut Tally, damage: &dyn Fn(&Path)) {
    let (image, mut chance) = (stopped(300), Chance::of_this_run());
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("data");
    copy(&image.data(), &base);
    damage(&base);
    try_start(&base, &mut chance, &mut |data, what| {
        let outcome = outcome(data, &image.acknowledged);
        // The damage is there until it is put right, and then is not.
        let is_refused = matches!(outcome, Outcome::Refused | Outcome::LastSetAside);
        let outcome = if is_refused { Outcome::Lost(format!("{outcome:?}")) } else { outcome };
        tally.note(kind, what, &outcome);
    });
}

fn first_segment(data: &Path) -> PathBuf {
    let files = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "journal")).min().unwrap()
}

#[test]
fn no_power_cut_loses_anything_while_a_damaged_folder_is_put_right() {
    let mut tally = Tally::default();
    damaged("a frame of the journal is damaged", &mut tally, &|data| {
        let segment = first_segment(data);
        let mut bytes = fs::read(&segment).unwrap();
        bytes[FRAMES as usize + 100] ^= 1;
        fs::write(&segment, bytes).unwrap();
    });
    damaged("the journal is missing", &mut tally, &|data| fs::remove_dir_all(data.join("journal")).unwrap());
    damaged("the index is missing", &mut tally, &|data| fs::remove_dir_all(data.join("index")).unwrap());
    damaged("the index is cut", &mut tally, &|data| {
        let database = data.join("index/db");
        let half = fs::metadata(&database).unwrap().len() / 2;
        fs::File::options().write(true).open(database).unwrap().set_len(half).unwrap();
    });
    tally.end();
}

#[test]
fn no_power_cut_loses_anything_while_a_folder_without_a_journal_is_converted() {
    let mut count = 0;
    try_start(Path::new(V9), &mut Chance::of_this_run(), &mut |data, what| {
        println!("{what}");
        let store = Embedded::open_sled(data, Arc::default()).unwrap();
        check(&store);
        check_network(&store);
        assert_recounted(&store);
        count += 1;
    });
    println!("{count} images of a conversion, nothing lost");
}

#[test]
fn a_power_cut_while_a_folder_is_begun_leaves_one_that_is_opened() {
    let (folder, mut chance) = (tempfile::tempdir().unwrap(), Chance::of_this_run());
    let base = folder.path().join("empty");
    fs::create_dir(&base).unwrap();
    let mut count = 0;
    for _ in 0..3 {
        try_start(&base, &mut chance, &mut |data, what| {
            drop(open(data).unwrap_or_else(|error| panic!("{what}: {error}")));
            count += 1;
        });
    }
    println!("{count} images of a first start, all opened");
}
