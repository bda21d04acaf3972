//! What the clicks of a group leave next to their own records: lines of the log, day counters, visits.
//! Every change is read first and made after, so that a failed read leaves nothing half done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::attribution::{EarlierClick, by_visitor};
use crate::domain::click::Click;
use crate::domain::consent::ConsentRecord;
use crate::domain::filter::{ClickFacts, classify};
use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::domain::offer::AttributionModel;
use crate::domain::offer::day_of;
use crate::domain::time::Time;
use crate::store::clicks::lately::{RecentClicks, is_within};
use crate::store::clicks::log::{self, LoggedClick, VisitorLikeness};
use crate::store::contract::arrival::Screening;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::group::CommitGroup;
use crate::store::layout::{self, key};
use crate::store::records::corrupt;

/// The most clicks that are kept of one browser: those that earn by first touch, the newest that count,
/// then the newest others.
const VISITS: usize = 64;

/// All that the clicks of one group leave.
#[derive(Default)]
pub struct Trail {
    logged: Vec<LoggedClick>,
    /// The latest counted click of the group by what a repeat of it is known by.
    repeats: HashMap<u64, (Time, ClickId)>,
    /// Counters as they become.
    days: BTreeMap<(i64, OfferId), u64>,
    pub visitors: BTreeMap<VisitorId, Visits>,
}

/// A browser's clicks, and its visitor's consent.
#[derive(Clone, Default)]
pub struct Visits {
    pub visits: Vec<EarlierClick>,
    /// What its visitor answered last, anywhere.
    pub consent: ConsentRecord,
}

/// What one click leaves.
#[derive(Default)]
pub struct Footprint {
    logged: Option<LoggedClick>,
    repeat: Option<u64>,
    day: Option<((i64, OfferId), u64)>,
    visitor: Option<(VisitorId, Visits)>,
}

