//! What counts once of a click: reports on routes without a key, of one click, offer and event.

use rust_decimal::Decimal;

use crate::domain::attribution::{Attribution, canonical_click};
use crate::domain::conversion::{Conversion, Draft, EventClaim, EventName, Status};
use crate::domain::facts::Facts;
use crate::domain::ids::{ConversionId, OfferId, SourceId, VisitorId};
use crate::domain::offer::{Offer, Payout};
use crate::domain::postback::Fault;
use crate::domain::rejection::RejectionCode;
use crate::domain::remark::Remark;
use crate::domain::reports::FurtherSales;
use crate::domain::rulebook::Rulebook;
use crate::domain::text::trim;

/// How many further sales of one click, offer and event wait for a person at a time. Anyone who has seen the
/// click's id can report any number of them, from any number of addresses.
pub const MOST_WAITING: usize = 100;

/// Of a click, an offer and an event only the first conversion counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    offer: OfferId,
    event: EventName,
    /// See [`click_of`].
    click: String,
}

/// What a conversion is to its [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is approved, or pending by the offer's terms: a further report of its click waits.
    Counts,
    /// It waits for a person as a further sale.
    Waits,
}

impl Claim {
    /// The claim of a conversion on its click, where it was reported on a route without a key.
    pub fn of(conversion: &Conversion) -> Option<Claim> {
        let event = conversion.once.as_ref()?;
        let offer = &conversion.placement.as_ref()?.offer;
        Claim::on(offer, event, &conversion.attribution)
    }

    /// The claim of such a conversion with this click; `None` without one.
    pub fn on(offer: &OfferId, event: &EventName, attribution: &Attribution) -> Option<Claim> {
        let click = click_of(attribution)?;
        Some(Claim { offer: offer.clone(), event: event.clone(), click })
    }

    /// The conversion's claim, and what the conversion is to it. `None` also where it is rejected or scrubbed:
    /// then it has no claim left, and the next report of its click is decided as if it were not there.
    pub fn held_by(conversion: &Conversion) -> Option<(Claim, Role)> {
        Some((Claim::of(conversion)?, role(conversion)?))
    }

    pub fn offer(&self) -> &OfferId {
        &self.offer
    }

    /// By what the conversions that have this role are found, in one text. No id and no event's name holds a
    /// line's end.
    pub fn text(&self, role: Role) -> String {
        let role = match role {
            Role::Counts => "click",
            Role::Waits => "waits",
        };
        key(&self.offer, &self.event, &format!("{role}:{}", self.click))
    }
}

/// `None` where it counts nowhere: it is rejected or scrubbed.
fn role(conversion: &Conversion) -> Option<Role> {
    match conversion.status {
        Status::Rejected | Status::Scrubbed => None,
        Status::Approved | Status::Pending if is_held(conversion) => Some(Role::Waits),
        Status::Approved | Status::Pending => Some(Role::Counts),
    }
}

/// The click's id: as recorded, else as it will be called when it is recorded.
pub fn click_of(attribution: &Attribution) -> Option<String> {
    let recorded = attribution.click().map(|click| click.as_str().to_owned());
    recorded.or_else(|| {
        let given = attribution.given()?;
        Some(canonical_click(given).unwrap_or_else(|| trim(given).to_owned()))
    })
}

/// What makes two reports on an offer's event one.
fn key(offer: &OfferId, event: &EventName, of: &str) -> String {
    format!("{offer}\n{event}\n{of}")
}

/// The event that a report stands for by the offer's terms, and the one for which it may have been reported
/// before.
pub struct Meant {
    pub event: EventName,
    pub before: Option<EventName>,
}

impl Meant {
    /// Of a named event there is no doubt. A report without a name stands for a sale where it, or else the offer,
    /// says that there is something to pay; else for a lead. One transaction is one report, whichever of the two
    /// it was at first. Without a transaction id a report that says nothing of an amount is the click's sale
    /// again, where it has one; a sale is never its lead again.
    pub fn by(draft: &Draft, offer: Option<&Offer>) -> Meant {
        let (positive, zero) = match &draft.event {
            EventClaim::Named(event) => return Meant { event: event.clone(), before: None },
            EventClaim::ByValue { positive, zero } => (positive.clone(), zero.clone()),
        };
        let told = draft.value.or(draft.revenue).map(|money| money.amount);
        let terms = || {
            let fixed = |payout| if let Payout::Fixed(amount) = payout { Some(amount) } else { None };
            offer.and_then(|offer| offer.revenue.or_else(|| offer.payout.and_then(fixed)))
        };
        match told.or_else(terms).is_some_and(|amount| amount > Decimal::ZERO) {
            true => Meant { event: positive, before: draft.transaction_id.is_some().then_some(zero) },
            false => Meant { event: zero, before: Some(positive) },
        }
    }
}

