//! Any one place of a relay's data folder that is damaged loses nothing, tried with the program as it is released: it is
//! started over each damaged copy, and all that was acknowledged is sent again. In the long trials alone; what the usual run
//! has of it is in `tests/store/damaged_folders.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::damaged_folder::{Outcome, Tally, contents, copy, files_under, last_frames};
use crate::support::relay::{Connection, KEY, Relay, Setup, wait_until};
use crate::support::relay_load::{self, filler};
use crate::support::trial::{Chance, rounds};

const SALES: usize = 600;
/// How many trials run next to each other.
const WORKERS: usize = 3;
const BLOCK: u64 = 4096;

/// What is sent of a sale, and the id that it was answered.
type Sold = (String, String);

/// A data folder that a relay left, and what it had acknowledged.
struct Left {
    folder: tempfile::TempDir,
    /// As it was in the middle of its life, before the manifest was written last.
    older: tempfile::TempDir,
    sold: Vec<Sold>,
}

fn setup(folder: &Path) -> Setup {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    relay_load::setup(folder, nowhere)
}

fn sell(relay: &Relay, (from, to): (usize, usize), filled: usize, sold: &mut Vec<Sold>) {
    let (mut connection, mut chance) = (Connection::open(relay.address).unwrap(), Chance::of(to as u64));
    for number in from..to {
        let more = filler(&mut chance, filled.max(number % 700));
        let path = format!("/{KEY}/collect/cake-test?s2=c{number}&tid=T{number}&price=3&more={more}");
        let answer = connection.get(&path).unwrap();
        assert_eq!(answer.json()["status"], "accepted", "{}", answer.text());
        sold.push((path, answer.json()["conversion_id"].as_str().unwrap().to_owned()));
    }
}

fn stop(relay: Relay) {
    relay.signal(libc::SIGTERM);
    assert!(relay.wait(Duration::from_secs(60)).is_some_and(|status| status.success()));
}

fn copied(data: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(data, &folder.path().join("data"));
    folder
}

/// Whether a relay is stopped in the middle, and at the end.
#[derive(Clone, Copy)]
struct Stops(bool, bool);

fn left(program: &Path, (sales, filled): (usize, usize), stops: Stops) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let (setup, data, mut sold) = (setup(folder.path()), folder.path().join("data"), Vec::new());
    let mut relay = relay_load::start(&setup, program);
    sell(&relay, (0, sales / 2), filled, &mut sold);
    if stops.0 {
        stop(relay);
        relay = relay_load::start(&setup, program);
    }
    let older = copied(&data);
    if filled == 0 {
        // What is older is so by a manifest and an index that know more: as after a minute at most.
        sell(&relay, (sales / 2, sales / 2 + 5), filled, &mut sold);
        let server = format!("http://{}", relay.address);
        relay_load::run(&setup, program, &["verify", "--server", &server]);
        sell(&relay, (sales / 2 + 5, sales), filled, &mut sold);
    } else {
        sell(&relay, (sales / 2, sales), filled, &mut sold);
    }
    if stops.1 {
        stop(relay)
    } else {
        relay.kill()
    }
    Left { folder, older, sold }
}

/// Starts the relay over a damaged folder, and sends again all that was acknowledged.
fn outcome(program: &Path, folder: &Path, sold: &[Sold]) -> Outcome {
    let (setup, data) = (setup(folder), folder.join("data"));
    let before = contents(&data);
    let log = || fs::read_to_string(folder.join("serve.log")).unwrap_or_default();
    let Some(mut relay) = setup.try_start_by(&format!("exec '{}' \"$@\"", program.display())) else {
        return refused(&before, &data, &log());
    };
    let mut connection = None;
    let settled = wait_until(Duration::from_secs(60), || {
        let opened = Connection::open(relay.address).and_then(|mut open| Ok((open.get("/readyz")?, open)));
        connection = opened.ok().filter(|(answer, _)| answer.status == 200);
        connection.is_some() || relay.ended().is_some()
    });
    let Some((_, mut connection)) = connection else {
        return if settled { refused(&before, &data, &log()) } else { Outcome::Lost("it hangs".to_owned()) };
    };
    let mut lost = Vec::new();
    for (path, conversion) in sold {
        match connection.get(path) {
            Ok(answer) => {
                let reported = answer.json();
                if reported["status"] != "duplicate" || reported["conversion_id"] != conversion.as_str() {
                    lost.push(path);
                }
            }
            Err(error) => return Outcome::Lost(format!("{error}: {}", log())),
        }
    }
    relay.kill();
    let log = log();
    let is_torn = log.contains("ends in the middle of a commit");
    match lost.as_slice() {
        [] if is_torn || log.contains("the data folder was repaired") => Outcome::Repaired,
        [] => Outcome::Whole,
        [path] if is_torn && sold.last().is_some_and(|(last, _)| last == *path) => Outcome::LastSetAside,
        lost => Outcome::Lost(format!("{} of {}: {log}", lost.len(), sold.len())),
    }
}

