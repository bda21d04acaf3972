//! Clicks of one visitor on an offer, as the store's tests record them.

use std::sync::Arc;

use postbridge::domain::click::{Click, ClickContext};
use postbridge::domain::filter::{DuplicateBy, DuplicateRule, FilterRules};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{AffiliateId, CampaignId, OfferId, VisitorId};
use postbridge::domain::offer::{CampaignRef, Caps, Offer};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, ClickReceipt, Screening};
use postbridge::store::contract::lookup::{ClickFilter, PageRequest};

use crate::support::offer_fixture::offer;
use crate::support::store_fixture::*;

pub const VISITOR: &str = "visitor-0123456789";

/// What decides: the offer 565, and the filters.
pub fn rules(offers: &[Offer], filters: FilterRules) -> Arc<Ruleset> {
    let offers = offers.iter().map(|offer| (offer.id.clone(), Arc::new(offer.clone()))).collect();
    let rules = sale("any").rules();
    Arc::new(Ruleset { offers, filters, ..Ruleset::clone(&rules) })
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
    let campaign_ref = CampaignRef {
        offer: OfferId::parse("565").unwrap(),
        campaign: CampaignId::parse("8599").ok(),
        affiliate: AffiliateId::parse("200").ok(),
        creative: None,
    };
    let context = ClickContext {
        campaign_ref: Some(campaign_ref),
        visitor: VisitorId::parse(VISITOR).ok(),
        ..ClickContext::default()
    };
    Click { at: time, recorded_at: time, context, ..click(id) }
}

pub fn by(mut click: Click, visitor: &str) -> Click {
    click.context.visitor = VisitorId::parse(visitor).ok();
    click
}

pub fn on(mut click: Click, offer: &str) -> Click {
    click.context.campaign_ref.as_mut().unwrap().offer = OfferId::parse(offer).unwrap();
    click
}

pub fn screened(click: Click) -> ClickArrival {
    ClickArrival { click, screening: Screening::Filters }
}

pub fn receive(store: &dyn Store, click: Click) -> ClickReceipt {
    wait(store.record_click(screened(click))).unwrap()
}

/// A pixel's conversion of the visitor on the offer.
pub fn earned(transaction: &str, time: Time) -> Sale {
    let mut reported = sale(transaction).forward().at(time);
    reported.draft.network.offer = OfferId::parse("565").ok();
    reported.draft.network.visitor = VisitorId::parse(VISITOR).ok();
    reported
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
