//! What must hold of reports without a key: of one click, offer and event the first counts, however close others are.

use std::sync::Arc;

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::conversion::{Conversion, Dedup, EventClaim};
use crate::domain::offer::Offer;
use crate::domain::postback::Verdict;
use crate::domain::reporter::BuiltInSource;
use crate::domain::reports::FurtherSales;
use crate::domain::routing::SourcePolicy;
use crate::domain::ruleset::{Ruleset, usual};
use crate::domain::status::Status;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, Receipt};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::{
    arrive_together, bring_to, by_network, capped, now_of, offer, rules_of,
};
use crate::store::contract::conformance::fixture::received::{at, go_by, sale, wait};
use crate::store::contract::conformance::fixture::work::conversion_of;

/// Offers by which pixels are decided as they are in a configuration.
pub fn rules(offer: Offer) -> Arc<Ruleset> {
    let mut rules = Ruleset::clone(&rules_of(&[offer]));
    let source = BuiltInSource::Pixel.id();
    let policy = SourcePolicy { dedup: Dedup::Click, ..usual(source.clone()) };
    rules.policies.insert(source, Arc::new(policy));
    Arc::new(rules)
}

/// A pixel's report of a sale by the click of [`bring_to`].
pub fn report(transaction: Option<&str>) -> Arrival {
    let mut sale = sale(transaction.unwrap_or("none")).brought_to("565");
    sale.draft.source = BuiltInSource::Pixel.id();
    sale.draft.event = EventClaim::sale_or_lead();
    sale.draft.transaction_id = transaction.map(str::to_owned);
    let mut arrival = sale.arrival();
    arrival.source = Some(BuiltInSource::Pixel.id());
    arrival
}

pub fn receive(store: &dyn Store, transaction: &str) -> (Receipt, Conversion) {
    let receipt = wait(store.arrive(report(Some(transaction)))).unwrap();
    let conversion = now_of(store, &receipt);
    (receipt, conversion)
}

/// The same by another click, or by none.
pub fn by_click<'a>(transaction: impl Into<Option<&'a str>>, click: impl Into<Option<&'a str>>) -> Arrival {
    let mut arrival = report(transaction.into());
    if let crate::store::contract::arrival::Finding::Mapped(mapped) = &mut arrival.finding {
        mapped.click_id = click.into().map(str::to_owned);
    }
    arrival
}

/// A person gives it this status.
pub fn give(store: &dyn Store, conversion: &Conversion, status: Status) {
    let which = crate::store::contract::change::ConversionRef::Id(conversion.id);
    wait(store.set_status(which, by_network(status), at(10))).unwrap();
}

pub fn is_waiting(conversion: &Conversion) -> bool {
    let codes: Vec<&str> = conversion.remarks.iter().map(|remark| remark.code().as_str()).collect();
    conversion.status == Status::Pending && codes == ["second_sale_of_click"]
}

pub fn of_reports_decided_together_exactly_one_counts(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    let reports = ["T1", "T2", "T1", "T3", "T2", "T4", "T5", "T6"];
    let receipts = arrive_together(&*store, reports.iter().map(|one| report(Some(one))));
    let words: Vec<&str> = receipts.iter().map(|receipt| receipt.verdict.as_str()).collect();
    let repeat = "duplicate";
    let new = "accepted";
    assert_eq!(words, [new, new, repeat, new, repeat, new, new, new]);
    let accepted = receipts.iter().filter(|receipt| receipt.verdict.as_str() == new);
    let all: Vec<Conversion> = accepted.map(|receipt| now_of(&*store, receipt)).collect();
    assert_eq!(all.iter().filter(|one| one.status == Status::Approved).count(), 1);
    assert_eq!(all.iter().filter(|one| is_waiting(one)).count(), 5);
    assert_eq!(all[0].status, Status::Approved, "the first that was received");
}

pub fn the_first_of_a_click_is_found_after_a_reopening_and_a_change(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    let (first, conversion) = receive(&*store, "T1");
    assert_eq!(conversion.status, Status::Approved);
    // Pending by a person's word it is the first still.
    give(&*store, &conversion, Status::Pending);
    let transactions = std::cell::Cell::new(1);
    before_and_after_reopening(engine, store, |store, _| {
        go_by(store, rules(offer("565")));
        transactions.set(transactions.get() + 1);
        let (receipt, further) = receive(store, &format!("T{}", transactions.get()));
        assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{receipt:?}");
        assert!(is_waiting(&further), "{further:?}");
        let (again, _) = receive(store, "T1");
        assert_eq!(again.verdict, Verdict::Duplicate { conversion: conversion_of(&first.verdict) });
    });
}

