//! The line of a conversion in reports and under caps, as it is stored and kept in memory.

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
        let placed = conversion
            .campaign_ref
            .as_ref()
            .filter(|_| conversion.source.as_str() != reporter::TAG_SOURCE)?;
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