type Contents = std::collections::BTreeMap<PathBuf, Vec<u8>>;

fn refused(before: &Contents, data: &Path, log: &str) -> Outcome {
    if !log.contains("--accept-loss loss-") {
        return Outcome::Lost(format!("it was not opened, and not refused as damaged: {log}"));
    }
    match contents(data) == *before {
        true => Outcome::Refused,
        false => Outcome::Lost("refused, and changed".to_owned()),
    }
}

/// A trial: its kind, its words, and what it does to a data folder.
type Trial<'a> = (String, String, Box<dyn Fn(&Path) + Send + Sync + 'a>);

impl Left {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn files(&self) -> Vec<(PathBuf, u64)> {
        let data = self.data();
        let own = |file: PathBuf| file.strip_prefix(&data).unwrap().to_path_buf();
        files_under(&data)
            .into_iter()
            .map(|file| (own(file.clone()), fs::metadata(file).unwrap().len()))
            .collect()
    }

    /// The files of the journal, in their order.
    fn segments(&self) -> Vec<PathBuf> {
        let files = self.files().into_iter().map(|(file, _)| file);
        files.filter(|file| file.extension().is_some_and(|ending| ending == "journal")).collect()
    }

    fn try_all(&self, program: &Path, trials: &[Trial<'_>], tally: &mut Tally) {
        println!("{} trials", trials.len());
        let (next, tally) = (AtomicUsize::new(0), Mutex::new(tally));
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Some((kind, what, damage)) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let folder = copied(&self.data());
                        damage(&folder.path().join("data"));
                        let outcome = outcome(program, folder.path(), &self.sold);
                        tally.lock().unwrap().note(kind, what, &outcome);
                    }
                });
            }
        });
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// A trial that changes the bytes of one file.
fn trial<'a>(
    kind: &str,
    file: &Path,
    what: String,
    how: impl Fn(&mut Vec<u8>) + Send + Sync + 'a,
) -> Trial<'a> {
    let file = file.to_owned();
    let what = format!("{} {what}", file.display());
    (kind.to_owned(), what, Box::new(move |data| change(&data.join(&file), &how)))
}

fn flips<'a>(left: &Left, state: &str, count: usize, chance: &mut Chance) -> Vec<Trial<'a>> {
    let files = left.files();
    let all: u64 = files.iter().map(|(_, length)| length).sum();
    let flip = |_| {
        let mut at = chance.below(all);
        let is_here = |length: u64, at: &mut u64| {
            let is_here = *at < length;
            *at -= if is_here { 0 } else { length };
            is_here
        };
        let (file, _) = files.iter().find(|(_, length)| is_here(*length, &mut at)).unwrap();
        let bit = 1 << chance.below(8);
        trial(&format!("{state}: a bit flipped"), file, format!("byte {at} ^ {bit}"), move |bytes| {
            bytes[at as usize] ^= bit;
        })
    };
    (0..count).map(flip).collect()
}

