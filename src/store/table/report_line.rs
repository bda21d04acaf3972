//! The line of a conversion in reports: what they filter and order by.

use serde::{Deserialize, Serialize};

use crate::domain::conversion::Conversion;
use crate::domain::ids::{AffiliateId, OfferId};
use crate::domain::reporter;
use crate::domain::status::Status;
use crate::domain::time::Time;

/// What a report filters and orders by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    pub at: Time,
    pub offer: OfferId,
    pub affiliate: Option<AffiliateId>,
    pub status: Status,
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
        })
    }
}
