//! What a verification of a store finds.

use std::path::PathBuf;

/// How many findings are listed; the rest are counted.
const LISTED: usize = 200;

/// Something of a store that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreFinding {
    /// There is no journal to go by.
    NoJournal(PathBuf),
    /// A restore was not ended.
    RestoreUnfinished(PathBuf),
    /// Commits that the journal should have and has not.
    JournalDamaged {
        /// File, place, what is wrong there, and which commits were there.
        place: String,
    },
    /// What is wrong with the journal and costs nothing.
    JournalFlaw(String),
    /// The journal ends in what is no whole commit, and may have been one that was answered.
    TornEnd {
        /// The file.
        file: PathBuf,
        /// From which byte on.
        at: u64,
    },
    /// A finished segment is not what the manifest says: its bytes, or what is counted of it.
    SegmentDiffers {
        /// The file.
        file: PathBuf,
        /// In what.
        what: String,
    },
    /// The index is missing, cannot be opened, or has not what its own sums say.
    IndexWrong(String),
    /// A record that the index lacks.
    RecordMissing(Vec<u8>),
    /// A record that the index has and the journal does not.
    RecordLeftOver(Vec<u8>),
    /// A record that is another in the index.
    RecordDiffers(Vec<u8>),
    /// A record that cannot be read.
    RecordUnreadable {
        /// Its key, or the last one that could be read before it.
        key: Vec<u8>,
        /// Why.
        cause: String,
    },
    /// A record names another that is not there.
    ReferenceMissing {
        /// Which one names it.
        from: String,
        /// What it names.
        to: String,
    },
    /// What is counted in a line of the rollups is not what a recount of the records finds.
    CountDiffers {
        /// Where the line is kept.
        key: Vec<u8>,
        /// Of what it is.
        line: String,
    },
}

impl StoreFinding {
    /// Its code, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            StoreFinding::NoJournal(_) => "no_journal",
            StoreFinding::RestoreUnfinished(_) => "restore_unfinished",
            StoreFinding::JournalDamaged { .. } => "journal_damaged",
            StoreFinding::JournalFlaw(_) => "journal_flaw",
            StoreFinding::TornEnd { .. } => "torn_end",
            StoreFinding::SegmentDiffers { .. } => "segment_differs",
            StoreFinding::IndexWrong(_) => "index_wrong",
            StoreFinding::RecordMissing(_) => "record_missing",
            StoreFinding::RecordLeftOver(_) => "record_left_over",
            StoreFinding::RecordDiffers(_) => "record_differs",
            StoreFinding::RecordUnreadable { .. } => "record_unreadable",
            StoreFinding::ReferenceMissing { .. } => "reference_missing",
            StoreFinding::CountDiffers { .. } => "count_differs",
        }
    }

    /// What it is, for people.
    pub fn sentence(&self) -> String {
        let key = |key: &[u8]| key.escape_ascii().to_string();
        match self {
            StoreFinding::NoJournal(path) => format!("{} has no journal", path.display()),
            StoreFinding::RestoreUnfinished(path) => {
                format!("a restore into {} was interrupted: restore again", path.display())
            }
            StoreFinding::JournalDamaged { place } => place.clone(),
            StoreFinding::JournalFlaw(what) => what.clone(),
            StoreFinding::TornEnd { file, at } => {
                format!("{} ends at byte {at} in the middle of a commit", file.display())
            }
            StoreFinding::SegmentDiffers { file, what } => {
                format!("{} is not what the manifest says: {what}", file.display())
            }
            StoreFinding::IndexWrong(cause) => format!("the index is wrong: {cause}"),
            StoreFinding::RecordMissing(missing) => {
                format!("the journal has the record {} and the index has not", key(missing))
            }
            StoreFinding::RecordLeftOver(left) => {
                format!("the index has the record {} and the journal has not", key(left))
            }
            StoreFinding::RecordDiffers(other) => {
                format!("the record {} is another in the index than in the journal", key(other))
            }
            StoreFinding::RecordUnreadable { key: at, cause } => {
                format!("the record {} cannot be read: {cause}", key(at))
            }
            StoreFinding::ReferenceMissing { from, to } => format!("{from} names {to}, which is not there"),
            StoreFinding::CountDiffers { key: at, line } => {
                format!("what is counted of {line} ({}) is not what a recount finds", key(at))
            }
        }
    }
}

/// What a verification looked at, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreVerification {
    /// Segments of the journal that were read.
    pub segments: u64,
    /// The last commit that was looked at.
    pub last: u64,
    /// Records that were compared between journal and index.
    pub records: u64,
    /// References between records that were followed.
    pub references: u64,
    /// Lines of the rollups that were recounted.
    pub counts: u64,
    /// What is not as it should be, up to 200 of it.
    pub findings: Vec<StoreFinding>,
    /// How many more there are.
    pub more: u64,
}

impl StoreVerification {
    /// Takes a finding in.
    pub fn add(&mut self, finding: StoreFinding) {
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Whether a record is another in the index than in the journal, which only making the index anew puts right.
    pub fn has_other_records(&self) -> bool {
        self.findings.iter().any(|finding| {
            matches!(
                finding,
                StoreFinding::RecordMissing(_)
                    | StoreFinding::RecordLeftOver(_)
                    | StoreFinding::RecordDiffers(_)
                    | StoreFinding::RecordUnreadable { .. }
            )
        })
    }

    /// Whether everything is as it should be.
    pub fn is_fine(&self) -> bool {
        self.findings.is_empty()
    }
}
