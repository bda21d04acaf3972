//! Offers for the store's tests, and sales of them.

use std::sync::Arc;

use postbridge::domain::attribution::{FoundClick, MatchMethod};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::event::EventName;
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{AffiliateId, CampaignId, OfferId, Seq};
use postbridge::domain::ignored::IgnoredReason;
use postbridge::domain::money::Currency;
use postbridge::domain::offer::AttributionModel;
use postbridge::domain::offer::{CampaignRef, Caps, Disposition, Offer, OfferStatus};
use postbridge::domain::reporter::ReportRoute;
use postbridge::domain::reports::{FurtherSales, Reporting};
use postbridge::domain::routing::{Changes, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{Arrival, Finding, Receipt};
use postbridge::store::contract::change::{ConversionRef, StatusChanged};

use crate::support::store_fixture::*;

pub fn offer_id(id: &str) -> OfferId {
    OfferId::parse(id).unwrap()
}

/// An offer without caps whose conversions are approved at once.
pub fn offer(id: &str) -> Offer {
    Offer {
        id: offer_id(id),
        advertiser: None,
        currency: Currency::parse("USD").unwrap(),
        payout: None,
        revenue: None,
        status: OfferStatus::Active,
        caps: Caps::default(),
        session_hours: 720,
        click_cookie_days: 30,
        model: AttributionModel::LastTouch,
        disposition: Disposition { status: Status::Approved, after_hours: 0 },
        accept_pixel_value: false,
        reports: reports(),
    }
}

/// Open by every route, from everywhere.
pub fn reports() -> Reporting {
    Reporting {
        by: ReportRoute::ALL.to_vec(),
        from: Vec::new(),
        events: ["Purchase", "Lead"].into_iter().filter_map(EventName::parse).collect(),
        further: FurtherSales::Wait,
    }
}

pub fn capped(id: &str, conversions_per_day: u64) -> Offer {
    let caps = Caps { conversions_per_day: Some(conversions_per_day), ..Caps::default() };
    Offer { caps, ..offer(id) }
}

/// Approved after so many hours, pending until then.
pub fn approved_after(id: &str, after_hours: u32) -> Offer {
    Offer { disposition: Disposition { status: Status::Approved, after_hours }, ..offer(id) }
}

/// Rules by which approved sales go to `ads`, which hears of changes, with a click or without.
pub fn rules_of(offers: &[Offer]) -> Arc<Ruleset> {
    let mut reported = sale("any").unmatched(Unmatched::Forward);
    reported.routes.iter_mut().for_each(|route| route.changes = Changes::Send);
    let mut rules = Ruleset::clone(&reported.rules());
    rules.offers = offers.iter().map(|offer| (offer.id.clone(), Arc::new(offer.clone()))).collect();
    rules.filters.cap = FilterMode::Enforce;
    Arc::new(rules)
}

impl Sale {
    /// Of an offer, by the caller's word; the offer says its status.
    pub fn of(mut self, offer: &str) -> Sale {
        self.draft.network.offer = Some(offer_id(offer));
        self.draft.status = None;
        self
    }

    /// Of an offer, by the click of someone's campaign, which was found before the commit.
    pub fn brought_to(mut self, offer: &str) -> Sale {
        let mut brought = click("brought");
        brought.context.campaign_ref = Some(placed(offer, "8599"));
        self.draft.click_id = Some("brought".to_owned());
        self.found = Some(FoundClick { click: Arc::new(brought), reading: MatchMethod::Exact });
        self.of(offer)
    }

    /// When it happened, as reported.
    pub fn happened(mut self, time: Time) -> Sale {
        self.draft.event_time = Some(time);
        self
    }
}

pub fn arrive(store: &dyn Store, arrival: Arrival) -> Receipt {
    wait(store.arrive(arrival)).unwrap()
}

/// What became of several arrivals that come at the same moment.
pub fn arrive_together(store: &dyn Store, arrivals: impl IntoIterator<Item = Arrival>) -> Vec<Receipt> {
    // Each is queued when it is called, whether or not anyone waits for it yet.
    let reported: Vec<_> = arrivals.into_iter().map(|arrival| store.arrive(arrival)).collect();
    reported.into_iter().map(|reported| wait(reported).unwrap()).collect()
}

pub fn now_of(store: &dyn Store, receipt: &Receipt) -> Conversion {
    let which = ConversionRef::Id(conversion_of(&receipt.verdict));
    wait(store.conversion_now(which)).unwrap().unwrap()
}

pub fn by_network(to: Status) -> StatusMove {
    StatusMove { to, by: Actor::Network("ops".to_owned()), note: None }
}

pub fn set_status(store: &dyn Store, number: Seq, to: Status, now: Time) -> StatusChanged {
    wait(store.set_status(ConversionRef::Number(number), by_network(to), now)).unwrap()
}

/// A campaign's run of an offer.
pub fn placed(offer: &str, campaign: &str) -> CampaignRef {
    let (campaign, affiliate) = (CampaignId::parse(campaign).ok(), AffiliateId::parse("200").ok());
    CampaignRef { campaign, affiliate, ..CampaignRef::of_offer(offer_id(offer)) }
}

/// A campaign of this affiliate.
pub fn brought_by(affiliate: &str, offer: &str) -> CampaignRef {
    CampaignRef { affiliate: AffiliateId::parse(affiliate).ok(), ..placed(offer, "8599") }
}

/// What the source's template passes over.
pub fn ignored() -> Finding {
    Finding::Ignored(IgnoredReason::ByTemplate { field: "event".to_owned(), value: "ping".to_owned() })
}
