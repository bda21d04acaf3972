//! Whose click earned a conversion, what it pays and whether it converts at all: every rule as a story.

use std::sync::Arc;

use postbridge::domain::attribution::Attribution;
use postbridge::domain::candidate::NotChosen;
use postbridge::domain::click::{Click, ClickContext, ClickKind, CustomerTrait, CustomerTraits};
use postbridge::domain::conversion::{Conversion, Draft, EventClaim, NetworkClaim};
use postbridge::domain::decision::Decision;
use postbridge::domain::earning::matched_by;
use postbridge::domain::event::EventName;
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{ClickId, OfferId};
use postbridge::domain::offer::AttributionModel;
use postbridge::domain::offer::{Caps, Disposition, Offer, OfferStatus, Payout, PayoutFrom};
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::rejection::sale::SaleProblem;
use postbridge::domain::remark::Remark;
use postbridge::domain::status::Status;
use postbridge::domain::status_reason::StatusReason;
use postbridge::domain::suppression::SuppressedKind;
use postbridge::store::contract::conformance::fixture::history::changed_fields;

use crate::support::known_facts::{
    KnownFacts, by_click, by_visitor, click, known_facts, new, noon, offer, pixel, receive, refused, usd,
};

fn earned_by(conversion: &Conversion) -> Option<&str> {
    conversion.attribution.click().map(|click| click.as_str())
}

#[test]
fn a_click_id_converts_up_to_the_last_moment_of_its_session() {
    let known = known_facts(vec![offer("565")], vec![click("c1", -24, "565")]);
    let conversion = new(&known, &by_click("c1"));
    assert!(conversion.attribution.is_matched());
    assert_eq!(conversion.status, Status::Approved);
    assert_eq!(conversion.campaign_ref.unwrap().campaign.unwrap().as_str(), "8599");
}

#[test]
fn an_expired_click_makes_the_conversion_scrubbed_with_the_reason() {
    let known = known_facts(vec![offer("565")], vec![click("c1", -25, "565")]);
    let conversion = new(&known, &by_click("c1"));
    assert!(matches!(conversion.attribution, Attribution::Expired { .. }));
    assert_eq!(conversion.status, Status::Scrubbed);
    let (click, clicked_at) = (ClickId::parse("c1").unwrap(), Some(noon(-25)));
    assert_eq!(
        conversion.reason,
        Some(StatusReason::ClickExpired { click, clicked_at, session_hours: Some(24) })
    );
}

#[test]
fn the_session_is_measured_to_when_it_happened_not_to_when_it_was_reported() {
    let known = known_facts(vec![offer("565")], vec![click("c1", -40, "565")]);
    let happened = Draft { event_time: Some(noon(-20)), ..by_click("c1") };
    assert!(new(&known, &happened).attribution.is_matched());
}

#[test]
fn a_click_without_an_offer_never_expires_for_a_networks_postback() {
    let mut plain = click("c1", -24 * 90, "565");
    plain.context = ClickContext::default();
    let known = known_facts(vec![offer("565")], vec![plain]);
    let postback =
        Draft { network: NetworkClaim::default(), status: Some(Status::Approved), ..by_click("c1") };
    let conversion = new(&known, &postback);
    assert!(conversion.attribution.is_matched());
    assert_eq!((conversion.campaign_ref, conversion.payout_from), (None, None));
}

#[test]
fn of_a_visitors_clicks_the_last_earns_by_last_touch_and_the_others_say_why_not() {
    let known = known_facts(
        vec![offer("565")],
        vec![
            click("early", -50, "565"),
            click("late", -2, "565"),
            click("other", -1, "566"),
            click("after", 1, "565"),
            click("ancient", -24 * 31, "565"),
        ],
    );
    let conversion = new(&known, &by_visitor());
    assert_eq!(earned_by(&conversion), Some("late"));
    let why =
        |id: &str| conversion.considered.iter().find(|lost| lost.click.as_str() == id).unwrap().why.clone();
    assert_eq!(why("early"), NotChosen::LaterClick);
    assert_eq!(why("other"), NotChosen::OtherOffer { of: OfferId::parse("566").ok() });
    assert_eq!(why("after"), NotChosen::AfterConversion);
    assert_eq!(why("ancient"), NotChosen::TooOld { days: 30 });
}