impl CommitGroup<'_> {
    /// Puts a new click through the filters, if it is to be, and says what it leaves.
    pub fn admit(&self, click: &mut Click, screening: Screening) -> Result<Footprint, StoreError> {
        let campaign_ref = click.context.campaign_ref.clone();
        let offer = campaign_ref.map(|placed| placed.offer);
        let likeness = VisitorLikeness::of(click);
        let rule = self.rules.filters.duplicate;
        let key = rule.and_then(|rule| likeness?.by(rule.by));
        let mut counted = None;
        if let Some(offer) = offer {
            let place = (day_of(click.recorded_at), offer);
            let count = self.counted(&place)?;
            counted = Some((place, count));
        }
        if screening == Screening::Filters {
            let duplicate_of = match key.zip(rule) {
                Some((key, rule)) => self.earlier(key, click.recorded_at, rule.window_ms)?,
                None => None,
            };
            let clicks_today = counted.as_ref().map_or(0, |(_, count)| *count);
            let offer = counted.as_ref().and_then(|((_, offer), _)| self.rules.offer(offer));
            let facts = ClickFacts { duplicate_of, clicks_today };
            click.context.verdicts = classify(&self.rules.filters, offer.map(AsRef::as_ref), click, &facts);
        }
        let billable = click.context.is_billable();
        let likeness = likeness.filter(|_| billable);
        Ok(Footprint {
            logged: Some(LoggedClick { id: click.id.clone(), at: click.recorded_at, likeness }),
            repeat: key.filter(|_| billable),
            day: counted.filter(|_| billable).map(|(place, count)| (place, count + 1)),
            visitor: self.visited(click, click.context.consent)?,
        })
    }

    /// What a known click leaves that was filled, and with which answers: it is not counted again.
    pub fn admit_again(&self, click: &Click, answered: ConsentRecord) -> Result<Footprint, StoreError> {
        Ok(Footprint { visitor: self.visited(click, answered)?, ..Footprint::default() })
    }

    fn counted(&self, place: &(i64, OfferId)) -> Result<u64, StoreError> {
        match self.trail.days.get(place) {
            Some(count) => Ok(*count),
            None => self.shared.lately.lock().counted(&self.shared.records, place.0, &place.1),
        }
    }

    fn earlier(&self, key: u64, at: Time, window: i64) -> Result<Option<ClickId>, StoreError> {
        let mut lately = self.shared.lately.lock();
        lately.go_by(&self.shared.records, self.rules.filters.duplicate)?;
        let here = self.trail.repeats.get(&key).filter(|(earlier, _)| is_within(*earlier, at, window));
        Ok(here.map(|(_, id)| id).or_else(|| lately.earlier(key, at)).cloned())
    }

    /// The clicks of a browser, those of the group included.
    pub fn visits(&self, visitor: &VisitorId) -> Result<Visits, StoreError> {
        if let Some(pending) = self.trail.visitors.get(visitor) {
            return Ok(pending.clone());
        }
        Ok(self.shared.records.visits(visitor)?.unwrap_or_default())
    }

    /// Its browser's clicks with this one among them, and its visitor's answers with those that the click
    /// brings, if either is news.
    fn visited(
        &self,
        click: &Click,
        answered: ConsentRecord,
    ) -> Result<Option<(VisitorId, Visits)>, StoreError> {
        let Some(visitor) = &click.context.visitor else { return Ok(None) };
        let visit = EarlierClick {
            click: click.id.clone(),
            at: click.at,
            offer: click.context.campaign_ref.as_ref().map(|placed| placed.offer.clone()),
            not_billable: click.context.not_billable(),
        };
        let mut visits = self.visits(visitor)?;
        let consent = visits.consent.latest(answered);
        let is_heard = std::mem::replace(&mut visits.consent, consent) == consent;
        if visits.visits.contains(&visit) {
            return Ok((!is_heard).then(|| (visitor.clone(), visits)));
        }
        visits.visits.retain(|known| known.click != visit.click);
        visits.visits.push(visit);
        if visits.visits.len() > VISITS {
            let first = self.first_touches(&visits.visits, click.recorded_at);
            let rank =
                |visit: &EarlierClick| (first.contains(&visit.click), visit.not_billable.is_none(), visit.at);
            let least = visits.visits.iter().enumerate().min_by_key(|(_, visit)| rank(visit));
            if let Some((least, _)) = least {
                visits.visits.remove(least);
            }
        }
        Ok(Some((visitor.clone(), visits)))
    }

    /// The clicks that earn as things stand, on offers where the first touch does.
    fn first_touches(&self, visits: &[EarlierClick], now: Time) -> BTreeSet<ClickId> {
        let offers: BTreeSet<&OfferId> = visits.iter().filter_map(|visit| visit.offer.as_ref()).collect();
        let offers = offers.into_iter().filter_map(|offer| self.rules.offer(offer));
        let first = offers.filter(|offer| offer.model == AttributionModel::FirstTouch);
        first.filter_map(|offer| by_visitor(offer, visits, now).0).collect()
    }

    /// Takes what a click leaves into the group.
    pub fn leave(&mut self, footprint: Footprint) {
        let Footprint { logged, repeat, day, visitor } = footprint;
        if let Some(line) = logged {
            if let Some(key) = repeat {
                self.trail.repeats.insert(key, (line.at, line.id.clone()));
            }
            self.trail.logged.push(line);
            self.numbers.next_click += 1;
        }
        self.trail.days.extend(day);
        self.trail.visitors.extend(visitor);
    }
}

impl Trail {
    /// The clicks that are new, in order.
    pub fn logged(&self) -> &[LoggedClick] {
        &self.logged
    }

    /// Adds it all to the batch; `end` is the number after the last click.
    pub fn pack(&self, batch: &mut Batch, end: u64) -> Result<(), StoreError> {
        log::put(batch, end - self.logged.len() as u64, &self.logged)?;
        for ((day, offer), count) in &self.days {
            let key = key::day(*day, Some(offer));
            let packed = layout::pack(&(), count).map_err(|error| corrupt(&key, &error))?;
            batch.put(key, packed);
        }
        for (visitor, visits) in &self.visitors {
            put_visits(batch, visitor, visits)?;
        }
        Ok(())
    }

    /// Shows the committed clicks to what follows.
    pub fn publish(&self, lately: &mut RecentClicks) {
        lately.add(&self.logged, &self.days);
    }
}

/// Puts a browser's clicks over what was kept of them; without any, removes the record.
pub fn put_visits(batch: &mut Batch, visitor: &VisitorId, visits: &Visits) -> Result<(), StoreError> {
    let key = key::visitor(visitor);
    if visits.visits.is_empty() {
        batch.remove(key);
        return Ok(());
    }
    let packed = layout::pack(&visits.consent, &visits.visits).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}
