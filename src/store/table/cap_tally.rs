//! How many conversions count for an offer on a UTC day: what a cap is held against.

use std::collections::HashMap;

use crate::domain::conversion::Conversion;
use crate::domain::ids::OfferId;
use crate::domain::offer::day_of;
use crate::domain::status::Status;
use crate::domain::{claim, reporter};

/// An offer, and the UTC day on which a conversion was received: see [`day_of`].
pub type CapPlace = (OfferId, i64);

/// Where a conversion takes a place under its offer's cap; nowhere while it is scrubbed, or no affiliate's click earned
/// it: no one is paid for it. Nor where it waits for a person as a further sale of its click: anyone can report any
/// number of them.
pub fn cap_place(conversion: &Conversion) -> Option<CapPlace> {
    let placed = conversion.campaign_ref.as_ref().filter(|_| reporter::earns(&conversion.source))?;
    let waits = claim::is_held(conversion) || conversion.status == Status::Scrubbed;
    let counts = !waits && placed.affiliate.is_some();
    counts.then(|| (placed.offer.clone(), day_of(conversion.received_at)))
}

/// Conversions by the place that they take. So a conversion that is scrubbed later gives its place back, and one whose
/// scrub is taken back takes a place again, above the cap if need be. A group counts in one of its own what it adds and
/// takes away.
#[derive(Debug, Clone, Default)]
pub struct Tally(HashMap<CapPlace, i64>);

impl Tally {
    /// Moves a conversion from one appearance to another.
    pub fn apply(&mut self, before: Option<&Conversion>, after: Option<&Conversion>) {
        let (before, after) = (before.and_then(cap_place), after.and_then(cap_place));
        if before == after {
            return;
        }
        before.into_iter().for_each(|place| self.add(place, -1));
        after.into_iter().for_each(|place| self.add(place, 1));
    }

    /// So many more take the place.
    pub fn add(&mut self, place: CapPlace, count: i64) {
        let known = self.0.entry(place.clone()).or_default();
        *known += count;
        if *known == 0 {
            self.0.remove(&place);
        }
    }

    /// How many there are, or how many more than before.
    pub fn get(&self, offer: &OfferId, day: i64) -> i64 {
        if self.0.is_empty() {
            return 0;
        }
        self.0.get(&(offer.clone(), day)).copied().unwrap_or(0)
    }

    /// Every place with how many take it.
    pub fn each(&self) -> impl Iterator<Item = (&CapPlace, i64)> {
        self.0.iter().map(|(place, count)| (place, *count))
    }
}
