//! Clicks of one visitor on an offer, as the store's tests record them.

use std::sync::Arc;

use postbridge::domain::click::{Click, Passage};
use postbridge::domain::filter::{DuplicateBy, DuplicateRule, FilterRules};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{AffiliateId, CampaignId, OfferId, VisitorId};
use postbridge::domain::offer::{Caps, Offer, Placement};
use postbridge::domain::rulebook::Rulebook;
use postbridge::domain::time::Time;
use postbridge::store::PageRequest;
use postbridge::store::{ClickArrival, ClickFilter, ClickReceipt, Screening, Store};

use crate::support::offer_fixture::offer;
use crate::support::store_fixture::*;

pub const VISITOR: &str = "visitor-0123456789";

/// What decides: the offer 565, and the filters.
pub fn rules(offers: &[Offer], filters: FilterRules) -> Arc<Rulebook> {
    let offers = offers.iter().map(|offer| (offer.id.clone(), Arc::new(offer.clone()))).collect();
    let rules = sale("any").rules();
    Arc::new(Rulebook { offers, filters, ..Rulebook::clone(&rules) })
}

pub fn duplicates(mode: FilterMode, by: DuplicateBy) -> FilterRules {
    let duplicate = Some(DuplicateRule { mode, window_ms: HOUR, by });
    FilterRules { duplicate, ..FilterRules::default() }
}

pub fn capped(clicks_per_day: u64) -> Offer {
    Offer { caps: Caps { clicks_per_day: Some(clicks_per_day), ..Caps::default() }, ..offer("565") }
}

/// A click of a browser on an offer by campaign 8599.
pub fn visit(id: &str, time: Time) -> Click {
    let placement = Placement {
        offer: OfferId::parse("565").unwrap(),
        campaign: CampaignId::parse("8599").ok(),
        affiliate: AffiliateId::parse("200").ok(),
        creative: None,
    };
    let passage =
        Passage { placement: Some(placement), visitor: VisitorId::parse(VISITOR).ok(), ..Passage::default() };
    Click { at: time, recorded_at: time, passage, ..click(id) }
}

pub fn by(mut click: Click, visitor: &str) -> Click {
    click.passage.visitor = VisitorId::parse(visitor).ok();
    click
}

pub fn on(mut click: Click, offer: &str) -> Click {
    click.passage.placement.as_mut().unwrap().offer = OfferId::parse(offer).unwrap();
    click
}

pub fn screened(click: Click) -> ClickArrival {
    ClickArrival { click, screening: Screening::Filters }
}

pub fn tell(store: &dyn Store, click: Click) -> ClickReceipt {
    wait(store.record_click(screened(click))).unwrap()
}

/// A pixel's conversion of the visitor on the offer.
pub fn earned(transaction: &str, time: Time) -> Sale {
    let mut told = sale(transaction).forward().at(time);
    told.draft.network.offer = OfferId::parse("565").ok();
    told.draft.network.visitor = VisitorId::parse(VISITOR).ok();
    told
}

pub fn listed(store: &dyn Store, filter: &ClickFilter, limit: usize) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = wait(store.clicks(filter.clone(), PageRequest { cursor, limit })).unwrap();
        assert!(page.items.len() <= limit);
        seen.extend(page.items.iter().map(|click| click.id.as_str().to_owned()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}
