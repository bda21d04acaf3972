//! Data folders in the states that a long life leaves them in, what was acknowledged in each, and what damage made of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postbridge::domain::ids::ConversionId;
use postbridge::domain::postback::Verdict;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{click, sale, unscreened, wait};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::checkpoint::CheckpointSettings;
use postbridge::store::engine::data_folder::{FolderSettings, OpenReport};
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::journal::append::JournalSettings;
use postbridge::store::engine::journal::segment_reader::SegmentReader;

/// What a person was answered that it is kept.
pub type Acknowledged = Vec<(String, ConversionId)>;

/// A data folder as a process left it.
pub struct FolderImage {
    pub folder: tempfile::TempDir,
    pub acknowledged: Acknowledged,
    /// The same folder as it was in the middle of its life, where that is known.
    pub older: tempfile::TempDir,
}

/// Settings under which small folders have several segments and checkpoints.
pub fn small_settings() -> EmbeddedSettings {
    let checkpoint = CheckpointSettings { every: Duration::from_secs(3600), bytes: 192 * 1024 };
    let journal = JournalSettings { segment_bytes: 1024 * 1024, ..JournalSettings::default() };
    EmbeddedSettings {
        folder: FolderSettings { journal, checkpoint, ..FolderSettings::default() },
        ..EmbeddedSettings::default()
    }
}

pub fn open(data: &Path) -> Result<Embedded, OpenError> {
    Embedded::open_sled_with(data, usual_rules(), small_settings())
}

/// Receives so many sales one at a time, and clicks between them.
pub fn receive(store: &Embedded, name: &str, count: usize, acknowledged: &mut Acknowledged) {
    for number in 0..count {
        let transaction = format!("{name}-{number}");
        let receipt = sale(&transaction).body(number % 700).receive(store);
        acknowledged.push((transaction.clone(), receipt.verdict.conversion().unwrap()));
        if number % 10 == 0 {
            wait(store.record_click(unscreened(click(&format!("c-{transaction}"))))).unwrap();
        }
    }
}

/// Copies a folder as it is on the disk at this moment: what a kill leaves.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), target) {
                // A file that was replaced meanwhile is gone.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

fn copied(data: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(data, &folder.path().join("data"));
    folder
}

/// A copy of a folder, of which nothing older is known.
pub fn image_of(data: &Path, acknowledged: Acknowledged) -> FolderImage {
    image_with(data, acknowledged, tempfile::tempdir().unwrap())
}

fn image_with(data: &Path, acknowledged: Acknowledged, older: tempfile::TempDir) -> FolderImage {
    FolderImage { folder: copied(data), acknowledged, older }
}

/// Waits until no checkpoint goes on: a copy takes longer than a kill does, and must not have one half of it.
fn wait_for_checkpoint(data: &Path) {
    let changed = || -> Vec<_> {
        let files = files_under(&data.join("index")).into_iter();
        files.map(|file| fs::metadata(file).ok()?.modified().ok()).collect()
    };
    let mut before = changed();
    loop {
        std::thread::sleep(Duration::from_millis(150));
        let now = changed();
        if now == before {
            return;
        }
        before = now;
    }
}

/// **A**: a process that ran long, and was killed.
pub fn killed(count: usize) -> FolderImage {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "a1", count / 2, &mut acknowledged);
    let older = copied(&data);
    receive(&store, "a2", count - count / 2, &mut acknowledged);
    wait_for_checkpoint(&data);
    image_with(&data, acknowledged, older)
}

/// **B**: the same, started again and stopped twice.
pub fn stopped(count: usize) -> FolderImage {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "b1", count / 2, &mut acknowledged);
    let older = copied(&data);
    receive(&store, "b2", count - count / 2, &mut acknowledged);
    wait(store.close()).unwrap();
    drop(store);
    let store = open(&data).unwrap();
    wait(store.close()).unwrap();
    drop(store);
    image_with(&data, acknowledged, older)
}

/// **C**: half of it, a stop, the other half, and a kill.
pub fn killed_after_a_stop(count: usize) -> FolderImage {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::new();
    let store = open(&data).unwrap();
    receive(&store, "c1", count / 2, &mut acknowledged);
    wait(store.close()).unwrap();
    drop(store);
    let older = copied(&data);
    let store = open(&data).unwrap();
    receive(&store, "c2", count - count / 2, &mut acknowledged);
    wait_for_checkpoint(&data);
    image_with(&data, acknowledged, older)
}

