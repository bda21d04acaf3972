//! What a program did to a folder and what it answered, as `recorder.c` writes it down: built, preloaded, and read.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The recorder, and where one program or several after another are recorded.
pub struct Recorder {
    library: PathBuf,
    root: PathBuf,
    log: PathBuf,
}

impl Recorder {
    /// For the files below `root`, which is not there yet. `None`: there is no C compiler, which is said; where `CI` is set
    /// there must be one.
    pub fn of(root: &Path, log: &Path) -> Option<Recorder> {
        static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match LIBRARY.get_or_init(build) {
            Ok(library) => {
                Some(Recorder { library: library.clone(), root: root.to_owned(), log: log.to_owned() })
            }
            Err(reason) => {
                assert!(std::env::var_os("CI").is_none(), "the recorder cannot be built: {reason}");
                println!("skipped: the recorder cannot be built: {reason}");
                None
            }
        }
    }

    /// The environment of a program that is recorded.
    pub fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("RECORDER_ROOT", self.root.clone().into_os_string()),
            ("RECORDER_LOG", self.log.clone().into_os_string()),
        ]
    }

    /// What was recorded by now. Where a program was killed, its last record may be cut off: it is left out.
    pub fn recording(&self) -> Recording {
        Recording::parse(fs::read(&self.log).unwrap(), &self.root)
    }
}

fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/recorder.c");
    // Each process its own, so that none runs one that another is writing.
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recorder-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(source);
    let done = compiler.output().map_err(|error| format!("cc: {error}"))?;
    if done.status.success() { Ok(library) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

/// Something that was recorded. Paths are below the folder; that of the folder itself is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    Opened { handle: u64, is_made: bool, is_emptied: bool, path: &'a str },
    Written { handle: u64, at: u64, bytes: &'a [u8] },
    Sized { handle: u64, size: u64 },
    AtLeast { handle: u64, size: u64 },
    SyncBegins { handle: u64, sync: u64 },
    Synced { handle: u64, sync: u64 },
    Renamed { from: &'a str, to: &'a str },
    Linked { from: &'a str, to: &'a str },
    Removed { path: &'a str },
    FolderMade { path: &'a str },
    Sent { bytes: &'a [u8] },
}

/// All that was recorded, in its order.
pub struct Recording {
    bytes: Vec<u8>,
    root: String,
    /// Where each record begins.
    places: Vec<usize>,
}

/// How long what is before a record's own bytes is.
const HEAD: usize = 21;

fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

impl Recording {
    fn parse(bytes: Vec<u8>, root: &Path) -> Recording {
        let (mut places, mut at) = (Vec::new(), 0);
        while at + HEAD <= bytes.len() {
            let end = at + HEAD + number(&bytes[at + 17..at + HEAD]) as usize;
            if end > bytes.len() {
                break;
            }
            places.push(at);
            at = end;
        }
        Recording { bytes, root: root.to_str().unwrap().to_owned(), places }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// A record by its number.
    pub fn get(&self, record: usize) -> Record<'_> {
        let head = &self.bytes[self.places[record]..];
        let (handle, second) = (number(&head[1..9]), number(&head[9..17]));
        let own = &head[HEAD..HEAD + number(&head[17..HEAD]) as usize];
        let text = || std::str::from_utf8(own).unwrap();
        let two = || text().split_once('\0').map(|(from, to)| (self.below(from), self.below(to))).unwrap();
        match head[0] {
            b'o' => {
                let (is_made, is_emptied) = (second & 1 != 0, second & 2 != 0);
                Record::Opened { handle, is_made, is_emptied, path: self.below(text()) }
            }
            b'w' => Record::Written { handle, at: second, bytes: own },
            b't' => Record::Sized { handle, size: second },
            b'f' => Record::AtLeast { handle, size: second },
            b's' => Record::SyncBegins { handle, sync: second },
            b'S' => Record::Synced { handle, sync: second },
            b'r' => {
                let (from, to) = two();
                Record::Renamed { from, to }
            }
            b'l' => {
                let (from, to) = two();
                Record::Linked { from, to }
            }
            b'u' => Record::Removed { path: self.below(text()) },
            b'm' => Record::FolderMade { path: self.below(text()) },
            b'a' => Record::Sent { bytes: own },
            kind => panic!("a record of kind {kind} at byte {}", self.places[record]),
        }
    }

    fn below<'a>(&self, path: &'a str) -> &'a str {
        let below = path.strip_prefix(&self.root);
        below.unwrap_or_else(|| panic!("{path} is not below {}", self.root)).trim_start_matches('/')
    }

    /// Every record that is about to be sent, with its number.
    pub fn sent(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (0..self.len()).filter_map(|record| match self.get(record) {
            Record::Sent { bytes } => Some((record, bytes)),
            _ => None,
        })
    }

    /// Records after which a crash shows most: names that change, sizes, files that are made.
    pub fn turning_points(&self) -> Vec<usize> {
        let is_one = |record: &usize| {
            matches!(
                self.get(*record),
                Record::Renamed { .. }
                    | Record::Removed { .. }
                    | Record::FolderMade { .. }
                    | Record::Sized { .. }
                    | Record::Opened { is_made: true, .. }
            )
        };
        (0..self.len()).filter(is_one).collect()
    }
}