fn files<'a>(left: &'a Left, state: &str, chance: &mut Chance) -> Vec<Trial<'a>> {
    let kind = |what: &str| format!("{state}: a file {what}");
    let mut trials: Vec<Trial<'a>> = Vec::new();
    for (file, length) in left.files() {
        let (half, some) = ((length / 2) as usize, chance.below(length) as usize);
        let gone = file.clone();
        let remove = move |data: &Path| fs::remove_file(data.join(&gone)).unwrap();
        trials.push((kind("missing"), file.display().to_string(), Box::new(remove)));
        trials.push(trial(&kind("emptied"), &file, String::new(), Vec::clear));
        trials.push(trial(&kind("cut"), &file, format!("at {half}"), move |bytes| bytes.truncate(half)));
        trials.push(trial(&kind("cut"), &file, format!("at {some}"), move |bytes| bytes.truncate(some)));
        trials.push(trial(&kind("half copied"), &file, String::new(), move |bytes| bytes[half..].fill(0)));
        let older = left.older.path().join("data").join(&file);
        if older.exists() && fs::read(&older).unwrap() != fs::read(left.data().join(&file)).unwrap() {
            let what = file.display().to_string();
            let swap = move |data: &Path| {
                fs::copy(&older, data.join(&file)).unwrap();
            };
            trials.push((kind("swapped with an older one"), what, Box::new(swap)));
        }
    }
    for name in ["index", "journal"] {
        let remove = move |data: &Path| fs::remove_dir_all(data.join(name)).unwrap();
        trials.push((format!("{state}: a folder missing"), name.to_owned(), Box::new(remove)));
    }
    trials
}

/// Every byte of the last three frames.
fn last_bytes<'a>(left: &Left, chance: &mut Chance) -> Vec<Trial<'a>> {
    let segment = left.segments().pop().unwrap();
    let (frames, end) = last_frames(&left.data().join(&segment), 3);
    let byte = |at: u64| {
        let kind = if at >= frames[0] { "a burst's last frame: a byte" } else { "the two before it: a byte" };
        let bit = 1 << chance.below(8);
        trial(kind, &segment, format!("byte {at} ^ {bit}"), move |bytes| bytes[at as usize] ^= bit)
    };
    (frames[2]..end).map(byte).collect()
}

/// Every block of the last 2 MiB that were written.
fn last_blocks<'a>(left: &Left) -> Vec<Trial<'a>> {
    let mut trials = Vec::new();
    let mut blocks_left = 2 * 1024 * 1024 / BLOCK;
    for segment in left.segments().iter().rev() {
        let (frames, end) = last_frames(&left.data().join(segment), 1);
        for at in (0..end.div_ceil(BLOCK)).rev().take(blocks_left as usize).map(|block| block * BLOCK) {
            let from = at as usize;
            let to = from + BLOCK as usize;
            let is_last = blocks_left == 2 * 1024 * 1024 / BLOCK && at > frames[0];
            let kind = |how: &str| {
                format!("a burst's last 2 MiB: a block {how}{}", if is_last { " (last)" } else { "" })
            };
            let what = || format!("at {at} of {end}");
            let zeroed = move |bytes: &mut Vec<u8>| {
                let to = to.min(bytes.len());
                bytes[from..to].fill(0);
            };
            trials.push(trial(&kind("zeroed"), segment, what(), zeroed));
            trials.push(trial(&kind("cut"), segment, what(), move |bytes| bytes.truncate(from)));
        }
        blocks_left = blocks_left.saturating_sub(end.div_ceil(BLOCK));
    }
    trials
}

#[test]
fn a_released_relay_loses_nothing_to_any_one_damaged_place() {
    if rounds(1) == 1 {
        println!("skipped: in the long trials alone");
        return;
    }
    let (program, mut chance, mut tally) = (relay_load::program(), Chance::of_this_run(), Tally::default());
    let states = [
        ("killed", Stops(false, false)),
        ("stopped", Stops(true, true)),
        ("killed after a stop", Stops(true, false)),
    ];
    for (state, stops) in states {
        let left = left(&program, (SALES, 0), stops);
        let mut trials = flips(&left, state, 70, &mut chance);
        trials.extend(files(&left, state, &mut chance));
        left.try_all(&program, &trials, &mut tally);
    }
    let burst = left(&program, (60, 0), Stops(false, false));
    burst.try_all(&program, &last_bytes(&burst, &mut chance), &mut tally);
    let long_burst = left(&program, (400, 6000), Stops(false, false));
    long_burst.try_all(&program, &last_blocks(&long_burst), &mut tally);
    tally.end();
    assert_eq!(tally.kinds("a burst's last frame: a byte"), ["LastSetAside"]);
    assert_eq!(tally.kinds("the two before it: a byte"), ["Refused"]);
}
