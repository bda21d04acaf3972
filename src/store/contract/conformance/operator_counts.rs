//! What is counted for operators is true at once, and after a restart.

use crate::domain::delivery::DeliveryStateName;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::Seq;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::Reprocess;
use crate::store::contract::change::ConversionRef;
use crate::store::contract::conformance::fixture::attempt::{dead, delivered, failed, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{DAY, HOUR, at, quarantined, sale, wait};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, first_page, never, purge_all, tally,
};
use crate::store::contract::operator::SourceTally;

fn received_at(store: &dyn Store, made_by: Seq) -> Option<Time> {
    let conversion = wait(store.conversion_now(ConversionRef::Number(made_by))).unwrap();
    conversion.map(|conversion| conversion.received_at)
}

pub fn dead_letters_and_the_oldest_unsent_are_counted_by_destination(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..20 {
        sale(&format!("t{n}")).forward().to(&["ads", "other"]).at(at(n)).receive(&*store);
    }
    for (n, work) in claim(&*store, "ads", at(20)).iter().enumerate() {
        let outcome = match n {
            0 => delivered(work, at(21)),
            1..4 => dead(work, at(21)),
            4 => failed(work, at(21), at(HOUR)),
            _ => continue,
        };
        wait(store.record(one(outcome))).unwrap();
    }
    before_and_after_reopening(engine, store, |store, reopened| {
        let ads = backlog(store, "ads", at(21)).unwrap();
        assert_eq!((ads.dead, ads.waiting), (3, 16), "reopened: {reopened}");
        let received = |seq| received_at(store, seq);
        assert_eq!(ads.oldest_unsent.and_then(received), Some(at(4)), "the one that is retried");
        let other = backlog(store, "other", at(21)).unwrap();
        assert_eq!((other.dead, other.oldest_unsent.and_then(received)), (0, Some(at(0))));
        if reopened {
            let dead = crate::store::contract::lookup::DeliveryFilter {
                state: Some(DeliveryStateName::Dead),
                ..crate::store::contract::lookup::DeliveryFilter::default()
            };
            for one in wait(store.deliveries(dead, first_page(9))).unwrap().items {
                wait(store.retry(one.delivery.id(one.conversion.id), at(22), AgeRule::Counts))
                    .unwrap()
                    .unwrap();
            }
            assert_eq!(backlog(store, "ads", at(22)).unwrap().dead, 0);
        }
    });
}

pub fn quarantine_and_the_latest_postback_are_counted_by_source(engine: &EngineUnderTest) {
    let store = engine.open();
    assert_eq!(tally(&*store), SourceTally::default());
    let bad: Vec<_> =
        (0..5).map(|n| wait(store.arrive(quarantined("no price", at(n * DAY)))).unwrap().postback).collect();
    sale("good").at(at(5 * DAY)).receive(&*store);
    let mut again = sale("fixed").arrival();
    (again.received_at, again.again) = (at(3 * DAY), Some(Reprocess { of: bad[3], now: at(6 * DAY) }));
    wait(store.arrive(again)).unwrap();
    let mut still = quarantined("no price", at(4 * DAY));
    still.again = Some(Reprocess { of: bad[4], now: at(6 * DAY) });
    wait(store.arrive(still)).unwrap();
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(tally(store), SourceTally { open_quarantine: 4, last: Some(at(5 * DAY)) }, "{reopened}");
        if reopened {
            let before = crate::store::contract::change::PurgeBefore {
                postbacks: at(2 * DAY),
                conversions: at(2 * DAY),
                ..never()
            };
            purge_all(store, before);
            assert_eq!(tally(store).open_quarantine, 2);
        }
    });
    let store = engine.open();
    assert_eq!(tally(&*store).open_quarantine, 2, "also after a purge and a restart");
}

pub fn what_is_to_be_sent_later_only_is_not_late(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut delayed = sale("delayed").forward();
    for route in &mut delayed.routes {
        route.delay_ms = 5 * HOUR;
    }
    delayed.receive(&*store);
    sale("fresh").forward().at(at(HOUR)).receive(&*store);
    before_and_after_reopening(engine, store, |store, reopened| {
        let oldest = |now: i64| {
            let oldest = backlog(store, "ads", at(now)).unwrap().oldest_unsent;
            oldest.and_then(|seq| received_at(store, seq))
        };
        assert_eq!([0, HOUR].map(oldest), [None, Some(at(HOUR))], "reopened: {reopened}");
        let work = claim(store, "ads", at(HOUR));
        assert_eq!((work.len(), oldest(HOUR)), (1, Some(at(HOUR))), "it is on its way, and not sent");
        assert_eq!(backlog(store, "ads", at(HOUR)).unwrap().waiting, 2);
        wait(store.release(work.into_iter().map(|work| work.lease.token).collect())).unwrap();
    });
    let store = engine.open();
    let work = claim(&*store, "ads", at(HOUR));
    wait(store.record(one(delivered(&work[0], at(HOUR))))).unwrap();
    let late = claim(&*store, "ads", at(5 * HOUR));
    wait(store.record(one(failed(&late[0], at(5 * HOUR), at(9 * HOUR))))).unwrap();
    let seq = backlog(&*store, "ads", at(6 * HOUR)).unwrap().oldest_unsent.unwrap();
    assert_eq!(received_at(&*store, seq), Some(at(0)), "what failed is late, whenever it is tried again");
}

pub fn what_maps_a_purged_record_again_closes_no_other_after_a_restart(engine: &EngineUnderTest) {
    let store = engine.open();
    let of = wait(store.arrive(quarantined("no price", at(0)))).unwrap().postback;
    wait(store.arrive(quarantined("no price", at(5 * DAY)))).unwrap();
    // Its delivery is unfinished, so it outlives the record that it reprocesses.
    let mut again = sale("again").forward().arrival();
    again.again = Some(Reprocess { of, now: at(HOUR) });
    wait(store.arrive(again)).unwrap();
    let before =
        crate::store::contract::change::PurgeBefore { postbacks: at(DAY), conversions: at(DAY), ..never() };
    purge_all(&*store, before);
    assert!(wait(store.postback(of)).unwrap().is_none(), "it is purged");
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(tally(store).open_quarantine, 1, "reopened: {reopened}");
    });
}