#[test]
fn by_first_touch_the_earliest_click_that_still_counts_earns() {
    let first = Offer { model: AttributionModel::FirstTouch, ..offer("565") };
    let clicks =
        vec![click("ancient", -24 * 31, "565"), click("early", -50, "565"), click("late", -2, "565")];
    assert_eq!(earned_by(&new(&known_facts(vec![first], clicks), &by_visitor())), Some("early"));
}

#[test]
fn a_visitors_click_counts_by_cookie_days_although_its_session_is_over() {
    let known = known_facts(vec![offer("565")], vec![click("c1", -24 * 29, "565")]);
    let conversion = new(&known, &by_visitor());
    assert!(matches!(conversion.attribution, Attribution::Visitor { .. }));
    assert_eq!(conversion.status, Status::Approved);
}

#[test]
fn a_bots_look_and_a_click_that_a_filter_kept_away_earn_nothing() {
    let mut looked = click("looked", -1, "565");
    looked.context.kind = ClickKind::Preview;
    let known = known_facts(vec![offer("565")], vec![looked, click("real", -3, "565")]);
    assert_eq!(earned_by(&new(&known, &by_visitor())), Some("real"));
}

#[test]
fn a_click_id_goes_before_the_visitor_and_an_expired_one_is_not_fixed_by_it() {
    let clicks = vec![click("named", -30, "565"), click("recent", -1, "565")];
    let known = known_facts(vec![offer("565")], clicks);
    let both = Draft { click_id: Some("named".to_owned()), ..by_visitor() };
    let conversion = new(&known, &both);
    assert_eq!(earned_by(&conversion), Some("named"));
    assert_eq!(conversion.status, Status::Scrubbed);
}

#[test]
fn an_unknown_click_id_lets_the_visitor_earn_and_says_so() {
    let known = known_facts(vec![offer("565")], vec![click("recent", -1, "565")]);
    let both = Draft { click_id: Some("nobody".to_owned()), ..by_visitor() };
    let Decision::New { conversion, notes } = receive(&known, &both) else { panic!("not new") };
    assert_eq!(earned_by(&conversion), Some("recent"));
    assert_eq!(notes, [ReportNote::VisitorsClickTaken { given: "nobody".to_owned() }]);
}

#[test]
fn nothing_is_guessed_where_neither_click_nor_visitor_is_reported() {
    let known = known_facts(vec![offer("565")], vec![click("c1", -1, "565")]);
    let conversion = new(&known, &pixel());
    assert_eq!(conversion.attribution, Attribution::NoClickId);
    assert_eq!(conversion.campaign_ref.unwrap().campaign, None);
}

#[test]
fn a_click_of_another_offer_is_refused_and_so_is_an_unknown_one_where_a_click_is_needed() {
    let known = known_facts(vec![offer("565"), offer("566")], vec![click("c1", -1, "566")]);
    let of = |id: &str| OfferId::parse(id).unwrap();
    let another =
        SaleProblem::ClickOfAnotherOffer { click: "c1".to_owned(), offer: of("566"), wanted: of("565") };
    assert_eq!(refused(&known, &by_click("c1")), another.into());
    let mut needs = by_click("nobody");
    needs.network.needs_click = true;
    let unknown = SaleProblem::UnknownClick { click: Some("nobody".to_owned()) };
    assert_eq!(refused(&known, &needs), unknown.into());
}

