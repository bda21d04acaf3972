//! What counts of a visitor's answers about consent, and which destinations a conversion goes to by them.

use postbridge::domain::change_rules::Changes;
use postbridge::domain::consent::{CLOCK_TOLERANCE_MS, Consent, ConsentNeed, ConsentRecord, said_by_browser};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::history::{Cause, Change};
use postbridge::domain::ids::{AffiliateId, CampaignId, DestinationId, OfferId, SourceId};
use postbridge::domain::offer::CampaignRef;
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::routing::{Only, PlanRules, Route, RouteScope, Unmatched, not_routed, plan};
use postbridge::domain::ruleset::usual;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::time::{HOUR_MS, Time};

use crate::support::payload_fixture;

fn noon(hours: i64) -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap().plus_hours(hours)
}

fn said(ad_user_data: bool, hours: i64) -> ConsentRecord {
    Consent { ad_user_data: Some(ad_user_data), ad_personalization: None }.said_at(noon(hours))
}

fn data(record: ConsentRecord) -> Option<bool> {
    record.answers().ad_user_data
}

#[test]
fn the_later_answer_counts_in_whatever_order_they_are_received() {
    let (yes, no) = (said(true, 0), said(false, 1));
    assert_eq!((data(yes.latest(no)), data(no.latest(yes))), (Some(false), Some(false)));
    let again = said(true, 2);
    for order in [[yes, no, again], [again, yes, no], [no, again, yes], [again, no, yes]] {
        let all = order.into_iter().fold(ConsentRecord::default(), ConsentRecord::latest);
        assert_eq!(data(all), Some(true), "a yes after a no counts");
        assert_eq!(all.latest(no), all, "and what is received twice changes nothing");
    }
}

#[test]
fn of_two_answers_with_one_time_the_stricter_counts() {
    let (yes, no) = (said(true, 0), said(false, 0));
    assert_eq!((data(yes.latest(no)), data(no.latest(yes))), (Some(false), Some(false)));
}

#[test]
fn each_question_has_its_own_latest_answer() {
    let both = Consent { ad_user_data: Some(true), ad_personalization: Some(true) }.said_at(noon(0));
    let one = Consent { ad_user_data: None, ad_personalization: Some(false) }.said_at(noon(1));
    let answers = one.latest(both).answers();
    assert_eq!((answers.ad_user_data, answers.ad_personalization), (Some(true), Some(false)));
}

#[test]
fn a_browsers_answers_keep_their_order_however_long_they_are_under_way() {
    let received = noon(0);
    let browser = received.as_millis() + 60_000;
    // The yes was said first, and is received a minute after the no, from a clock a minute ahead.
    let no = said_by_browser(browser - 1_000, Some(browser), received);
    let yes = said_by_browser(browser - 2_000, Some(browser + 60_000), received.plus_millis(60_000));
    assert!(yes < no);
}

#[test]
fn a_browsers_wrong_clock_is_corrected_and_no_answer_is_of_the_future() {
    let received = noon(0);
    for wrong in [400 * 24 * HOUR_MS, -400 * 24 * HOUR_MS, 2 * CLOCK_TOLERANCE_MS] {
        let browser = received.as_millis() + wrong;
        let said = said_by_browser(browser - HOUR_MS, Some(browser), received);
        assert_eq!(said, noon(-1), "{wrong}");
    }
    let browser = received.as_millis();
    assert_eq!(said_by_browser(browser + HOUR_MS, Some(browser), received), received);
    assert_eq!(said_by_browser(browser + HOUR_MS, None, received), received);
    for odd in [i64::MIN, i64::MAX, 0, -1] {
        for sent in [Some(i64::MIN), Some(i64::MAX), Some(0), None] {
            assert!(said_by_browser(odd, sent, received) <= received, "{odd} {sent:?}");
        }
    }
}

#[test]
fn a_refusal_keeps_ad_platforms_from_all_and_others_from_nothing() {
    let answer = |ad_user_data| Consent { ad_user_data, ad_personalization: None };
    let ads = ConsentNeed { personal: true, explicit: false };
    let strict = ConsentNeed { personal: true, explicit: true };
    let own = ConsentNeed::default();
    let refusals = |need: ConsentNeed| [None, Some(true), Some(false)].map(|said| need.refusal(answer(said)));
    assert_eq!(refusals(ads), [None, None, Some(SkipReason::ConsentDenied)]);
    assert_eq!(refusals(strict), [Some(SkipReason::ConsentUnknown), None, Some(SkipReason::ConsentDenied)]);
    assert_eq!(refusals(own), [None, None, None]);
    let own_strict = ConsentNeed { personal: false, explicit: true };
    assert_eq!(refusals(own_strict), refusals(strict));
    assert_eq!(ads.refusal(Consent { ad_user_data: None, ad_personalization: Some(false) }), None);
}

/// A sale of campaign 8599 that a network's postback reported.
fn sale() -> Conversion {
    let mut conversion = payload_fixture::conversion();
    conversion.campaign_ref = Some(CampaignRef {
        offer: OfferId::parse("565").unwrap(),
        campaign: CampaignId::parse("8599").ok(),
        affiliate: AffiliateId::parse("200").ok(),
        creative: None,
    });
    conversion.history.clear();
    conversion.status = Status::Approved;
    conversion
}

fn of(source: &str) -> Conversion {
    Conversion { source: SourceId::parse(source).unwrap(), ..sale() }
}

