//! What counts once of a click: reports on routes without a key, of one click, offer and event.

use rust_decimal::Decimal;

use crate::domain::attribution::{Attribution, candidates};
use crate::domain::conversion::{Conversion, Draft, EventClaim, EventName, Status};
use crate::domain::ids::OfferId;
use crate::domain::offer::{Offer, Payout};
use crate::domain::remark::Remark;

/// Of a click, an offer and an event only the first conversion counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    offer: OfferId,
    event: EventName,
    /// See [`click_of`].
    click: String,
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

    pub fn offer(&self) -> &OfferId {
        &self.offer
    }

    /// In one text. No id and no event's name holds a line's end.
    pub fn text(&self) -> String {
        key(&self.offer, &self.event, &format!("click:{}", self.click))
    }
}

/// The click's id: as recorded, else as it will be called when it is recorded.
pub fn click_of(attribution: &Attribution) -> Option<String> {
    match (attribution.click(), attribution.given()) {
        (Some(click), _) => Some(click.as_str().to_owned()),
        (None, Some(given)) => Some(match candidates(given).first() {
            Some((click, _)) => click.as_str().to_owned(),
            None => given.trim().to_owned(),
        }),
        (None, None) => None,
    }
}

/// What makes two reports on an offer's event one.
pub fn key(offer: &OfferId, event: &EventName, of: &str) -> String {
    format!("{offer}\n{event}\n{of}")
}

/// The events that a report may stand for, what it stands for by the offer's terms first. A report without
/// a name stands for a sale where it, or else the offer, says that there is something to pay.
pub fn events(draft: &Draft, offer: Option<&Offer>) -> Vec<EventName> {
    let (positive, zero) = match &draft.event {
        EventClaim::Named(event) => return vec![event.clone()],
        EventClaim::ByValue { positive, zero } => (positive.clone(), zero.clone()),
    };
    let told = draft.value.or(draft.revenue).map(|money| money.amount);
    let terms = || {
        let fixed = |payout| if let Payout::Fixed(amount) = payout { Some(amount) } else { None };
        offer.and_then(|offer| offer.revenue.or_else(|| offer.payout.and_then(fixed)))
    };
    let pays = told.or_else(terms).is_some_and(|amount| amount > Decimal::ZERO);
    if pays { vec![positive, zero] } else { vec![zero, positive] }
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
