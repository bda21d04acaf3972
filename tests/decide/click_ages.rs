//! How old a click may be that a platform is sent a conversion of, and how old it must be.

use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::change_rules::Changes;
use postbridge::domain::consent::{Consent, ConsentNeed};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::delivery_reason::DeathReason;
use postbridge::domain::expiry::{AgeLimits, AgeRule, EndedUnsent};
use postbridge::domain::ids::DestinationId;
use postbridge::domain::routing::{PlanRules, Route, plan};
use postbridge::domain::ruleset::usual;
use postbridge::domain::send_check::{AtItsTurn, SendRules, ended_unsent};
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::time::{HOUR_MS, Time};
use postbridge::store::contract::conformance::fixture::received::click;

use crate::support::payload_fixture;

const DAY_MS: i64 = 24 * HOUR_MS;

/// When the sale happened and was received.
fn noon() -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap()
}

fn sale() -> Conversion {
    let mut conversion = payload_fixture::conversion();
    let id = click("c1").id;
    conversion.attribution =
        Attribution::Matched { given: id.to_string(), click: id, reading: MatchMethod::Exact };
    conversion.event_time = noon();
    conversion.history.clear();
    conversion.status = Status::Approved;
    conversion
}

fn ads() -> Route {
    Route::to(DestinationId::parse("ads").unwrap())
}

/// The only delivery of a sale whose click was then.
fn planned(route: &Route, click: Option<Time>) -> Delivery {
    let conversion = sale();
    let policy = usual(conversion.source.clone());
    let rules = PlanRules {
        policy: &policy,
        routes: std::slice::from_ref(route),
        consent: Consent::default(),
        click,
    };
    let [delivery] = plan(&conversion, &[], &rules, noon()).try_into().unwrap();
    delivery
}

fn ended(delivery: &Delivery, clicked: Time, now: Time) -> Option<EndedUnsent> {
    let (conversion, mut click) = (sale(), click("c1"));
    click.at = clicked;
    let turn = AtItsTurn {
        conversion: &conversion,
        delivery,
        click: Some(&click),
        sent_before: false,
        may_be_known: false,
    };
    let rules = SendRules {
        changes: Changes::Never,
        age: AgeRule::Counts,
        policy: None,
        on: None,
        consent: ConsentNeed::default(),
        max_click_age_ms: Some(30 * DAY_MS),
    };
    ended_unsent(&rules, turn, now)
}

#[test]
fn the_earlier_end_of_event_and_click_is_when_a_delivery_expires() {
    let route = Route { max_age_ms: Some(7 * DAY_MS), max_click_age_ms: Some(30 * DAY_MS), ..ads() };
    let clicked = |days: i64| Some(noon().plus_millis(-days * DAY_MS));
    assert_eq!(planned(&route, clicked(1)).expires_at, Some(noon().plus_millis(7 * DAY_MS)));
    assert_eq!(planned(&route, clicked(29)).expires_at, Some(noon().plus_millis(DAY_MS)));
    assert_eq!(planned(&ads(), clicked(29)).expires_at, None, "without a limit any age is sent");
}

#[test]
fn without_a_click_its_limits_say_nothing() {
    let limits = AgeLimits { event_ms: None, click_ms: Some(DAY_MS) };
    let mut unmatched = sale();
    unmatched.attribution = Attribution::NoClickId;
    assert_eq!(limits.expires_at(&unmatched, None, Some(noon())), None);
    assert_eq!(limits.too_old(&unmatched, None, noon().plus_millis(400 * DAY_MS)), None);
    let route = Route { min_click_age_ms: Some(6 * HOUR_MS), ..ads() };
    assert_eq!(planned(&route, None).not_before, None);
}

#[test]
fn the_end_of_a_click_that_is_not_at_hand_stays_as_it_was() {
    let limits = AgeLimits { event_ms: Some(7 * DAY_MS), click_ms: Some(30 * DAY_MS) };
    assert_eq!(limits.expires_at(&sale(), None, Some(noon())), Some(noon()));
    assert_eq!(limits.expires_at(&sale(), None, None), Some(noon().plus_millis(7 * DAY_MS)));
}

#[test]
fn a_click_that_was_too_old_from_the_beginning_is_skipped_and_one_that_grew_too_old_is_dead() {
    let route = Route { max_click_age_ms: Some(30 * DAY_MS), ..ads() };
    let (clicked, max_age_ms) = (noon().plus_millis(-31 * DAY_MS), 30 * DAY_MS);
    let old = SkipReason::StaleClick { click_time: clicked, max_age_ms };
    let delivery = planned(&route, Some(clicked));
    assert_eq!(ended(&delivery, clicked, noon()), Some(EndedUnsent::Skipped(old.clone())));
    let limits = AgeLimits { event_ms: None, click_ms: Some(max_age_ms) };
    assert_eq!(limits.too_old(&sale(), Some(clicked), noon()), Some(old));

    let clicked = noon().plus_millis(-29 * DAY_MS);
    let delivery = planned(&route, Some(clicked));
    assert_eq!(
        ended(&delivery, clicked, noon().plus_millis(DAY_MS)),
        None,
        "at the last moment it is still sent"
    );
    let dead = DeathReason::StaleClick { click_time: clicked, max_age_ms };
    assert_eq!(ended(&delivery, clicked, noon().plus_millis(DAY_MS + 1)), Some(EndedUnsent::Dead(dead)));
}

#[test]
fn what_a_platform_knows_only_hours_after_the_click_waits_until_then() {
    let route = Route { min_click_age_ms: Some(6 * HOUR_MS), ..ads() };
    let until = |clicked: Time| {
        let delivery = planned(&route, Some(clicked));
        let DeliveryState::Waiting { due } = delivery.state else { panic!("{delivery:?}") };
        (delivery.not_before, due)
    };
    let five_more = noon().plus_millis(5 * HOUR_MS);
    assert_eq!(until(noon().plus_millis(-HOUR_MS)), (Some(five_more), five_more));
    assert_eq!(until(noon().plus_millis(-7 * HOUR_MS)), (None, noon()), "old enough already");
    let delayed = Route { delay_ms: 8 * HOUR_MS, ..route };
    let clicked = Some(noon().plus_millis(-HOUR_MS));
    assert_eq!(
        planned(&delayed, clicked).not_before,
        Some(noon().plus_millis(8 * HOUR_MS)),
        "the longer wait"
    );
}
