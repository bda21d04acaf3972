//! Totals: from the rollups, and what is counted and not folded into them yet.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::domain::quarter_hour::QuarterHour;
use crate::store::contract::error::StoreError;
use crate::store::contract::totals::{
    QuarantineState, TotalKey, TotalLine, Totals, TotalsBy, TotalsFilter, TotalsQuery,
};
use crate::store::records::StoreShared;
use crate::store::table::rollup::{self, RollupLine, RollupOf, RollupPeriod, RollupSums, RollupTable};
use crate::store::table::rollup_delta::CountedLines;

/// How long one waits for the writer, which folds in milliseconds where the disk is well.
const PATIENCE: Duration = Duration::from_secs(5);

/// From where to where.
type TotalsRange = (QuarterHour, QuarterHour);

/// What is wanted, as of one moment.
pub fn totals(shared: &StoreShared, query: &TotalsQuery) -> Result<Totals, StoreError> {
    shared.reader.check()?;
    let busy = || StoreError::Unavailable { cause: "what was counted is being written".to_owned() };
    // Until it is dropped nothing moves from what is in memory to what is on disk.
    let _folding = shared.folding.try_read_for(PATIENCE).ok_or_else(busy)?;
    let unfolded = not_folded(shared.unfolded.lock().lines(), query);
    let (mut lines, mut next) = (Vec::new(), None);
    for stretch in query.bounds.windows(2) {
        let [from, to] = stretch else { continue };
        if lines.len() >= query.limit.max(1) {
            next = Some(*from);
            break;
        }
        for (key, sums) in sums_of(shared, query, &unfolded, (*from, *to))? {
            let count = not_below_zero(&key, sums.count);
            if count > 0 {
                lines.push(TotalLine { from: *from, key, count, money: sums.money });
            }
        }
    }
    Ok(Totals { lines, next })
}

/// Where a record of what was counted was lost, what it counted is taken away all the same once it goes.
fn not_below_zero(key: &TotalKey, count: i64) -> u64 {
    u64::try_from(count).unwrap_or_else(|_| {
        tracing::error!(count, ?key, "what counted these cannot be read any more: their total is shown as 0");
        0
    })
}

/// What is counted and may be wanted, by time.
fn not_folded(lines: &CountedLines, query: &TotalsQuery) -> Vec<(RollupLine, RollupSums)> {
    let (first, end) = (query.bounds.first(), query.bounds.last());
    let is_within = |at| first.is_some_and(|first| *first <= at) && end.is_some_and(|end| at < *end);
    let fitting = lines.iter().filter(|(line, _)| is_within(line.at) && fits(&line.of, &query.of));
    fitting.map(|(line, sums)| (line.clone(), sums.clone())).collect()
}