/// By what a report on a route without a key is known again.
pub enum Known {
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
pub enum Earlier {
    /// It is one of this conversion.
    Repeated(Box<Conversion>),
    /// It is one of its own, with one of these ids.
    None(Ids),
}

/// The ids that a new conversion may have.
pub struct Ids {
    counts: ConversionId,
    waits: ConversionId,
}

impl Ids {
    /// One that waits as a further sale leaves the transaction id to a sale that counts.
    pub fn of(self, conversion: &Conversion) -> ConversionId {
        if is_held(conversion) { self.waits } else { self.counts }
    }
}

impl Known {
    /// `None` where nothing would know it again. `attribution`: as far as its click can be its own.
    pub fn of(draft: &Draft, attribution: Option<&Attribution>) -> Option<Known> {
        let click = attribution.and_then(click_of);
        let visitor = || draft.network.visitor.clone().filter(|_| attribution.is_some());
        match (&draft.transaction_id, click) {
            (Some(id), click) => Some(Known::Transaction { id: id.clone(), click }),
            (None, Some(click)) => Some(Known::Click(click)),
            (None, None) => visitor().map(Known::Visitor),
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
        (offer, meant): (&OfferId, &Meant),
        facts: &F,
    ) -> Result<Earlier, F::Error> {
        let earlier = self.of_event(source, (offer, &meant.event), facts)?;
        if let (Earlier::None(_), Some(before)) = (&earlier, &meant.before)
            && let repeated @ Earlier::Repeated(_) = self.of_event(source, (offer, before), facts)?
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
    ) -> Result<Earlier, F::Error> {
        let key = match self {
            Known::Transaction { id, .. } => key(offer, event, &format!("transaction:{id}")),
            Known::Click(click) => key(offer, event, &format!("click:{click}")),
            Known::Visitor(visitor) => key(offer, event, &format!("visitor:{visitor}")),
        };
        let shared = ConversionId::derive_keyed(source, &key);
        let mut ids = Ids { counts: shared, waits: shared };
        let mut earlier = facts.conversion(&shared)?;
        match self {
            Known::Transaction { click: Some(click), .. } => {
                ids.waits = ConversionId::derive_reused(source, "", &key, click);
                if let Some(own) = facts.conversion(&ids.waits)? {
                    return Ok(Earlier::Repeated(Box::new(own)));
                }
                if earlier.as_ref().is_some_and(|earlier| !answers(earlier, click)) {
                    (earlier, ids.counts) = (None, ids.waits);
                }
            }
            Known::Click(click) if earlier.is_none() => {
                let claim = Claim { offer: offer.clone(), event: event.clone(), click: click.clone() };
                earlier = facts.first_of_click(&claim)?;
            }
            Known::Transaction { .. } | Known::Click(_) | Known::Visitor(_) => {}
        }
        Ok(earlier.map_or(Earlier::None(ids), |earlier| Earlier::Repeated(Box::new(earlier))))
    }
}

/// Whether the conversion that has a report's transaction id answers for the report by this click.
fn answers(conversion: &Conversion, click: &str) -> bool {
    role(conversion) == Some(Role::Counts) || click_of(&conversion.attribution).as_deref() == Some(click)
}

/// Lets a further sale of a click, offer and event wait for a person, where a route without a key reported it:
/// anyone who has seen a click id can report more of them.
///
/// # Errors
/// The outer ones are the look-ups'; the inner says that as many wait as may.
pub fn hold_further<F: Facts>(
    rules: &Rulebook,
    conversion: &mut Conversion,
    facts: &F,
) -> Result<Result<(), Fault>, F::Error> {
    if matches!(conversion.status, Status::Rejected | Status::Scrubbed) {
        return Ok(Ok(()));
    }
    let Some((claim, first)) = first_of_claim(rules, conversion, facts)? else { return Ok(Ok(())) };
    if facts.waiting_on_click(&claim)? >= MOST_WAITING {
        return Ok(Err(too_many_wait()));
    }
    conversion.status = Status::Pending;
    conversion.disposition = None;
    conversion.remarks.push(Remark::SecondSaleOfClick { first: first.id });
    Ok(Ok(()))
}

/// The conversion's claim on its click, and the other one that counts for it, where one does.
fn first_of_claim<F: Facts>(
    rules: &Rulebook,
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
    rules: &Rulebook,
    joined: &Conversion,
    facts: &F,
) -> Result<Option<String>, F::Error> {
    let first = first_of_claim(rules, joined, facts)?;
    Ok(first.map(|(_, first)| {
        format!(
            "it stays without the click that was named: the click has had its sale of this offer and event, {}",
            first.id
        )
    }))
}

/// It is said to whoever reported it, who must not hear which sale was the first.
fn too_many_wait() -> Fault {
    let what =
        format!("{MOST_WAITING} further sales of its click, offer and event wait for a person already");
    let hint = "the network has to approve or reject those that wait; then report it again";
    Fault::new(what, hint).coded(RejectionCode::TooManyFurtherSales, Some("transaction_id"))
}

/// Why the conversion waits for a person, where another one of its click was first.
pub fn held(conversion: &Conversion) -> Option<&Remark> {
    let further = |remark: &&Remark| matches!(remark, Remark::SecondSaleOfClick { .. });
    conversion.remarks.iter().find(further).filter(|_| conversion.status == Status::Pending)
}

/// See [`held`].
pub fn is_held(conversion: &Conversion) -> bool {
    held(conversion).is_some()
}