pub fn what_waits_or_is_rejected_takes_no_transaction_id_from_another_click(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    receive(&*store, "T1");
    let (guessed, waiting) = receive(&*store, "T9");
    assert!(is_waiting(&waiting));
    let rejected = wait(store.arrive(by_click("T8", "used"))).unwrap();
    give(&*store, &now_of(&*store, &rejected), Status::Rejected);
    let clickless = wait(store.arrive(by_click("T7", None))).unwrap();
    give(&*store, &now_of(&*store, &clickless), Status::Scrubbed);
    let mut real = None;
    before_and_after_reopening(engine, store, |store, _| {
        go_by(store, rules(offer("565")));
        let reported = |arrival: Arrival| wait(store.arrive(arrival)).unwrap();
        // Once they are known, they are repeats of themselves, and answer for every other click.
        let [nine, eight, seven] = real.get_or_insert_with(|| {
            [("T9", "buyer"), ("T8", "buyer-2"), ("T7", "buyer-3")].map(|(transaction, click)| {
                let receipt = reported(by_click(transaction, click));
                assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{receipt:?}");
                assert_eq!(now_of(store, &receipt).status, Status::Approved);
                conversion_of(&receipt.verdict)
            })
        });
        for (arrival, of) in [
            (by_click("T9", "buyer"), *nine),
            (by_click("T9", "another"), *nine),
            (by_click("T9", None), *nine),
            (report(Some("T9")), conversion_of(&guessed.verdict)),
            (by_click("T8", "buyer-2"), *eight),
            (by_click("T8", "used"), conversion_of(&rejected.verdict)),
            (by_click("T7", "buyer-3"), *seven),
        ] {
            assert_eq!(reported(arrival).verdict, Verdict::Duplicate { conversion: of });
        }
    });
}

pub fn a_first_report_that_is_rejected_or_scrubbed_leaves_its_click_to_the_next(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    let (_, mut first) = receive(&*store, "T0");
    let mut transactions = (1..).map(|n| format!("T{n}"));
    let mut next = move || transactions.next().unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        go_by(store, rules(offer("565")));
        for status in [Status::Rejected, Status::Scrubbed] {
            let (_, waited) = receive(store, &next());
            assert!(is_waiting(&waited), "{waited:?}");
            give(store, &first, status);
            let (receipt, counts) = receive(store, &next());
            assert_eq!((counts.status, counts.remarks.as_slice()), (Status::Approved, [].as_slice()));
            assert!(is_waiting(&receive(store, &next()).1), "now this one is the first");
            // What waited before waits for a person still; without a transaction id it is the one that counts.
            let which = crate::store::contract::change::ConversionRef::Id(waited.id);
            assert!(is_waiting(&wait(store.conversion_now(which)).unwrap().unwrap()));
            let again = Verdict::Duplicate { conversion: conversion_of(&receipt.verdict) };
            assert_eq!(wait(store.arrive(report(None))).unwrap().verdict, again);
            first = counts;
        }
    });
}

pub fn a_report_without_a_transaction_id_is_the_first_sale_again(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(offer("565")));
    bring_to(&*store, "565");
    let together = [report(Some("T1")), report(None), report(Some("T2")), report(None)];
    let receipts = arrive_together(&*store, together);
    let first = Verdict::Duplicate { conversion: conversion_of(&receipts[0].verdict) };
    assert_eq!((&receipts[1].verdict, &receipts[3].verdict), (&first, &first));
    assert!(is_waiting(&now_of(&*store, &receipts[2])));
    let receipt = wait(store.arrive(by_click(None, "another-click"))).unwrap();
    assert!(
        matches!(receipt.verdict, Verdict::Accepted { .. }),
        "of another click it is a sale: {receipt:?}"
    );
    let further = wait(store.arrive(by_click("T9", "another-click"))).unwrap();
    assert!(is_waiting(&now_of(&*store, &further)), "the first had no transaction id");
}

pub fn with_repeat_every_transaction_counts_and_what_follows_a_change_of_it_waits(engine: &EngineUnderTest) {
    let store = engine.open();
    bring_to(&*store, "565");
    let mut repeating = offer("565");
    repeating.reports.further = FurtherSales::Count;
    go_by(&*store, rules(repeating));
    for transaction in ["T1", "T2", "T3"] {
        assert_eq!(receive(&*store, transaction).1.status, Status::Approved);
    }
    go_by(&*store, rules(offer("565")));
    assert!(is_waiting(&receive(&*store, "T4").1));
}

pub fn what_waits_takes_no_place_under_a_cap_before_it_is_approved(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(capped("565", 2)));
    bring_to(&*store, "565");
    receive(&*store, "T1");
    let (_, waiting) = receive(&*store, "T2");
    assert!(is_waiting(&waiting));
    for transaction in ["T3", "T4"] {
        assert!(is_waiting(&receive(&*store, transaction).1));
    }
    let which = crate::store::contract::change::ConversionRef::Id(waiting.id);
    wait(store.set_status(which, by_network(Status::Approved), at(10))).unwrap();
    let (_, over) = receive(&*store, "T5");
    assert_eq!(over.status, Status::Scrubbed, "two are approved: the cap is reached");
}

pub fn a_click_whose_first_sale_is_purged_has_none(engine: &EngineUnderTest) {
    let store = engine.open();
    bring_to(&*store, "565");
    // Without a destination nothing is left to do, so that it can be purged.
    let rules = Ruleset { routes: Vec::new(), ..Ruleset::clone(&rules(offer("565"))) };
    go_by(&*store, Arc::new(rules));
    receive(&*store, "T1");
    assert!(is_waiting(&receive(&*store, "T2").1));
    let before = PurgeBefore { postbacks: at(1_000_000), conversions: at(1_000_000), clicks: at(1_000_000) };
    while wait(store.purge(before)).unwrap().more {}
    assert_eq!(receive(&*store, "T3").1.status, Status::Approved);
}
