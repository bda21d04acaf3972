//! Ends the open segment before it is full.

use std::io;

use crate::store::engine::journal::append::Journal;

impl Journal {
    /// Whether the open segment has commits up to this one.
    pub fn is_open_since(&self, commit: u64) -> bool {
        let open = self.open.lock();
        open.end.header.first <= commit.min(open.end.lsn)
    }

    /// Goes on in a new segment, where the open one has commits up to this one: so that it can be finished and rewritten.
    /// A segment should have been made ahead, since commits wait meanwhile.
    ///
    /// # Errors
    /// The system's: then nothing more is appended, as after a commit that failed.
    pub fn end_segment(&self, commit: u64) -> io::Result<()> {
        let mut open = self.open.lock();
        open.check()?;
        if open.end.header.first > commit.min(open.end.lsn) {
            return Ok(());
        }
        let rolled = self.roll(&mut open, 0);
        open.failed |= rolled.is_err();
        rolled
    }
}