#[test]
fn under_a_key_the_first_report_wins_whatever_a_repeat_says() {
    let mut known = known_facts(vec![offer("565")], vec![click("c1", -1, "565")]);
    let mut first = by_click("c1");
    first.network.key = Some("offer:565:unique:TXN-1".to_owned());
    first.value = Some(usd("0"));
    let conversion = new(&known, &first);
    assert_eq!(conversion.event.as_str(), "Lead");
    known.conversions.insert(conversion.id, conversion.clone());
    let again = Draft { value: Some(usd("9.00")), ..first };
    match receive(&known, &again) {
        Decision::Duplicate { conversion: known, notes } => {
            assert_eq!(known, conversion);
            assert_eq!(notes, [ReportNote::AnotherValue]);
        }
        other => panic!("not a duplicate: {other:?}"),
    }
}

#[test]
fn a_disposition_of_some_hours_leaves_the_conversion_pending_until_then() {
    let later = Disposition { status: Status::Approved, after_hours: 48 };
    let known = known_facts(vec![Offer { disposition: later, ..offer("565") }], vec![click("c1", -1, "565")]);
    let conversion = new(&known, &by_click("c1"));
    assert_eq!(conversion.status, Status::Pending);
    assert_eq!(conversion.disposition, Some((noon(48), Status::Approved)));
    let reported = Draft { status: Some(Status::Rejected), ..by_click("c1") };
    let conversion = new(&known, &reported);
    assert_eq!((conversion.status, conversion.disposition), (Status::Rejected, None));
}

#[test]
fn what_is_on_a_suppression_list_is_scrubbed_naming_the_list() {
    let mut customer = click("c1", -1, "565");
    customer.customer = CustomerTraits([(CustomerTrait::Email, " Ann@Example.com ".to_owned())].into());
    customer.ip = Some("203.0.113.9".parse().unwrap());
    let ordered = Draft { params: vec![("order_id".to_owned(), "ORD-9".to_owned())], ..by_click("c1") };
    for (kind, value) in [
        (SuppressedKind::Email, "ann@example.com"),
        (SuppressedKind::Ip, "203.0.113.9"),
        (SuppressedKind::OrderId, "ORD-9"),
        (SuppressedKind::OrderId, "T-1"),
        (SuppressedKind::ClickId, "c1"),
    ] {
        let mut known = known_facts(vec![offer("565")], vec![customer.clone()]);
        known.listed = Some((kind, value));
        let conversion = new(&known, &ordered);
        assert_eq!(conversion.status, Status::Scrubbed, "{kind:?}");
        assert_eq!(conversion.reason, Some(StatusReason::Suppressed { list: "fraud".to_owned(), kind }));
    }
}

#[test]
fn beyond_the_days_cap_a_conversion_is_scrubbed_or_where_caps_only_observe_marked() {
    let caps = Caps { conversions_per_day: Some(500), ..Caps::default() };
    let mut known = known_facts(vec![Offer { caps, ..offer("565") }], vec![click("c1", -1, "565")]);
    known.today = 499;
    assert_eq!(new(&known, &by_click("c1")).status, Status::Approved);
    known.today = 500;
    assert_eq!(new(&known, &by_click("c1")).status, Status::Scrubbed);
    known.rules.filters.cap = FilterMode::Observe;
    let marked = new(&known, &by_click("c1"));
    assert_eq!(marked.status, Status::Approved);
    assert_eq!(marked.reason, Some(StatusReason::ConversionCap { most: 500, observed: true }));
}

#[test]
fn a_paused_offer_converts_nothing_that_its_own_endpoints_report_but_a_networks_sale_stays_a_sale() {
    let paused = Offer { status: OfferStatus::Paused, ..offer("565") };
    let known = known_facts(vec![paused], vec![click("c1", -1, "565")]);
    assert_eq!(new(&known, &by_click("c1")).status, Status::Scrubbed);
    let postback =
        Draft { network: NetworkClaim::default(), status: Some(Status::Approved), ..by_click("c1") };
    assert_eq!(new(&known, &postback).status, Status::Approved);
}

