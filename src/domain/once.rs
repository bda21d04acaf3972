//! What counts once of a click: reports on routes without a key, of one click, offer and event.

use rust_decimal::Decimal;

use crate::domain::attribution::Attribution;
use crate::domain::claim::{Claim, ClaimRole, click_of, is_held, key, role};
use crate::domain::conversion::{Conversion, Draft, EventClaim};
use crate::domain::event::EventName;
use crate::domain::facts::Facts;
use crate::domain::ids::{ConversionId, OfferId, SourceId, VisitorId};
use crate::domain::offer::{Offer, Payout};
use crate::domain::rejection::click_not_taken::ClickNotTaken;
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::remark::Remark;
use crate::domain::reports::FurtherSales;
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;

/// How many further sales of one click, offer and event wait for a person at a time. Anyone who has seen the
/// click's id can report any number of them, from any number of addresses.
pub const MOST_WAITING: usize = 100;

/// The event that a report means by the offer's terms, and the one for which it may have been reported
/// before.
pub struct MeantEvent {
    pub event: EventName,
    pub before: Option<EventName>,
}

impl MeantEvent {
    /// Of a named event there is no doubt. A report without a name is of a sale where it, or else the offer,
    /// says that there is something to pay; else for a lead. One transaction is one report, whichever of the two
    /// it was at first. Without a transaction id a report that says nothing of an amount is the click's sale
    /// again, where it has one; a sale is never its lead again.
    pub fn by(draft: &Draft, offer: Option<&Offer>) -> MeantEvent {
        let (positive, zero) = match &draft.event {
            EventClaim::Named(event) => return MeantEvent { event: event.clone(), before: None },
            EventClaim::ByValue { positive, zero } => (positive.clone(), zero.clone()),
        };
        let reported = draft.value.or(draft.revenue).map(|money| money.amount);
        let terms = || {
            let fixed = |payout| if let Payout::Fixed(amount) = payout { Some(amount) } else { None };
            offer.and_then(|offer| offer.revenue.or_else(|| offer.payout.and_then(fixed)))
        };
        match reported.or_else(terms).is_some_and(|amount| amount > Decimal::ZERO) {
            true => MeantEvent { event: positive, before: draft.transaction_id.is_some().then_some(zero) },
            false => MeantEvent { event: zero, before: Some(positive) },
        }
    }
}

/// By what a report on a route without a key is known again.
pub enum OnceKey {
    /// Its transaction id within the offer, with its click, where it has one.
    Transaction {
        id: String,
        click: Option<String>,
    },
    Click(String),
    /// A visitor whose click is not known counts once too.
    Visitor(VisitorId),
}

/// What is known of a report.
pub enum EarlierReport {
    /// It is one of this conversion.
    Repeated(Box<Conversion>),
    /// It is one of its own, with one of these ids.
    None(ConversionIds),
}

/// The ids that a new conversion may have.
pub struct ConversionIds {
    counts: ConversionId,
    waits: ConversionId,
}

impl ConversionIds {
    /// One that waits as a further sale leaves the transaction id to a sale that counts.
    pub fn of(self, conversion: &Conversion) -> ConversionId {
        if is_held(conversion) { self.waits } else { self.counts }
    }
}

impl OnceKey {
    /// `None` where nothing would know it again. `attribution`: as far as its click can be its own.
    pub fn of(draft: &Draft, attribution: Option<&Attribution>) -> Option<OnceKey> {
        let click = attribution.and_then(click_of);
        let visitor = || draft.network.visitor.clone().filter(|_| attribution.is_some());
        match (&draft.transaction_id, click) {
            (Some(id), click) => Some(OnceKey::Transaction { id: id.clone(), click }),
            (None, Some(click)) => Some(OnceKey::Click(click)),
            (None, None) => visitor().map(OnceKey::Visitor),
        }
    }

    /// Looks up whether the report is one of a conversion that is known.
    ///
    /// The first conversion of a transaction id that counts answers for it, whatever the click of a later report.
    /// One that does not count (it waits as a further sale, or is rejected or scrubbed) answers only for its own
    /// click: it may be made up, and must not take the place of another click's real sale.
    ///
    /// # Errors
    /// Only those of the look-ups.
    pub fn earlier<F: Facts>(
        &self,
        source: &SourceId,
        (offer, meant): (&OfferId, &MeantEvent),
        facts: &F,
    ) -> Result<EarlierReport, F::Error> {
        let earlier = self.of_event(source, (offer, &meant.event), facts)?;
        if let (EarlierReport::None(_), Some(before)) = (&earlier, &meant.before)
            && let repeated @ EarlierReport::Repeated(_) = self.of_event(source, (offer, before), facts)?
        {
            return Ok(repeated);
        }
        Ok(earlier)
    }

