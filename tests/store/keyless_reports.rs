//! How many reports of one click wait, where its hash is its own.

use postbridge::domain::conversion::Conversion;
use postbridge::domain::status::Status;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::contract::conformance::fixture::engine::{
    EngineUnderTest, before_and_after_reopening,
};
use postbridge::store::contract::conformance::fixture::offer::{bring_to, now_of, offer};
use postbridge::store::contract::conformance::fixture::received::{go_by, wait};
use postbridge::store::contract::conformance::keyless_reports::{
    by_click, give, is_waiting, receive, report, rules,
};

use crate::support::engines;

/// Not with colliding hashes: those that wait are counted by the hash alone, so as not to read a hundred of them
/// for each report of a stranger.
#[test]
fn of_one_click_no_more_than_a_hundred_wait() {
    for engine in [engines::memory(), engines::sled()] {
        no_more_than_a_hundred_wait(&engine);
    }
}

fn no_more_than_a_hundred_wait(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    receive(&*store, "T");
    let reported: Vec<_> = (0..110).map(|n| store.arrive(report(Some(&format!("W{n}"))))).collect();
    let reported: Vec<_> = reported.into_iter().map(wait).collect();
    let kept: Vec<&Receipt> = reported.iter().flatten().collect();
    assert_eq!(kept.len(), 100);
    let waiting: Vec<Conversion> = kept.iter().map(|receipt| now_of(&*store, receipt)).collect();
    assert!(waiting.iter().all(is_waiting));
    let mut undecided = waiting.iter().skip(1);
    before_and_after_reopening(engine, store, |store, reopened| {
        go_by(store, rules(offer("565")));
        let further = |name: &str| {
            let transaction = format!("{name}-{reopened}");
            wait(store.arrive(report(Some(&transaction)))).map_err(|refused| refused.to_string())
        };
        let full = further("more").unwrap_err();
        assert!(full.contains("further sales of its click wait"), "{full}");
        assert!(wait(store.arrive(report(Some("W0")))).is_ok(), "a repeat is no further one");
        let other = wait(store.arrive(by_click(&*format!("other-{reopened}"), "other"))).unwrap();
        assert_eq!(now_of(store, &other).status == Status::Approved, !reopened, "another click has room");
        for status in [Status::Approved, Status::Rejected] {
            give(store, undecided.next().unwrap(), status);
            let receipt = further(status.as_str()).unwrap();
            assert!(is_waiting(&now_of(store, &receipt)), "one was decided about, so there is room for one");
            assert!(further("more").is_err());
        }
    });
}
