//! What must hold of daily caps of conversions.

use crate::domain::status::Status;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::{
    arrive, arrive_together, bring_to, by_network, capped, now_of, placed, rules_of, set_status,
};
use crate::store::contract::conformance::fixture::received::{DAY, at, click, go_by, sale, unscreened, wait};

fn passed(store: &dyn Store, reported: &[Receipt]) -> usize {
    reported.iter().filter(|reported| now_of(store, reported).status != Status::Scrubbed).count()
}

pub fn a_cap_lets_through_exactly_as_many_as_it_says(engine: &EngineUnderTest) {
    let store = engine.open();
    let rules = rules_of(&[capped("565", 7), capped("566", 5)]);
    go_by(&*store, rules.clone());
    ["565", "566"].iter().for_each(|offer| bring_to(&*store, offer));
    let sales = |from: i32| {
        (from..from + 40)
            .map(|n| sale(&format!("t{n}")).brought_to(if n % 2 == 0 { "565" } else { "566" }).arrival())
    };
    let first = arrive_together(&*store, sales(0));
    assert_eq!(passed(&*store, &first), 12);
    before_and_after_reopening(engine, store, |store, reopened| {
        go_by(store, rules.clone());
        let later = arrive_together(store, sales(if reopened { 200 } else { 100 }));
        assert_eq!(passed(store, &later), 0, "every place is taken still");
    });
}

pub fn a_new_utc_day_begins_with_every_place_free(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 1)]));
    bring_to(&*store, "565");
    let reported =
        |name: &str, time: i64| arrive(&*store, sale(name).brought_to("565").at(at(time)).arrival());
    let reported = [reported("a", DAY - 1), reported("b", DAY - 1), reported("c", DAY), reported("d", DAY)];
    let status = |reported: &Receipt| now_of(&*store, reported).status;
    let (yes, no) = (Status::Approved, Status::Scrubbed);
    assert_eq!(reported.iter().map(status).collect::<Vec<_>>(), [yes, no, yes, no]);
}

pub fn a_conversion_that_is_scrubbed_later_gives_its_place_back(engine: &EngineUnderTest) {
    let store = engine.open();
    let rules = rules_of(&[capped("565", 1)]);
    go_by(&*store, rules.clone());
    bring_to(&*store, "565");
    let first = arrive(&*store, sale("first").brought_to("565").arrival());
    set_status(&*store, first.postback, Status::Rejected, at(1));
    let refused = arrive(&*store, sale("second").brought_to("565").arrival());
    assert_eq!(now_of(&*store, &refused).status, Status::Scrubbed, "a rejected one keeps its place");
    // In one go: the sale after it sees the place that the scrub gave back.
    let which = crate::store::contract::change::ConversionRef::Number(first.postback);
    let scrubbed = store.set_status(which, by_network(Status::Scrubbed), at(2));
    let third = store.arrive(sale("third").brought_to("565").arrival());
    wait(scrubbed).unwrap();
    let third = wait(third).unwrap();
    before_and_after_reopening(engine, store, |store, reopened| {
        go_by(store, rules.clone());
        assert_eq!(now_of(store, &third).status, Status::Approved);
        let name = if reopened { "fifth" } else { "fourth" };
        let full = arrive(store, sale(name).brought_to("565").arrival());
        assert_eq!(now_of(store, &full).status, Status::Scrubbed);
    });
}

pub fn a_scrub_taken_back_takes_a_place_above_the_cap(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 1)]));
    bring_to(&*store, "565");
    let first = arrive(&*store, sale("first").brought_to("565").arrival());
    let second = arrive(&*store, sale("second").brought_to("565").arrival());
    set_status(&*store, second.postback, Status::Approved, at(1));
    set_status(&*store, first.postback, Status::Scrubbed, at(2));
    let third = arrive(&*store, sale("third").brought_to("565").arrival());
    assert_eq!(now_of(&*store, &third).status, Status::Scrubbed, "the second has the place");
}

pub fn the_conversion_whose_click_is_recorded_later_is_not_counted_against_itself(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 1)]));
    bring_to(&*store, "565");
    let reported = arrive(&*store, sale("t1").brought_to("565").click("c1").arrival());
    assert_eq!(now_of(&*store, &reported).status, Status::Approved);
    let mut click = click("c1");
    click.context.campaign_ref = Some(placed("565", "8599"));
    wait(store.record_click(unscreened(click))).unwrap();
    let now = now_of(&*store, &reported);
    assert_eq!((now.status, now.attribution.is_matched()), (Status::Approved, true));
}

pub fn conversions_that_a_click_brings_to_an_offer_keep_its_cap_together(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 2)]));
    let waiting = (0..5).map(|n| sale(&format!("t{n}")).click("c1").arrival());
    let reported = arrive_together(&*store, waiting);
    let mut click = click("c1");
    click.context.campaign_ref = Some(placed("565", "8599"));
    wait(store.record_click(unscreened(click))).unwrap();
    assert_eq!(passed(&*store, &reported), 2);
    assert!(reported.iter().all(|reported| now_of(&*store, reported).attribution.is_matched()));
}
