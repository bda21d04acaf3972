//! What is kept in memory of the rollups: the sums that decisions, sources' statistics and reports ask for all the time.

use std::ops::ControlFlow;

use crate::domain::quarter_hour::QuarterHour;
use crate::domain::reporter;
use crate::store::contract::error::StoreError;
use crate::store::contract::totals::QuarantineState;
use crate::store::reader::Reader;
use crate::store::table::cap_tally::Tally;
use crate::store::table::report_day::OfferDays;
use crate::store::table::rollup::{self, RollupLine, RollupOf, RollupPeriod, RollupTable};
use crate::store::table::rollup_delta::{RollupDelta, Unfolded};
use crate::store::table::source::SourceIndex;

/// Sums of the rollups.
#[derive(Debug, Default)]
pub struct RollupCounts {
    /// Against which caps are held.
    pub caps: Tally,
    /// Of which the totals of reports are made.
    pub offers: OfferDays,
    pub sources: SourceIndex,
}

impl RollupCounts {
    /// Sums up what is kept: the lines of whole days, and what is not folded into them yet.
    ///
    /// # Errors
    /// The store's failure. What cannot be read is logged: from then on too little is counted.
    pub fn open(reader: &Reader, unfolded: &Unfolded) -> Result<RollupCounts, StoreError> {
        let mut counts = RollupCounts::default();
        let ever = (QuarterHour::from_number(i64::MIN), QuarterHour::from_number(i64::MAX));
        for table in [RollupTable::Caps, RollupTable::Conversions, RollupTable::Postbacks] {
            rollup::scan(reader, (table, RollupPeriod::UtcDay), ever, &mut |read| {
                match read {
                    Ok((line, sums)) => counts.add(&line, sums.count),
                    Err(error) => {
                        tracing::error!(%error, "what was counted cannot be read: totals and caps are too low");
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        unfolded.lines().iter().for_each(|(line, sums)| counts.add(line, sums.count));
        unfolded.latest().iter().for_each(|(source, at)| counts.sources.received(source, *at));
        Ok(counts)
    }

    /// Takes note of what a commit counted.
    pub fn apply(&mut self, delta: &RollupDelta) {
        delta.lines.iter().for_each(|(line, sums)| self.add(line, sums.count));
        delta.latest.iter().for_each(|(source, at)| self.sources.received(source, *at));
    }

    fn add(&mut self, line: &RollupLine, count: i64) {
        // The money of a line may change alone.
        if count == 0 {
            return;
        }
        match &line.of {
            RollupOf::Caps { offer } => self.caps.add((offer.clone(), line.at.utc_day()), count),
            RollupOf::Conversions { source, offer: Some(offer), status, .. } if reporter::earns(source) => {
                self.offers.add(line.at.utc_day(), offer, *status, count);
            }
            RollupOf::Postbacks { source: Some(source), quarantine: QuarantineState::Open, .. } => {
                self.sources.add_open(source, count);
            }
            RollupOf::Conversions { .. } | RollupOf::Postbacks { .. } | RollupOf::Clicks { .. } => {}
        }
    }
}