    fn of_event<F: Facts>(
        &self,
        source: &SourceId,
        (offer, event): (&OfferId, &EventName),
        facts: &F,
    ) -> Result<EarlierReport, F::Error> {
        let key = match self {
            OnceKey::Transaction { id, .. } => key(offer, event, &format!("transaction:{id}")),
            OnceKey::Click(click) => key(offer, event, &format!("click:{click}")),
            OnceKey::Visitor(visitor) => key(offer, event, &format!("visitor:{visitor}")),
        };
        let shared = ConversionId::derive_keyed(source, &key);
        let mut ids = ConversionIds { counts: shared, waits: shared };
        let mut earlier = facts.conversion(&shared)?;
        match self {
            OnceKey::Transaction { click: Some(click), .. } => {
                ids.waits = ConversionId::derive_reused(source, "", &key, click);
                if let Some(own) = facts.conversion(&ids.waits)? {
                    return Ok(EarlierReport::Repeated(Box::new(own)));
                }
                if earlier.as_ref().is_some_and(|earlier| !answers(earlier, click)) {
                    (earlier, ids.counts) = (None, ids.waits);
                }
            }
            OnceKey::Click(click) if earlier.is_none() => {
                let claim = Claim { offer: offer.clone(), event: event.clone(), click: click.clone() };
                earlier = facts.first_of_click(&claim)?;
            }
            OnceKey::Transaction { .. } | OnceKey::Click(_) | OnceKey::Visitor(_) => {}
        }
        Ok(earlier.map_or(EarlierReport::None(ids), |earlier| EarlierReport::Repeated(Box::new(earlier))))
    }
}

/// Whether the conversion that has a report's transaction id answers for the report by this click.
fn answers(conversion: &Conversion, click: &str) -> bool {
    role(conversion) == Some(ClaimRole::Counts) || click_of(&conversion.attribution).as_deref() == Some(click)
}

/// Lets a further sale of a click, offer and event wait for a person, where a route without a key reported it:
/// anyone who has seen a click id can report more of them.
///
/// # Errors
/// The outer ones are the look-ups'; the inner says that as many wait as may.
pub fn hold_further<F: Facts>(
    rules: &Ruleset,
    conversion: &mut Conversion,
    facts: &F,
) -> Result<Result<(), SaleProblem>, F::Error> {
    if matches!(conversion.status, Status::Rejected | Status::Scrubbed) {
        return Ok(Ok(()));
    }
    let Some((claim, first)) = first_of_claim(rules, conversion, facts)? else { return Ok(Ok(())) };
    if facts.waiting_on_click(&claim)? >= MOST_WAITING {
        return Ok(Err(SaleProblem::TooManyFurtherSales { most: MOST_WAITING as u64 }));
    }
    conversion.status = Status::Pending;
    conversion.disposition = None;
    conversion.remarks.push(Remark::SecondSaleOfClick { first: first.id });
    Ok(Ok(()))
}

/// The conversion's claim on its click, and the other one that counts for it, where one does.
fn first_of_claim<F: Facts>(
    rules: &Ruleset,
    conversion: &Conversion,
    facts: &F,
) -> Result<Option<(Claim, Conversion)>, F::Error> {
    let Some(claim) = Claim::of(conversion) else { return Ok(None) };
    if rules.offer(claim.offer()).is_some_and(|offer| offer.reports.further == FurtherSales::Count) {
        return Ok(None);
    }
    let first = facts.first_of_click(&claim)?.filter(|first| first.id != conversion.id);
    Ok(first.map(|first| (claim, first)))
}

/// Why a conversion is not joined to the click that a repeat brought it, where another one counts for that click
/// already: it would be paid by naming a click that has had its sale, or wait for a person because a stranger
/// named one. So it stays as it is.
///
/// # Errors
/// Only those of the look-ups.
pub fn taken_click<F: Facts>(
    rules: &Ruleset,
    joined: &Conversion,
    facts: &F,
) -> Result<Option<ClickNotTaken>, F::Error> {
    let first = first_of_claim(rules, joined, facts)?;
    Ok(first.map(|(_, first)| ClickNotTaken::HasItsSale { first: first.id }))
}