/// The sums of one stretch by key.
fn sums_of(
    shared: &StoreShared,
    query: &TotalsQuery,
    unfolded: &[(RollupLine, RollupSums)],
    stretch: TotalsRange,
) -> Result<BTreeMap<TotalKey, RollupSums>, StoreError> {
    let mut found = BTreeMap::<TotalKey, RollupSums>::new();
    let mut add = |line: &RollupLine, sums: &RollupSums| {
        if fits(&line.of, &query.of) {
            found.entry(key_of(&line.of, &query.by)).or_default().add(sums);
        }
    };
    let (from, to) = stretch;
    let before = |end: QuarterHour| unfolded.partition_point(|(line, _)| line.at < end);
    let within = unfolded.get(before(from)..before(to)).unwrap_or_default();
    within.iter().for_each(|(line, sums)| add(line, sums));
    for (period, part) in parts(stretch) {
        let mut failed = None;
        rollup::scan(&shared.reader, (table(&query.of), period), part, &mut |read| match read {
            Ok((line, sums)) => {
                add(&line, &sums);
                ControlFlow::Continue(())
            }
            // Without it the sums would be wrong, and no one would see it.
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(found)
}

/// The whole days of a stretch, and the quarter-hours before and behind them.
fn parts((from, to): TotalsRange) -> Vec<(RollupPeriod, TotalsRange)> {
    let (first, end) = (from.next_day(), to.day());
    if first >= end {
        return vec![(RollupPeriod::QuarterHour, (from, to))];
    }
    vec![
        (RollupPeriod::QuarterHour, (from, first)),
        (RollupPeriod::UtcDay, (first, end)),
        (RollupPeriod::QuarterHour, (end, to)),
    ]
}

fn table(filter: &TotalsFilter) -> RollupTable {
    match filter {
        TotalsFilter::Conversions(_) => RollupTable::Conversions,
        TotalsFilter::Clicks(_) => RollupTable::Clicks,
        TotalsFilter::Postbacks(_) => RollupTable::Postbacks,
    }
}

fn fits(line: &RollupOf, filter: &TotalsFilter) -> bool {
    fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
    }
    match (line, filter) {
        (
            RollupOf::Conversions { source, offer, affiliate, event, status },
            TotalsFilter::Conversions(wanted),
        ) => {
            is(&wanted.source, Some(source))
                && is(&wanted.offer, offer.as_ref())
                && is(&wanted.affiliate, affiliate.as_ref())
                && is(&wanted.event, Some(event))
                && is(&wanted.status, Some(status))
        }
        (RollupOf::Clicks { offer, affiliate, not_billable }, TotalsFilter::Clicks(wanted)) => {
            is(&wanted.offer, offer.as_ref())
                && is(&wanted.affiliate, affiliate.as_ref())
                && !(wanted.billable_only && not_billable.is_some())
        }
        (RollupOf::Postbacks { source, verdict, code, quarantine }, TotalsFilter::Postbacks(wanted)) => {
            is(&wanted.source, source.as_ref())
                && is(&wanted.verdict, Some(verdict))
                && is(&wanted.code, code.as_ref())
                && !(wanted.open_only && *quarantine == QuarantineState::Settled)
        }
        _ => false,
    }
}

/// What of a line is asked for.
fn key_of(line: &RollupOf, by: &[TotalsBy]) -> TotalKey {
    let mut key = TotalKey::default();
    for by in by {
        match (by, line) {
            (TotalsBy::Source, RollupOf::Conversions { source, .. }) => key.source = Some(source.clone()),
            (TotalsBy::Source, RollupOf::Postbacks { source, .. }) => key.source.clone_from(source),
            (TotalsBy::Offer, RollupOf::Conversions { offer, .. } | RollupOf::Clicks { offer, .. }) => {
                key.offer.clone_from(offer);
            }
            (
                TotalsBy::Affiliate,
                RollupOf::Conversions { affiliate, .. } | RollupOf::Clicks { affiliate, .. },
            ) => key.affiliate.clone_from(affiliate),
            (TotalsBy::Event, RollupOf::Conversions { event, .. }) => key.event = Some(event.clone()),
            (TotalsBy::Status, RollupOf::Conversions { status, .. }) => key.status = Some(*status),
            (TotalsBy::NotBillable, RollupOf::Clicks { not_billable, .. }) => {
                key.not_billable = *not_billable
            }
            (TotalsBy::Verdict, RollupOf::Postbacks { verdict, .. }) => key.verdict = Some(*verdict),
            (TotalsBy::Code, RollupOf::Postbacks { code, .. }) => key.code = *code,
            (TotalsBy::Quarantine, RollupOf::Postbacks { quarantine, .. }) => {
                key.quarantine = Some(*quarantine)
            }
            _ => {}
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_read_as_days_and_the_rest_by_the_quarter_hour() {
        let at = QuarterHour::from_number;
        let (quarter, day) = (RollupPeriod::QuarterHour, RollupPeriod::UtcDay);
        assert_eq!(parts((at(5), at(96))), [(quarter, (at(5), at(96)))]);
        assert_eq!(
            parts((at(0), at(96))),
            [(quarter, (at(0), at(0))), (day, (at(0), at(96))), (quarter, (at(96), at(96))),]
        );
        assert_eq!(
            parts((at(-22), at(300))),
            [(quarter, (at(-22), at(0))), (day, (at(0), at(288))), (quarter, (at(288), at(300))),]
        );
    }
}