fn ads(only: Only) -> Route {
    let consent = ConsentNeed { personal: true, explicit: false };
    Route { only, consent, ..Route::to(DestinationId::parse("ads").unwrap()) }
}

fn planned(
    conversion: &Conversion,
    earlier: &[Delivery],
    route: &Route,
    ad_user_data: Option<bool>,
) -> Vec<Delivery> {
    let mut policy = usual(conversion.source.clone());
    policy.unmatched = Unmatched::Forward;
    let consent = Consent { ad_user_data, ad_personalization: None };
    let rules = PlanRules { policy: &policy, routes: std::slice::from_ref(route), consent, click: None };
    plan(conversion, earlier, &rules, noon(0))
}

fn skipped_for(delivery: &Delivery) -> Option<SkipReason> {
    match &delivery.state {
        DeliveryState::Skipped { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

#[test]
fn what_the_visitor_refused_is_planned_as_skipped() {
    let route = ads(Only::default());
    let [delivery] = planned(&sale(), &[], &route, Some(false)).try_into().unwrap();
    assert_eq!(skipped_for(&delivery), Some(SkipReason::ConsentDenied));
    let own = Route { consent: ConsentNeed::default(), ..route.clone() };
    assert_eq!(planned(&sale(), &[], &own, Some(false))[0].state.as_str(), "waiting");
    let strict = Route { consent: ConsentNeed { personal: true, explicit: true }, ..route };
    assert_eq!(skipped_for(&planned(&sale(), &[], &strict, None)[0]), Some(SkipReason::ConsentUnknown));
    assert_eq!(planned(&sale(), &[], &strict, Some(true))[0].state.as_str(), "waiting");
}

#[test]
fn a_change_of_what_a_destination_knows_is_planned_although_consent_ended() {
    let route = Route { changes: Changes::EACH, ..ads(Only::default()) };
    let mut sent = planned(&sale(), &[], &route, Some(true));
    sent[0].state = DeliveryState::delivered(noon(0));
    let mut dearer = sale();
    dearer.history.push(Change {
        number: 1,
        at: noon(1),
        cause: Cause::Disposition,
        fields: vec![],
        status: dearer.status,
    });
    let after = planned(&dearer, &sent, &route, Some(false));
    assert_eq!((after.len(), after[1].state.as_str()), (2, "waiting"));
}

#[test]
fn what_advertisers_report_goes_only_where_it_is_named() {
    let offer = |id: &str| Only { offers: vec![OfferId::parse(id).unwrap()], ..Only::default() };
    let source = |id: &str| Only { sources: vec![SourceId::parse(id).unwrap()], ..Only::default() };
    let campaign = |id: &str| Only { campaigns: vec![CampaignId::parse(id).unwrap()], ..Only::default() };
    let affiliate = |id: &str| Only { affiliates: vec![AffiliateId::parse(id).unwrap()], ..Only::default() };
    let event = || Only { events: vec!["Purchase".to_owned()], ..Only::default() };
    let both = Only { events: vec!["Lead".to_owned()], ..offer("565") };
    // Of a network's postback, of the tag, of the network's API, of its pixels.
    let cases = [
        (Only::default(), [1, 1, 0, 0]),
        (event(), [1, 1, 0, 0]),
        (offer("565"), [1, 1, 1, 1]),
        (offer("1"), [0, 0, 0, 0]),
        (campaign("8599"), [1, 1, 1, 1]),
        (affiliate("200"), [1, 1, 1, 1]),
        (affiliate("201"), [0, 0, 0, 0]),
        (source(BuiltInSource::Api.as_str()), [0, 0, 1, 0]),
        (source(BuiltInSource::Pixel.as_str()), [0, 0, 0, 1]),
        (source("shop"), [1, 0, 0, 0]),
        (both, [0, 0, 0, 0]),
    ];
    for (only, wanted) in cases {
        let route = ads(only.clone());
        let sources =
            ["shop", BuiltInSource::Tag.as_str(), BuiltInSource::Api.as_str(), BuiltInSource::Pixel.as_str()];
        let got = sources.map(|source| planned(&of(source), &[], &route, None).len());
        assert_eq!(got, wanted, "{only:?}");
    }
}

#[test]
fn what_the_rule_leaves_out_is_listed_and_nothing_else_is() {
    let route = |name: &str, only: Only| Route { only, ..Route::to(DestinationId::parse(name).unwrap()) };
    let lead = Only { events: vec!["Lead".to_owned()], ..Only::default() };
    let named = Only { sources: vec![BuiltInSource::Api.id()], ..Only::default() };
    let partner = Route { scope: RouteScope::AnyCampaign, ..route("postback", Only::default()) };
    let routes = [route("all", Only::default()), route("leads", lead), route("named", named), partner];
    let left_out = |source: &str, earlier: &[Delivery]| -> Vec<String> {
        not_routed(&of(source), earlier, &routes).iter().map(ToString::to_string).collect()
    };
    assert_eq!(left_out(BuiltInSource::Api.as_str(), &[]), ["all"]);
    assert_eq!(left_out(BuiltInSource::Pixel.as_str(), &[]), ["all"]);
    assert_eq!(left_out("shop", &[]), [""; 0]);
    assert_eq!(left_out(BuiltInSource::Tag.as_str(), &[]), [""; 0]);
    let earlier = planned(&of("shop"), &[], &routes[0], None);
    assert_eq!(left_out(BuiltInSource::Api.as_str(), &earlier), [""; 0], "it has a delivery");
}
