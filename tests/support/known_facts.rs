//! Offers, clicks and conversions that are known without a store, and what is decided by them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use postbridge::domain::attribution::{EarlierClick, FoundClick, candidates};
use postbridge::domain::click::{Click, ClickContext, CustomerTraits};
use postbridge::domain::conversion::{Conversion, Draft, EventClaim, NetworkClaim};
use postbridge::domain::decision::{ArrivalContext, Decision, decide};
use postbridge::domain::event::EventName;
use postbridge::domain::facts::Facts;
use postbridge::domain::ids::{AffiliateId, CampaignId, ConversionId, OfferId, Seq, VisitorId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::offer::{CampaignRef, Offer};
use postbridge::domain::rejection::Rejection;
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::suppression::{SuppressedKind, SuppressionHit, Traces};
use postbridge::domain::time::Time;
use postbridge::store::contract::conformance::fixture::offer;

use crate::support::dispatch_fixture;

pub const HOUR: i64 = 3_600_000;
pub const VISITOR: &str = "visitor-0123456789";

pub fn noon(hours: i64) -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap().plus_millis(hours * HOUR)
}

pub fn usd(amount: &str) -> Money {
    Money::new(amount.parse().unwrap(), Currency::parse("USD").unwrap())
}

/// One whose click ids convert for a day.
pub fn offer(id: &str) -> Offer {
    Offer { session_hours: 24, ..offer::offer(id) }
}

/// A click of `hours` before or after noon, on an offer.
pub fn click(id: &str, hours: i64, offer: &str) -> Click {
    let mut click = postbridge::store::contract::conformance::fixture::received::click(id);
    click.at = noon(hours);
    click.customer = CustomerTraits::default();
    click.context = ClickContext {
        campaign_ref: Some(CampaignRef {
            offer: OfferId::parse(offer).unwrap(),
            campaign: Some(CampaignId::parse("8599").unwrap()),
            affiliate: Some(AffiliateId::parse("200").unwrap()),
            creative: None,
        }),
        visitor: Some(VisitorId::parse(VISITOR).unwrap()),
        ..ClickContext::default()
    };
    click
}

/// What is known: offers, clicks, lists, and how many conversions were received today.
pub struct KnownFacts {
    pub rules: Ruleset,
    pub clicks: Vec<Click>,
    pub listed: Option<(SuppressedKind, &'static str)>,
    pub today: u64,
    pub conversions: HashMap<ConversionId, Conversion>,
}

impl Facts for KnownFacts {
    type Error = Infallible;

    fn conversion(&self, id: &ConversionId) -> Result<Option<Conversion>, Infallible> {
        Ok(self.conversions.get(id).cloned())
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, Infallible> {
        let known = |id: &str| self.clicks.iter().find(|click| click.id.as_str() == id).cloned();
        Ok(candidates(given).into_iter().find_map(|(id, reading)| {
            known(id.as_str()).map(|click| FoundClick { click: Arc::new(click), reading })
        }))
    }

    fn visits(&self, visitor: &VisitorId) -> Result<Vec<EarlierClick>, Infallible> {
        let theirs = self.clicks.iter().filter(|click| click.context.visitor.as_ref() == Some(visitor));
        Ok(theirs
            .map(|click| EarlierClick {
                click: click.id.clone(),
                at: click.at,
                offer: click.context.campaign_ref.as_ref().map(|placed| placed.offer.clone()),
                not_billable: click.context.not_billable(),
            })
            .collect())
    }

    fn suppressed(&self, traces: &Traces) -> Result<Option<SuppressionHit>, Infallible> {
        let Some((kind, value)) = self.listed else { return Ok(None) };
        let theirs = match kind {
            SuppressedKind::Email => traces.email.clone(),
            SuppressedKind::Phone => traces.phone.clone(),
            SuppressedKind::Ip => traces.ip.iter().map(ToString::to_string).collect(),
            SuppressedKind::OrderId => traces.order_id.clone(),
            SuppressedKind::ClickId => traces.click_id.clone(),
        };
        let found = theirs.iter().any(|theirs| theirs == value);
        Ok(found.then(|| SuppressionHit { list: "fraud".to_owned(), kind }))
    }

    fn conversions_on(&self, _: &OfferId, _: i64, _: &ConversionId) -> Result<u64, Infallible> {
        Ok(self.today)
    }
}

pub fn known_facts(offers: Vec<Offer>, clicks: Vec<Click>) -> KnownFacts {
    let offers = offers.into_iter().map(|offer| (offer.id.clone(), Arc::new(offer))).collect();
    let rules = Ruleset { offers, ..Ruleset::default() };
    KnownFacts { rules, clicks, listed: None, today: 0, conversions: HashMap::new() }
}

/// A conversion of offer 565 as a pixel reports it, at noon, naming neither click nor visitor.
pub fn pixel() -> Draft {
    let event = |name| EventName::parse(name).unwrap();
    Draft {
        source: BuiltInSource::Pixel.id(),
        event: EventClaim::ByValue { positive: event("Purchase"), zero: event("Lead") },
        status: None,
        network: NetworkClaim { offer: Some(OfferId::parse("565").unwrap()), ..NetworkClaim::default() },
        ..dispatch_fixture::draft("T-1", Status::Approved)
    }
}

pub fn by_click(id: &str) -> Draft {
    Draft { click_id: Some(id.to_owned()), ..pixel() }
}

pub fn by_visitor() -> Draft {
    let mut draft = pixel();
    draft.network.visitor = Some(VisitorId::parse(VISITOR).unwrap());
    draft
}

pub fn receive(known_facts: &KnownFacts, draft: &Draft) -> Decision {
    let arrived = ArrivalContext { seq: Seq::new(1).unwrap(), at: noon(0), now: noon(0) };
    let Ok(decision) = decide(&known_facts.rules, draft, arrived, known_facts);
    decision
}

pub fn new(known_facts: &KnownFacts, draft: &Draft) -> Conversion {
    match receive(known_facts, draft) {
        Decision::New { conversion, .. } => conversion,
        other => panic!("not new: {other:?}"),
    }
}

pub fn refused(known_facts: &KnownFacts, draft: &Draft) -> Rejection {
    match receive(known_facts, draft) {
        Decision::Quarantine(rejection) | Decision::UnknownSale { rejection, .. } => rejection,
        other => panic!("not refused: {other:?}"),
    }
}
