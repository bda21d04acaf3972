//! What the embedded store makes one atomic write of.

use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::purging::Purging;
use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::records::StoreShared;

/// What a group brings, or a step of purging.
pub struct EmbeddedCommit<'a> {
    pub shared: &'a StoreShared,
    pub group: CommitGroup<'a>,
    pub purging: Purging,
    /// Where it failed because what it counts could not be written in its place: whether there is another now, so that
    /// it may be made again.
    pub has_another_place: bool,
}

impl<'a> EmbeddedCommit<'a> {
    /// What a group brings.
    pub fn of(shared: &'a StoreShared, group: CommitGroup<'a>) -> EmbeddedCommit<'a> {
        EmbeddedCommit { shared, group, purging: Purging::default(), has_another_place: false }
    }

    /// What was known of what it changes is forgotten, since it could not be written where that is stored: read there,
    /// what is damaged is found to be, and orders that go through many leave it out.
    pub fn forget(&self) {
        let conversions = self.group.changed.keys().map(|number| (*number, None));
        let clicks = self.group.clicks.keys().map(|id| (id.clone(), None));
        self.shared.records.replaced(conversions, clicks);
    }

    /// The UTC day of a postback that is kept.
    pub fn day_of(&self, number: u64) -> Result<i32, StoreError> {
        let day = self.shared.index.lock().days.of(number);
        day.ok_or_else(|| corrupt(number.to_string().as_bytes(), &LayoutError::Missing))
    }
}
