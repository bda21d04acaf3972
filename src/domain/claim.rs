//! What a conversion reported without a key claims: to be the one of its click, offer and event.

use crate::domain::attribution::{Attribution, canonical_click};
use crate::domain::conversion::Conversion;
use crate::domain::event::EventName;
use crate::domain::ids::OfferId;
use crate::domain::remark::Remark;
use crate::domain::status::Status;
use crate::domain::text::trim;

/// Of a click, an offer and an event only the first conversion counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub(in crate::domain) offer: OfferId,
    pub(in crate::domain) event: EventName,
    /// See [`click_of`].
    pub(in crate::domain) click: String,
}

/// What a conversion is to its [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimRole {
    /// It is approved, or pending by the offer's terms: a further report of its click waits.
    Counts,
    /// It waits for a person as a further sale.
    Waits,
}

impl Claim {
    /// The claim of a conversion on its click, where it was reported on a route without a key.
    pub fn of(conversion: &Conversion) -> Option<Claim> {
        let event = conversion.once.as_ref()?;
        let offer = &conversion.campaign_ref.as_ref()?.offer;
        Claim::on(offer, event, &conversion.attribution)
    }

    /// The claim of such a conversion with this click; `None` without one.
    pub fn on(offer: &OfferId, event: &EventName, attribution: &Attribution) -> Option<Claim> {
        let click = click_of(attribution)?;
        Some(Claim { offer: offer.clone(), event: event.clone(), click })
    }

    /// The conversion's claim, and what the conversion is to it. `None` also where it is rejected or scrubbed:
    /// then it has no claim left, and the next report of its click is decided as if it were not there.
    pub fn held_by(conversion: &Conversion) -> Option<(Claim, ClaimRole)> {
        Some((Claim::of(conversion)?, role(conversion)?))
    }

    pub fn offer(&self) -> &OfferId {
        &self.offer
    }

    /// By what the conversions that have this role are found, in one text. No id and no event's name holds a
    /// line's end.
    pub fn text(&self, role: ClaimRole) -> String {
        let role = match role {
            ClaimRole::Counts => "click",
            ClaimRole::Waits => "waits",
        };
        key(&self.offer, &self.event, &format!("{role}:{}", self.click))
    }
}

/// `None` where it counts nowhere: it is rejected or scrubbed.
pub(in crate::domain) fn role(conversion: &Conversion) -> Option<ClaimRole> {
    match conversion.status {
        Status::Rejected | Status::Scrubbed => None,
        Status::Approved | Status::Pending if is_held(conversion) => Some(ClaimRole::Waits),
        Status::Approved | Status::Pending => Some(ClaimRole::Counts),
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
pub(in crate::domain) fn key(offer: &OfferId, event: &EventName, of: &str) -> String {
    format!("{offer}\n{event}\n{of}")
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
