//! Conversions whose status changes automatically, by when it does. In memory alone, rebuilt at open.

use std::collections::BTreeSet;

use crate::domain::time::Time;
use crate::store::table::conversion::Sketch;

/// Conversions whose status changes automatically, by when it does.
#[derive(Default)]
pub struct Dispositions(BTreeSet<(i64, u64)>);

impl Dispositions {
    /// Moves conversion `number` from one appearance to another.
    pub fn apply(&mut self, number: u64, before: Option<&Sketch>, after: Option<&Sketch>) {
        let due = |sketch: Option<&Sketch>| sketch.and_then(|sketch| sketch.disposition);
        let (before, after) = (due(before), due(after));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.0.remove(&(before.as_millis(), number));
        }
        self.0.extend(after.map(|after| (after.as_millis(), number)));
    }

    /// Up to `most` that are due, the longest due first.
    pub fn due(&self, now: Time, most: usize) -> Vec<u64> {
        let due = self.0.iter().take_while(|(due, _)| *due <= now.as_millis());
        due.take(most).map(|(_, number)| *number).collect()
    }

    /// Leaves a conversion out until the next start: it cannot be read, and would come first again and
    /// again.
    pub fn forget(&mut self, number: u64) {
        self.0.retain(|(_, known)| *known != number);
    }
}