#[test]
fn a_later_click_brings_its_offer_and_its_session_counts_just_the_same() {
    let fixed = Offer { payout: Some(Payout::Fixed("7.00".parse().unwrap())), ..offer("565") };
    let mut known = known_facts(vec![fixed], Vec::new());
    let postback =
        Draft { network: NetworkClaim::default(), status: Some(Status::Approved), ..by_click("c1") };
    let held = new(&known, &postback);
    assert!(matches!(held.attribution, Attribution::Unmatched { .. }));
    for (hours, status) in [(-2, Status::Approved), (-30, Status::Scrubbed)] {
        let received_text = Arc::new(click("c1", hours, "565"));
        known.clicks = vec![Click::clone(&received_text)];
        let Ok(joined) = matched_by(&known.rules, &held, &received_text, noon(1), &known);
        let joined = joined.unwrap();
        assert_eq!(joined.status, status);
        assert_eq!(joined.campaign_ref.unwrap().affiliate.unwrap().as_str(), "200");
        assert_eq!(joined.payout, Some(usd("7")));
        assert_eq!(joined.history.len(), 1);
    }
}

/// The sale of click c1 at 40 USD, as a network reported it first.
fn sold(known: &mut KnownFacts) -> (Draft, Conversion) {
    let network = NetworkClaim::default();
    let sale = Draft {
        network,
        event: EventClaim::Named(EventName::parse("Purchase").unwrap()),
        status: Some(Status::Approved),
        value: Some(usd("40")),
        ..by_click("c1")
    };
    let conversion = new(known, &sale);
    known.conversions.insert(conversion.id, conversion.clone());
    (sale, conversion)
}

fn updated(known_facts: &KnownFacts, draft: &Draft) -> Conversion {
    match receive(known_facts, draft) {
        Decision::Update { conversion, .. } => conversion,
        other => panic!("no update: {other:?}"),
    }
}

#[test]
fn a_sale_that_changes_pays_the_offers_percentage_of_what_it_is_worth_now() {
    let share = Offer { payout: Some(Payout::Percent("10".parse().unwrap())), ..offer("565") };
    let mut known = known_facts(vec![share], vec![click("c1", -1, "565")]);
    let (sale, first) = sold(&mut known);
    assert_eq!(first.payout, Some(usd("4")));
    let less = updated(&known, &Draft { value: Some(usd("25")), ..sale.clone() });
    assert_eq!((less.payout, less.payout_from), (Some(usd("2.5")), Some(PayoutFrom::Percent)));
    assert_eq!(
        changed_fields(&less.history[0]),
        [["value", "40 USD", "25 USD"], ["payout", "4.00 USD", "2.50 USD"]]
    );
    let reported = updated(&known, &Draft { payout: Some(usd("3")), value: Some(usd("25")), ..sale });
    assert_eq!((reported.payout, reported.payout_from), (Some(usd("3")), Some(PayoutFrom::Caller)));
}

