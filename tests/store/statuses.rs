//! Statuses that maintenance gives, and those whose commit failed.

use std::sync::Arc;

use postbridge::clock::Clock;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::status::Status;
use postbridge::maintenance;
use postbridge::store::contract::Store;
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::contract::conformance::fixture::offer::{
    approved_after, arrive, by_network, now_of, rules_of,
};
use postbridge::store::contract::conformance::fixture::received::{DAY, HOUR, at, sale, wait};
use postbridge::store::contract::conformance::fixture::work::trace;
use postbridge::store::contract::lookup::ReportQuery;
use postbridge::store::contract::work::FallsDue;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd};
use postbridge::store::engine::memory::Memory;

use crate::support::engines::on_every_engine;

on_every_engine! {
    maintenance_gives_statuses_that_are_due,
}

fn maintenance_gives_statuses_that_are_due(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[approved_after("565", 2)]));
    let reported = arrive(&*store, sale("t1").of("565").arrival());
    let clock = Clock::fixed(at(HOUR));
    assert!(!wait(maintenance::step(&*store, None, clock.now())).unwrap().1);
    assert_eq!(now_of(&*store, &reported).status, Status::Pending);
    clock.set(at(2 * HOUR));
    assert!(!wait(maintenance::step(&*store, None, clock.now())).unwrap().1);
    assert_eq!(now_of(&*store, &reported).status, Status::Approved);
}

#[test]
fn a_status_whose_commit_failed_shows_nowhere() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), rules_of(&[approved_after("565", 2)])).unwrap();
        let reported = arrive(&store, sale("t1").of("565").arrival());
        disk.fail(step, 0, "No space left on device (os error 28)");
        let which = ConversionRef::Number(reported.postback);
        let (by_hand, by_time) = (
            store.set_status(which, by_network(Status::Rejected), at(5)),
            store.fall_due(FallsDue::Dispositions, at(DAY), 9),
        );
        assert!(wait(by_hand).is_err() && wait(by_time).is_err());
        assert!(wait(store.report(ReportQuery { limit: 9, ..ReportQuery::default() })).is_err());
        drop(store);
        let store =
            Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), Arc::default()).unwrap();
        let now = now_of(&store, &reported);
        assert_eq!((now.status, now.history.len()), (Status::Pending, 0));
        let trace = trace(&store, &reported);
        assert!(
            !trace.deliveries.iter().any(|(found, _)| matches!(found.state, DeliveryState::Waiting { .. }))
        );
        let approved = ReportQuery { status: Some(Status::Approved), limit: 9, ..ReportQuery::default() };
        assert_eq!(wait(store.report(approved)).unwrap().total, 0);
    }
}
