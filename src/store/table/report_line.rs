//! The line of a conversion in reports and under caps, and how many count for an offer on a UTC day: what a cap is
//! held against.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};

use crate::domain::conversion::Conversion;
use crate::domain::ids::{AffiliateId, OfferId};
use crate::domain::offer::day_of;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::{claim, reporter};

/// What a report filters and orders by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    pub at: Time,
    pub offer: OfferId,
    pub affiliate: Option<AffiliateId>,
    pub status: Status,
    /// The UTC day on which it was received: see [`day_of`].
    pub day: i64,
    pub cap: CapPlace,
}

/// Whether a conversion takes a place under its offer's cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapPlace {
    Takes,
    /// It waits for a person as a further sale of its click: anyone can report any number of them.
    Waits,
}

impl ReportLine {
    /// Events of the tag are no conversions of an offer.
    pub fn of(conversion: &Conversion) -> Option<ReportLine> {
        let placed = conversion.campaign_ref.as_ref().filter(|_| reporter::earns(&conversion.source))?;
        Some(ReportLine {
            at: conversion.event_time,
            offer: placed.offer.clone(),
            affiliate: placed.affiliate.clone(),
            status: conversion.status,
            day: day_of(conversion.received_at),
            cap: if claim::is_held(conversion) { CapPlace::Waits } else { CapPlace::Takes },
        })
    }
}

/// Conversions by offer and the UTC day on which they were received, those left out that are scrubbed now or wait as a
/// further sale of their click. So a
/// conversion that is scrubbed later gives its place back, and one whose scrub is taken back takes a
/// place again, above the cap if need be. A group counts in one of its own what it adds and takes away.
#[derive(Debug, Clone, Default)]
pub struct Tally(HashMap<(OfferId, i64), i64>);

impl Tally {
    /// Moves a conversion from one appearance to another.
    pub fn apply(&mut self, before: Option<&ReportLine>, after: Option<&ReportLine>) {
        if before.map(place) == after.map(place) {
            return;
        }
        if let Some(before) = before {
            self.add(before, -1);
        }
        if let Some(after) = after {
            self.add(after, 1);
        }
    }

    fn add(&mut self, line: &ReportLine, count: i64) {
        let Some((offer, day)) = place(line) else { return };
        match self.0.entry((offer.clone(), day)) {
            Entry::Vacant(nothing) => drop(nothing.insert(count)),
            Entry::Occupied(mut some) => {
                *some.get_mut() += count;
                if *some.get() == 0 {
                    some.remove();
                }
            }
        }
    }

    /// How many there are, or how many more than before.
    pub fn get(&self, offer: &OfferId, day: i64) -> i64 {
        if self.0.is_empty() {
            return 0;
        }
        self.0.get(&(offer.clone(), day)).copied().unwrap_or(0)
    }
}

/// Where a conversion counts; nowhere while it is scrubbed, or no affiliate's click earned it: no one is
/// paid for it.
pub fn place(line: &ReportLine) -> Option<(&OfferId, i64)> {
    let takes = line.cap == CapPlace::Takes;
    let counts = takes && line.status != Status::Scrubbed && line.affiliate.is_some();
    counts.then_some((&line.offer, line.day))
}