impl FolderImage {
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Every file with its size, in order.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        files_under(&self.data())
            .into_iter()
            .map(|file| {
                let length = fs::metadata(&file).unwrap().len();
                (file.strip_prefix(self.data()).unwrap().to_path_buf(), length)
            })
            .collect()
    }

    /// The path of the folder as it was in the middle of its life.
    pub fn older(&self) -> PathBuf {
        self.older.path().join("data")
    }

    /// The file of the journal that is open.
    pub fn open_segment(&self) -> PathBuf {
        let mut files = self.files().into_iter().map(|(file, _)| file);
        files.rfind(|file| file.extension().is_some_and(|ending| ending == "journal")).unwrap()
    }

    /// Damages a copy, and looks what becomes of it.
    pub fn try_damage(&self, damage: impl FnOnce(&Path)) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        copy(&self.data(), &data);
        damage(&data);
        outcome(&data, &self.acknowledged)
    }
}

/// Every file below a folder, in order.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Every file but the lock, with its bytes.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let own = |file: &PathBuf| file.file_name().is_some_and(|name| name != "lock");
    let files = files_under(folder).into_iter().filter(own);
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// What became of a damaged folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is there, and nothing was said.
    Whole,
    /// Everything is there, and it was said what was put right.
    Repaired,
    /// It was refused, and nothing was changed.
    Refused,
    /// The last commit is not there, and it was said that it may have been.
    LastSetAside,
    /// What was acknowledged is not there.
    Lost(String),
}

/// Opens a folder, and sends again all that was acknowledged.
pub fn outcome(data: &Path, acknowledged: &Acknowledged) -> Outcome {
    let before = contents(data);
    let store = match open(data) {
        Ok(store) => store,
        Err(OpenError::Damaged { .. }) => {
            let after = contents(data);
            let changed: Vec<_> = before
                .keys()
                .chain(after.keys())
                .filter(|file| before.get(*file) != after.get(*file))
                .collect();
            return if changed.is_empty() {
                Outcome::Refused
            } else {
                Outcome::Lost(format!("refused, and changed {changed:?}"))
            };
        }
        Err(error) => return Outcome::Lost(format!("it was not opened: {error}")),
    };
    let report: OpenReport = store.opened().clone();
    let store: Arc<dyn Store> = Arc::new(store);
    let again: Vec<_> =
        acknowledged.iter().map(|(transaction, _)| store.arrive(sale(transaction).arrival())).collect();
    let mut lost = Vec::new();
    for ((transaction, conversion), receipt) in acknowledged.iter().zip(again) {
        match wait(receipt) {
            Ok(receipt) => {
                let is_kept = receipt.verdict.conversion() == Some(*conversion)
                    && !matches!(receipt.verdict, Verdict::Accepted { .. });
                if !is_kept {
                    lost.push(transaction.clone());
                }
            }
            Err(error) => return Outcome::Lost(format!("{transaction}: {error}")),
        }
    }
    if let [last] = lost.as_slice()
        && report.torn.is_some()
        && acknowledged.last().is_some_and(|(transaction, _)| transaction == last)
    {
        return Outcome::LastSetAside;
    }
    if !lost.is_empty() {
        return Outcome::Lost(format!("{} of {}: {lost:?}; {report:?}", lost.len(), acknowledged.len()));
    }
    if report == OpenReport::default() { Outcome::Whole } else { Outcome::Repaired }
}

/// Where the last frames of a segment begin, the last one first, and where the last one ends.
pub fn last_frames(segment: &Path, count: usize) -> (Vec<u64>, u64) {
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

/// How trials of a kind ended.
#[derive(Default)]
pub struct Tally(BTreeMap<String, BTreeMap<String, usize>>);

impl Tally {
    pub fn note(&mut self, kind: &str, what: &str, outcome: &Outcome) {
        let name = match outcome {
            Outcome::Lost(_) => "lost".to_owned(),
            outcome => format!("{outcome:?}"),
        };
        *self.0.entry(kind.to_owned()).or_default().entry(name).or_default() += 1;
        if let Outcome::Lost(cause) = outcome {
            println!("LOST {kind}: {what}: {cause}");
        }
    }

    /// Prints the table, and fails where anything was lost.
    pub fn end(&self) {
        println!("{:52}  trials   whole  repaired  refused  last set aside  lost", "damage");
        for (kind, outcomes) in &self.0 {
            let trials: usize = outcomes.values().sum();
            let [whole, repaired, refused, aside, lost] =
                ["Whole", "Repaired", "Refused", "LastSetAside", "lost"]
                    .map(|outcome| self.count(kind, outcome));
            println!("{kind:52}  {trials:6}  {whole:6}  {repaired:8}  {refused:7}  {aside:14}  {lost:4}");
        }
        let lost: usize = self.0.values().filter_map(|outcomes| outcomes.get("lost")).sum();
        assert_eq!(lost, 0);
    }

    /// The outcomes of a kind.
    pub fn kinds(&self, kind: &str) -> Vec<&str> {
        self.0.get(kind).into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    pub fn count(&self, kind: &str, outcome: &str) -> usize {
        self.0.get(kind).and_then(|outcomes| outcomes.get(outcome)).copied().unwrap_or_default()
    }
}
