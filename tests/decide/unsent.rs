//! The one reason for which a conversion, or a delivery of it, is not sent.

use std::sync::Arc;

use postbridge::domain::clock_rule::ClockRecord;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::destination_state::{DestinationState, Hold};
use postbridge::domain::ids::SourceId;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::skip::ForwardedBy;
use postbridge::domain::sought_click::SoughtClick;
use postbridge::domain::status::Status;
use postbridge::domain::unsent::{
    Undelivered, UndeliveredCode, Unsent, UnsentContext, of_conversion, of_delivery,
};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::contract::conformance::fixture::reason::{account_refused, unavailable};
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, destination, route, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{fall_due, trace};
use postbridge::store::contract::work::FallsDue;

use crate::support::engines;
use crate::support::pages_fixture::{PagesFixture, noon};

/// By these rules, with no destination removed.
fn by(rules: Arc<Ruleset>) -> UnsentContext {
    UnsentContext { rules, ..UnsentContext::default() }
}

fn of_it(store: &dyn Store, receipt: &Receipt, circumstances: &UnsentContext) -> Option<Unsent> {
    let trace = trace(store, receipt);
    let deliveries: Vec<_> = trace.deliveries.into_iter().map(|(delivery, _)| delivery).collect();
    match deliveries.first() {
        None => of_conversion(&trace.conversion, &deliveries, &circumstances.rules),
        Some(first) => match of_delivery(&trace.conversion, (first, false), circumstances)? {
            Undelivered::Unsent(unsent) => Some(unsent),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_conversion_without_a_delivery_says_what_keeps_it_from_one() {
    let store = engines::memory().open();
    let pending = sale("pending").status(Status::Pending);
    let circumstances = by(pending.rules());
    let reported = pending.receive(&*store);
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::Pending { becomes: None }));
    let reported = sale("rejected").status(Status::Rejected).receive(&*store);
    assert_eq!(
        of_it(&*store, &reported, &circumstances),
        Some(Unsent::StatusNotForwarded { status: Status::Rejected, by: ForwardedBy::Source })
    );
    let reported = sale("alone").to(&[]).receive(&*store);
    assert_eq!(of_it(&*store, &reported, &by(Arc::default())), Some(Unsent::NoDestination));
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::ConfiguredLater));
    let mut elsewhere = route("ads");
    elsewhere.only.events = vec!["Lead".to_owned()];
    let rules = Ruleset { routes: vec![elsewhere], ..Ruleset::clone(&circumstances.rules) };
    assert_eq!(of_it(&*store, &reported, &by(Arc::new(rules))), Some(Unsent::NotTaken));
}

#[test]
fn a_delivery_says_what_holds_now_and_not_what_was_so() {
    let store = engines::memory().open();
    let held = sale("held").click("late");
    let circumstances = by(held.rules());
    let reported = held.receive(&*store);
    let named = || SoughtClick::Named("late".to_owned());
    let awaits = Unsent::AwaitsClick { click: named(), until: at(72 * HOUR) };
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(awaits));
    fall_due(&*store, FallsDue::Holds, at(73 * HOUR), 9);
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::NoClick { click: named() }));
    let nameless = sale("nameless").receive(&*store);
    fall_due(&*store, FallsDue::Holds, at(73 * HOUR), 9);
    assert_eq!(
        of_it(&*store, &nameless, &circumstances),
        Some(Unsent::NoClick { click: SoughtClick::NotInPostback })
    );
    wait(store.record_click(unscreened(click("late")))).unwrap();
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::ClickTooLate));
}

#[test]
fn what_waits_for_a_status_or_a_destination_says_that_and_not_that_it_waits_for_a_click() {
    let store = engines::memory().open();
    let held = sale("held").click("late");
    let mut circumstances = by(held.rules());
    let reported = held.receive(&*store);
    sale("held").click("late").status(Status::Pending).receive(&*store);
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::Pending { becomes: None }));
    circumstances.removed.insert(destination("ads"), at(9));
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(Unsent::DestinationRemoved { until: at(9) }));
}

#[test]
fn what_is_due_says_what_keeps_it_from_its_destination() {
    let store = engines::memory().open();
    let sent = sale("sent").forward();
    let mut circumstances = by(sent.rules());
    let reported = sent.receive(&*store);
    let due = Unsent::AwaitsTurn { due: at(0) };
    assert_eq!(of_it(&*store, &reported, &circumstances), Some(due));
    let (refused, last) = (account_refused("the token has expired"), unavailable(429, "slow down"));
    let worker = |parked, hold, open_until| DestinationState {
        destination: destination("ads"),
        parked,
        open_until,
        hold,
        in_flight: 0,
        is_tried: true,
        delivered: 0,
        confirmations: Default::default(),
        last_error: None,
    };
    let hold = Hold { since: at(0), until: at(9), reason: last.clone() };
    let on_hold = Unsent::DestinationOnHold { until: at(9), last };
    for (worker, expected) in [
        (worker(None, None, Some(at(7))), Unsent::DestinationPaused { until: at(7) }),
        (worker(None, Some(hold.clone()), Some(at(7))), on_hold),
        (worker(Some((at(0), refused.clone())), Some(hold), None), Unsent::DestinationParked(refused)),
    ] {
        circumstances.workers = Arc::new(vec![worker]);
        assert_eq!(of_it(&*store, &reported, &circumstances), Some(expected));
    }
}

#[test]
fn who_reports_without_a_click_id_is_advised_by_how_it_reports() {
    let store = engines::memory().open();
    let reported = sale("nameless").receive(&*store);
    let mut conversion = trace(&*store, &reported).conversion;
    let hint = |conversion: &Conversion| SoughtClick::of(conversion).hint().unwrap();
    assert!(hint(&conversion).contains("the URL under Sources"));
    conversion.source = SourceId::parse("pixel").unwrap();
    assert_eq!(hint(&conversion), "report it again with its click id");
}

#[tokio::test]
async fn the_page_of_a_pending_conversion_names_its_status_and_no_other_reason() {
    let fixture = PagesFixture::busy().await;
    fixture.receive(b"s2=nobody-knows-it&tid=P-1&price=5").await;
    let path = fixture.path_of("P-1").await;
    fixture.get(&path).await.shows("It is sent at once when the click");
    fixture.post(&format!("{path}/status"), &[("status", "pending"), ("note", "")]).await;
    let page = fixture.get(&path).await;
    page.shows("its status is <code>pending</code>").hides("It is sent at once when the click");
    page.hides("may not be in the source");
}

#[tokio::test]
async fn a_paused_retention_is_on_the_first_page_and_ends_by_a_button() {
    let fixture = PagesFixture::busy().await;
    fixture.get("/conversions").await.hides("Retention is paused");
    fixture.get("/clock").await.shows("It is believed").hides("The clock is right");
    let record = ClockRecord::new(noon().plus_millis(-9 * DAY));
    fixture.clock.go_by(Some(record), None);
    fixture.get("/conversions").await.shows("Retention is paused").shows("more than 48 h after");
    fixture.get("/clock").await.shows("The clock is right");
    fixture.post("/clock", &[]).await;
    fixture.get("/conversions").await.hides("Retention is paused");
}

#[test]
fn deliveries_are_filtered_by_codes_that_one_can_have() {
    for word in ["no_destination", "not_routed", "not_taken", "configured_later"] {
        assert_eq!(UndeliveredCode::parse(word), None, "{word} says why there is no delivery");
        assert!(!UndeliveredCode::words().contains(word), "{word}");
    }
    for word in UndeliveredCode::words() {
        assert!(UndeliveredCode::parse(word).is_some(), "{word}");
    }
}
