//! What a conversion pays and what is reported to platforms as its worth.

use std::sync::Arc;

use postbridge::domain::conversion::{Draft, NetworkClaim};
use postbridge::domain::earning::matched_by;
use postbridge::domain::offer::{Caps, Offer, Payout, PayoutFrom};
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::status::Status;
use postbridge::domain::status_reason::StatusReason;
use postbridge::store::contract::conformance::fixture::history::changed_fields;

use crate::support::known_facts::{by_click, click, known_facts, new, noon, offer, pixel, usd};

/// An event of the tag, with a price, that names this click.
fn from_a_page(click: &str) -> Draft {
    let source = BuiltInSource::Tag.id();
    Draft { source, value: Some(usd("999.00")), network: NetworkClaim::default(), ..by_click(click) }
}

#[test]
fn the_payout_is_what_was_reported_else_the_percentage_else_the_fixed_one_and_0_is_reported() {
    let clicks = || vec![click("c1", -1, "565")];
    let fixed = Offer { payout: Some(Payout::Fixed("7.00".parse().unwrap())), ..offer("565") };
    let share = Offer { payout: Some(Payout::Percent("12.5".parse().unwrap())), ..offer("565") };
    let paid = |offer: Offer, draft: &Draft| {
        let conversion = new(&known_facts(vec![offer], clicks()), draft);
        (conversion.payout, conversion.payout_from)
    };
    let reported = Draft { payout: Some(usd("0")), ..by_click("c1") };
    assert_eq!(paid(fixed.clone(), &reported), (Some(usd("0")), Some(PayoutFrom::Caller)));
    assert_eq!(paid(fixed, &by_click("c1")), (Some(usd("7.00")), Some(PayoutFrom::Fixed)));
    let sold = Draft { sale_amount: Some(usd("40.00")), ..by_click("c1") };
    assert_eq!(paid(share.clone(), &sold), (Some(usd("5")), Some(PayoutFrom::Percent)));
    assert_eq!(paid(share, &by_click("c1")), (None, None), "a share of nothing reported is nothing known");
}

#[test]
fn a_percentage_is_rounded_to_what_can_be_paid_half_to_even() {
    let share = Offer { payout: Some(Payout::Percent("12.5".parse().unwrap())), ..offer("565") };
    let known = known_facts(vec![share], vec![click("c1", -1, "565")]);
    for (sale, paid) in [("49.99", "6.25"), ("40", "5.00"), ("0.20", "0.02"), ("0.28", "0.04")] {
        let sold = Draft { sale_amount: Some(usd(sale)), ..by_click("c1") };
        assert_eq!(new(&known, &sold).payout.unwrap().to_string(), format!("{paid} USD"));
    }
}

#[test]
fn where_nobodys_click_is_known_no_one_is_paid_and_no_cap_is_used_up() {
    let caps = Caps { conversions_per_day: Some(1), ..Caps::default() };
    let fixed = Some(Payout::Fixed("7.00".parse().unwrap()));
    let mut known = known_facts(vec![Offer { payout: fixed, caps, ..offer("565") }], vec![]);
    known.today = 1;
    let organic = new(&known, &pixel());
    assert_eq!((organic.payout, organic.payout_from), (None, None));
    assert_eq!(organic.status, Status::Approved);
    let reported = Draft { payout: Some(usd("3.00")), ..pixel() };
    assert_eq!(new(&known, &reported).payout_from, Some(PayoutFrom::Caller));
}

#[test]
fn ad_platforms_are_reported_the_amount_else_the_revenue_else_the_payout() {
    let clicks = || vec![click("c1", -1, "565")];
    let amounts = |revenue: Option<&str>, payout: Option<&str>| Offer {
        revenue: revenue.map(|amount| amount.parse().unwrap()),
        payout: payout.map(|amount| Payout::Fixed(amount.parse().unwrap())),
        ..offer("565")
    };
    let both = || known_facts(vec![amounts(Some("12.00"), Some("7.00"))], clicks());
    let reported = Draft { value: Some(usd("40")), ..by_click("c1") };
    assert_eq!(new(&both(), &reported).value, Some(usd("40")));
    assert_eq!(new(&both(), &by_click("c1")).value, Some(usd("12")));
    let payout = known_facts(vec![amounts(None, Some("7.00"))], clicks());
    let conversion = new(&payout, &by_click("c1"));
    assert_eq!((conversion.value, conversion.event.as_str()), (Some(usd("7")), "Purchase"));
    assert_eq!(new(&known_facts(vec![offer("565")], clicks()), &by_click("c1")).event.as_str(), "Lead");
}

#[test]
fn a_pages_word_for_the_price_of_an_offers_sale_counts_only_where_the_offer_says_so() {
    let clicks = || vec![click("c-1", -1, "565"), click("gone", -1, "999")];
    let believing = Offer { accept_pixel_value: true, ..offer("565") };
    assert_eq!(new(&known_facts(vec![believing], clicks()), &from_a_page("c-1")).value, Some(usd("999.00")));
    let closed = known_facts(vec![offer("565")], clicks());
    for click in ["c-1", "gone"] {
        let reported = new(&closed, &from_a_page(click));
        assert_eq!(reported.value, None, "{reported:?}");
        assert_eq!(reported.reason, Some(StatusReason::PageValueIgnored));
    }
}

#[test]
fn a_price_that_a_page_reported_before_its_click_received_is_dropped_when_the_click_brings_its_offer() {
    let nothing_yet = known_facts(vec![offer("565")], Vec::new());
    let held = new(&nothing_yet, &from_a_page("c-1"));
    assert_eq!(held.value, Some(usd("999.00")), "no one knows whose it is");
    let click = Arc::new(click("c-1", -1, "565"));
    let Ok(matched) = matched_by(&nothing_yet.rules, &held, &click, noon(1), &nothing_yet);
    let matched = matched.unwrap();
    assert_eq!(matched.value, None);
    assert!(
        changed_fields(&matched.history[0]).contains(&["value", "999.00 USD", "none"].map(str::to_owned))
    );
}
