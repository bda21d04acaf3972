//! How many conversions of each offer happened on each UTC day: the totals of reports without a look at every row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::domain::ids::OfferId;
use crate::domain::status::Status;

/// Conversions by the UTC day of their event time. A reader takes the days along and counts without any lock; what is
/// changed meanwhile is changed in copies of single days.
#[derive(Debug, Default)]
pub struct OfferDays(BTreeMap<i64, Arc<OfferDay>>);

/// Those of one day.
#[derive(Debug, Clone, Default)]
pub struct OfferDay {
    all: HashMap<Status, i64>,
    offers: HashMap<(OfferId, Status), i64>,
}

impl OfferDays {
    /// So many more happened on that day.
    pub fn add(&mut self, day: i64, offer: &OfferId, status: Status, count: i64) {
        let counts = Arc::make_mut(self.0.entry(day).or_default());
        *counts.all.entry(status).or_default() += count;
        let key = (offer.clone(), status);
        let of_offer = counts.offers.entry(key.clone()).or_default();
        *of_offer += count;
        if *of_offer == 0 {
            counts.offers.remove(&key);
        }
        if counts.offers.is_empty() {
            self.0.remove(&day);
        }
    }

    /// The days of a range, as they are now.
    pub fn view(&self, days: Range<i64>) -> Vec<Arc<OfferDay>> {
        self.0.range(days).map(|(_, day)| Arc::clone(day)).collect()
    }
}

/// How many happened on these days; of these offers and with this status, where they are given.
pub fn count(days: &[Arc<OfferDay>], offers: Option<&[OfferId]>, status: Option<Status>) -> u64 {
    let statuses = Status::ALL.into_iter().filter(|one| status.is_none_or(|status| status == *one));
    let statuses: Vec<Status> = statuses.collect();
    let total: i64 = match offers {
        None => {
            let of_day = |day: &Arc<OfferDay>| {
                statuses.iter().filter_map(|status| day.all.get(status)).copied().sum::<i64>()
            };
            days.iter().map(of_day).sum()
        }
        Some(offers) => {
            let offers: HashSet<&OfferId> = offers.iter().collect();
            let wanted =
                offers.into_iter().flat_map(|offer| statuses.iter().map(|status| (offer.clone(), *status)));
            let wanted: Vec<(OfferId, Status)> = wanted.collect();
            let of_day = |day: &Arc<OfferDay>| {
                wanted.iter().filter_map(|key| day.offers.get(key)).copied().sum::<i64>()
            };
            days.iter().map(of_day).sum()
        }
    };
    // Below zero only where what was counted before could not be read.
    total.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_of_the_days_offers_and_statuses_that_were_asked_for() {
        let offer = |id| OfferId::parse(id).unwrap();
        let mut days = OfferDays::default();
        days.add(1, &offer("a"), Status::Approved, 3);
        days.add(2, &offer("a"), Status::Rejected, 2);
        days.add(2, &offer("b"), Status::Approved, 5);
        days.add(3, &offer("b"), Status::Approved, 7);
        let all = days.view(i64::MIN..i64::MAX);
        assert_eq!(count(&all, None, None), 17);
        assert_eq!(count(&all, None, Some(Status::Rejected)), 2);
        assert_eq!(count(&days.view(2..3), None, None), 7);
        assert_eq!(count(&all, Some(&[offer("a"), offer("a"), offer("c")]), None), 5);
        assert_eq!(count(&all, Some(&[offer("b")]), Some(Status::Approved)), 12);
        assert_eq!(count(&all, Some(&[]), None), 0);
        days.add(3, &offer("b"), Status::Approved, -7);
        assert_eq!(count(&days.view(i64::MIN..i64::MAX), None, None), 10);
        assert_eq!(count(&all, None, None), 17, "as it was when it was looked at");
    }
}