#[test]
fn a_share_of_a_sale_whose_amount_was_not_reported_is_remarked_until_the_amount_is_known() {
    let share = || Offer { payout: Some(Payout::Percent("10".parse().unwrap())), ..offer("565") };
    let mut known = known_facts(vec![share()], vec![click("c1", -1, "565")]);
    let purchase = EventClaim::Named(EventName::parse("Purchase").unwrap());
    let unpriced = Draft { event: purchase.clone(), value: None, sale_amount: None, ..by_click("c1") };
    let remark = [Remark::PercentWithoutAmount { offer: OfferId::parse("565").unwrap() }];
    // By a pixel or the API, and by a network's postback.
    let reported = new(&known, &unpriced);
    assert_eq!((reported.payout, reported.remarks.as_slice()), (None, remark.as_slice()));
    let by_network =
        Draft { network: NetworkClaim::default(), status: Some(Status::Approved), ..unpriced.clone() };
    let first = new(&known, &by_network);
    assert_eq!((first.payout, first.remarks.as_slice()), (None, remark.as_slice()));
    known.conversions.insert(first.id, first.clone());
    let amount = updated(&known, &Draft { value: Some(usd("40")), ..by_network.clone() });
    assert_eq!((amount.payout, amount.remarks.as_slice()), (Some(usd("4")), [].as_slice()));
    let payout = updated(&known, &Draft { payout: Some(usd("3")), ..by_network.clone() });
    assert_eq!((payout.payout, payout.remarks.as_slice()), (Some(usd("3")), [].as_slice()));
    // Without an affiliate, with an amount, or where the offer pays a fixed sum there is no remark.
    let fresh = known_facts(vec![share()], vec![click("c1", -1, "565")]);
    let without_affiliate = Draft { click_id: None, ..unpriced.clone() };
    assert!(new(&fresh, &without_affiliate).remarks.is_empty());
    let free = Draft { value: Some(usd("0")), ..unpriced.clone() };
    assert!(new(&fresh, &free).remarks.is_empty());
    let fixed = Offer { payout: Some(Payout::Fixed("7".parse().unwrap())), ..offer("565") };
    assert!(new(&known_facts(vec![fixed], vec![click("c1", -1, "565")]), &unpriced).remarks.is_empty());
    // A click that is received later brings the offer, and with it the remark.
    let mut later = known_facts(vec![share()], Vec::new());
    let waits = new(&later, &by_network);
    assert!(waits.remarks.is_empty());
    let received_text = Arc::new(click("c1", -1, "565"));
    later.clicks = vec![Click::clone(&received_text)];
    let Ok(joined) = matched_by(&later.rules, &waits, &received_text, noon(1), &later);
    assert_eq!(joined.unwrap().remarks, remark);
}

#[test]
fn a_fixed_payout_stays_as_it_was_when_the_sale_received() {
    let pays = |amount: &str| Offer { payout: Some(Payout::Fixed(amount.parse().unwrap())), ..offer("565") };
    let mut known = known_facts(vec![pays("7")], vec![click("c1", -1, "565")]);
    let (sale, _) = sold(&mut known);
    known.rules.offers.insert(OfferId::parse("565").unwrap(), Arc::new(pays("9")));
    let less = updated(&known, &Draft { value: Some(usd("25")), ..sale });
    assert_eq!((less.payout, less.payout_from), (Some(usd("7")), Some(PayoutFrom::Fixed)));
}

#[test]
fn a_repeat_that_names_an_expired_click_scrubs_the_sale_and_its_history_says_so() {
    let mut known = known_facts(vec![offer("565")], vec![click("c1", -1, "565"), click("old", -30, "565")]);
    let (sale, first) = sold(&mut known);
    let unnamed = Conversion { attribution: Attribution::NoClickId, campaign_ref: None, ..first };
    known.conversions.insert(unnamed.id, unnamed);
    let scrubbed = updated(&known, &Draft { click_id: Some("old".to_owned()), ..sale });
    assert_eq!(scrubbed.status, Status::Scrubbed);
    assert_eq!(
        changed_fields(&scrubbed.history[0]),
        [["click_id", "none", "old"], ["status", "approved", "scrubbed"]]
    );
}

#[test]
fn a_later_click_of_another_offer_is_not_joined_and_the_conversion_says_so_once() {
    let mut known = known_facts(vec![offer("565"), offer("566")], Vec::new());
    let waits = new(&known, &by_click("c1"));
    let received_text = Arc::new(click("c1", -1, "566"));
    known.clicks = vec![Click::clone(&received_text)];
    let Ok(reported) = matched_by(&known.rules, &waits, &received_text, noon(1), &known);
    let reported = reported.unwrap();
    assert!(matches!(reported.attribution, Attribution::Unmatched { .. }));
    assert_eq!((reported.status, reported.history.len()), (waits.status, 1));
    let [of, wanted] = ["566", "565"].map(|id| OfferId::parse(id).unwrap());
    assert_eq!(
        reported.reason,
        Some(StatusReason::ClickOfAnotherOffer { click: "c1".to_owned(), of, wanted })
    );
    assert_eq!(matched_by(&known.rules, &reported, &received_text, noon(2), &known), Ok(None));
}
