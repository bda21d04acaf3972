//! A click on its way through the filters, and what it leaves. Every change is read first and made after, so that a
//! failed read leaves nothing half done.

use std::collections::BTreeSet;

use crate::domain::attribution::{EarlierClick, by_visitor};
use crate::domain::click::Click;
use crate::domain::consent::ConsentRecord;
use crate::domain::filter::{ClickFacts, classify};
use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::domain::offer::{AttributionModel, day_of};
use crate::domain::time::Time;
use crate::store::contract::arrival::Screening;
use crate::store::decision::click_trail::Footprint;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::Known;
use crate::store::table::click_log::{LoggedClick, VisitorLikeness};
use crate::store::table::recent_click::is_within;
use crate::store::table::visitor::Visits;

/// The most clicks that are kept of one browser: those that earn by first touch, the newest that count,
/// then the newest others.
const VISITS: usize = 64;

impl CommitGroup<'_> {
    /// Puts a new click through the filters, if it is to be, and says what it leaves.
    pub fn admit(&self, click: &mut Click, screening: Screening) -> Known<Footprint> {
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
    pub fn admit_again(&self, click: &Click, answered: ConsentRecord) -> Known<Footprint> {
        Ok(Footprint { visitor: self.visited(click, answered)?, ..Footprint::default() })
    }

    fn counted(&self, place: &(i64, OfferId)) -> Known<u64> {
        match self.trail.days.get(place) {
            Some(count) => Ok(*count),
            None => self.facts.clicks_on(place.0, &place.1),
        }
    }

    fn earlier(&self, key: u64, at: Time, window: i64) -> Known<Option<ClickId>> {
        let here = self.trail.repeats.get(&key).filter(|(earlier, _)| is_within(*earlier, at, window));
        match here {
            Some((_, id)) => Ok(Some(id.clone())),
            None => self.facts.earlier_click(key, at),
        }
    }

    /// The clicks of a browser, those of the group included.
    pub fn visits(&self, visitor: &VisitorId) -> Known<Visits> {
        match self.trail.visitors.get(visitor) {
            Some(pending) => Ok(pending.clone()),
            None => self.facts.visits(visitor),
        }
    }

    /// Its browser's clicks with this one among them, and its visitor's answers with those that the click
    /// brings, if either is news.
    fn visited(&self, click: &Click, answered: ConsentRecord) -> Known<Option<(VisitorId, Visits)>> {
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
