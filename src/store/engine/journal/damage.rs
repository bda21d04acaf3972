//! What is wrong with a journal: where, and which commits are not in it any more.

use std::fmt;
use std::path::PathBuf;

use crate::store::engine::journal::segment::SegmentHeader;

/// Commits that the journal should have and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// From which byte on.
    pub at: u64,
    /// What is wrong there.
    pub what: String,
    /// The first commit that is missing.
    pub first: u64,
    /// The last one.
    pub last: LastLost,
}

/// How far what is missing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLost {
    /// To this commit.
    Commit(u64),
    /// To this one at least: no one knows how many were behind it.
    AtLeast(u64),
}

impl LastLost {
    /// The last commit that is known to be missing.
    pub fn known(self) -> u64 {
        match self {
            LastLost::Commit(last) | LastLost::AtLeast(last) => last,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from byte {}: {}; ", self.file.display(), self.at, self.what)?;
        match self.last {
            LastLost::Commit(last) if last == self.first => write!(f, "commit {} was there", self.first),
            LastLost::Commit(last) => write!(f, "commits {} to {last} were there", self.first),
            LastLost::AtLeast(last) if last < self.first => {
                write!(f, "commits from {} on may have been there", self.first)
            }
            LastLost::AtLeast(last) => {
                write!(f, "commits {} to {last} were there, and perhaps more", self.first)
            }
        }
    }
}

/// A segment of which something is damaged that is no commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WornSegment {
    /// The name of its file.
    pub file: String,
    /// What its first block is to say, where that is damaged; else it is the footer.
    pub header: Option<SegmentHeader>,
}

/// The end of a journal that may have been a commit which no one was answered: the process or the machine ended while it
/// was written. Or it was answered, and is damaged: nothing on the disk says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornEnd {
    /// The file.
    pub file: PathBuf,
    /// From which byte on.
    pub at: u64,
    /// How many bytes of it were written; 0 where the file was cut before them.
    pub bytes: u64,
    /// How many commands it says it is of.
    pub commands: Option<u32>,
    /// Whether it may have been answered. Where the commit before it is proven by no slot, it cannot have been: its own
    /// sync would have carried that.
    pub may_be_answered: bool,
}
