//! Transaction ids that several sales have, and what takes a sale back: every clause, reported as stories.

use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::{Dedup, Draft};
use postbridge::domain::decision::Decision;
use postbridge::domain::rejection::RejectionCause;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::rejection::sale::SaleProblem;
use postbridge::domain::remark::Remark;
use postbridge::domain::status::Status;

use crate::support::known_conversions::{Known, by_value, duplicate, money, named, new, update};

fn rejected(draft: Draft) -> Draft {
    Draft { status: Some(Status::Rejected), ..draft }
}

fn of_item(item: &str, draft: Draft) -> Draft {
    Draft { item_id: Some(item.to_owned()), ..draft }
}

/// The reason, where several conversions might be meant.
fn ambiguous(decision: Decision) -> String {
    let Decision::Quarantine(rejection) = decision else { panic!("expected a quarantine: {decision:?}") };
    assert_eq!(rejection.code(), RejectionCode::AmbiguousTransaction, "{}", rejection.sentence());
    assert_eq!(rejection.field(), Some("transaction_id"));
    rejection.sentence()
}

#[test]
fn another_click_under_one_transaction_id_is_another_conversion_and_names_the_first() {
    let mut known = Known::new(Dedup::Transaction);
    for (id, event) in [("PURCHASE", None), ("4711", Some("Lead"))] {
        let sale = |click| {
            let draft = by_value(Some(id), Some(click), "7 USD");
            event.map_or(draft.clone(), |event| named(event, draft))
        };
        let first = new(known.receive(&sale("c1")));
        let decision = known.receive(&sale("c2"));
        let Decision::New { conversion: second, notes } = decision else { panic!("{decision:?}") };
        let click = Some("c1".to_owned());
        assert_eq!(notes, [ReportNote::TransactionReused { first: first.id, click }]);
        let third = new(known.receive(&sale("c3")));
        assert_eq!((first.reuse.as_ref(), third.reuse.as_ref().unwrap().nth), (None, 3));
        assert_eq!(third.reuse.unwrap().previous, Some(second.seq));
        assert_eq!(third.remarks, [Remark::TransactionReused { first: first.id, nth: 3 }]);
        for (click, one) in [("c1", first.id), ("c2", second.id), ("c3", third.id)] {
            assert_eq!(duplicate(known.receive(&sale(click))).0.id, one, "{click} again");
        }
        let risen = Draft { value: money("9 USD"), ..sale("c2") };
        assert_eq!(update(known.receive(&risen)).id, second.id, "the first one's value is not overwritten");
    }
}

#[test]
fn clicks_are_compared_after_trimming_and_decoding_once_more() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&by_value(Some("T"), Some("c~1"), "7 USD")));
    for same in [" c~1", "c~1\t", "c%7E1", " %63%7E1 "] {
        assert_eq!(
            duplicate(known.receive(&by_value(Some("T"), Some(same), "7 USD"))).0.id,
            first.id,
            "{same:?}"
        );
    }
    let second = new(known.receive(&by_value(Some("T"), Some("a%20b"), "7 USD")));
    assert_eq!(duplicate(known.receive(&by_value(Some("T"), Some(" a b "), "7 USD"))).0.id, second.id);
    new(known.receive(&by_value(Some("T"), Some("C~1"), "7 USD")));
}

#[test]
fn every_way_to_write_one_click_is_one_click() {
    let guid = "af2504e0-4f89-11d3-9a0c-0305e82c3301";
    let braces = format!("{{{guid}}}");
    let encoded = format!("%7B{guid}%7D");
    for (first, ways) in [
        (guid, [braces.as_str(), encoded.as_str(), " {af2504e0-4f89-11d3-9a0c-0305e82c3301} "]),
        ("c1", ["c1,c1", "c1%2C c1", "c1, c1 ,c1"]),
        ("c1", ["\u{feff}c1", "c\u{200b}1", "c%E2%80%8B1"]),
    ] {
        for mode in [Dedup::Transaction, Dedup::Click] {
            let mut known = Known::new(mode);
            let sale = new(known.receive(&by_value(Some("T"), Some(first), "7 USD")));
            let other = new(known.receive(&by_value(Some("T"), Some("other"), "7 USD")));
            for way in ways {
                assert_eq!(
                    duplicate(known.receive(&by_value(Some("T"), Some(way), "7 USD"))).0.id,
                    sale.id,
                    "{way:?}"
                );
            }
            assert_eq!(
                duplicate(known.receive(&by_value(Some("T"), Some(" other,other"), "7 USD"))).0.id,
                other.id
            );
        }
    }
}

#[test]
fn two_clicks_of_one_visitor_are_one_sale() {
    let (ann, bob) = (Some("visitor-ann-0001"), Some("visitor-bob-0002"));
    let mut known = Known::new(Dedup::Transaction);
    known.clicks.extend([("a1", ann), ("a2", ann), ("b1", bob), ("b2", bob), ("n1", None), ("n2", None)]);
    let sale = |click| by_value(Some("T"), Some(click), "7 USD");
    let anns = new(known.receive(&sale("a1")));
    let Decision::Duplicate { conversion, notes } = known.receive(&sale("a2")) else {
        panic!("ann's second click")
    };
    assert_eq!(conversion.id, anns.id);
    let another = ReportNote::AnotherClick { given: "a2".to_owned(), kept: "a1".to_owned() };
    assert_eq!(notes, [another]);
    let bobs = new(known.receive(&sale("b1")));
    assert_eq!(duplicate(known.receive(&sale("b2"))).0.id, bobs.id, "also of a later conversion's visitor");
    new(known.receive(&sale("n1")));
    new(known.receive(&sale("n2")));
    new(known.receive(&sale("not-recorded")));
}

#[test]
fn a_repeat_without_a_click_id_belongs_to_the_only_one_or_is_ambiguous() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&by_value(Some("T"), Some("c1"), "7 USD")));
    assert_eq!(duplicate(known.receive(&by_value(Some("T"), None, "7 USD"))).0.id, first.id);
    assert_eq!(update(known.receive(&by_value(Some("T"), None, "9 USD"))).id, first.id);
    let second = new(known.receive(&by_value(Some("T"), Some("c2"), "9 USD")));
    let reason = ambiguous(known.receive(&by_value(Some("T"), None, "9 USD")));
    for named in [first.id.to_string(), second.id.to_string(), "`c1`".to_owned(), "`c2`".to_owned()] {
        assert!(reason.contains(&named), "{reason}");
    }
}

#[test]
fn a_sale_without_a_click_takes_the_click_of_its_repeat() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&by_value(Some("T"), None, "7 USD")));
    assert_eq!(update(known.receive(&by_value(Some("T"), Some("c1"), "7 USD"))).id, first.id);
    assert_ne!(new(known.receive(&by_value(Some("T"), Some("c2"), "7 USD"))).id, first.id);
}

#[test]
fn what_takes_back_belongs_to_the_conversion_with_its_click() {
    for takes_back in [
        |draft: Draft| rejected(draft),
        |draft: Draft| Draft { status: Some(Status::Scrubbed), ..draft },
        |draft: Draft| Draft { value: money("-7 USD"), ..draft },
        |draft: Draft| Draft { value: money("0 USD"), ..draft },
    ] {
        let mut known = Known::new(Dedup::Transaction);
        let sale = |click| by_value(Some("T"), click, "7 USD");
        let first = new(known.receive(&sale(Some("c1"))));
        assert_eq!(update(known.receive(&takes_back(sale(Some("x"))))).id, first.id, "the only one");
        let second = new(known.receive(&sale(Some("c2"))));
        assert_eq!(
            update(known.receive(&takes_back(sale(Some("c2"))))).id,
            second.id,
            "the one with that click"
        );
        for unknown in [None, Some("c9")] {
            let reason = ambiguous(known.receive(&takes_back(sale(unknown))));
            assert!(
                reason.contains(&first.id.to_string()) && reason.contains(&second.id.to_string()),
                "{reason}"
            );
        }
        assert_eq!(known.conversions.len(), 2, "it never creates one next to an existing one");
    }
}

#[test]
fn what_takes_back_belongs_to_the_one_of_its_item() {
    let mut known = Known::new(Dedup::Transaction);
    let sale = |click, item| of_item(item, by_value(Some("T"), Some(click), "7 USD"));
    let book = new(known.receive(&sale("c1", "book")));
    ambiguous(known.receive(&rejected(of_item("lamp", by_value(Some("T"), None, "7 USD")))));
    let lamp = new(known.receive(&sale("c2", "lamp")));
    let reversal = |item| rejected(of_item(item, by_value(Some("T"), None, "7 USD")));
    assert_eq!(update(known.receive(&reversal("lamp"))).id, lamp.id);
    assert_eq!(update(known.receive(&reversal("book"))).id, book.id);
    let minus = of_item("book", by_value(Some("T"), None, "-7 USD"));
    assert_eq!(update(known.receive(&minus)).id, book.id);
    let other = of_item("chair", by_value(Some("T"), None, "-7 USD"));
    ambiguous(known.receive(&other));
    ambiguous(known.receive(&rejected(by_value(Some("T"), None, "7 USD"))));
}

#[test]
fn what_takes_back_finds_the_lead_where_there_is_no_purchase() {
    let mut known = Known::new(Dedup::Transaction);
    let lead = new(known.receive(&by_value(Some("T"), Some("c1"), "0 USD")));
    let taken_back = update(known.receive(&rejected(by_value(Some("T"), Some("c1"), "7 USD"))));
    assert_eq!((taken_back.id, taken_back.status), (lead.id, Status::Rejected));
    assert_eq!(known.conversions.len(), 1);
}

#[test]
fn a_purchase_is_taken_back_before_the_lead_it_rose_from() {
    let mut known = Known::new(Dedup::Transaction);
    let lead = new(known.receive(&by_value(Some("T"), Some("c1"), "0 USD")));
    let purchase = new(known.receive(&by_value(Some("T"), Some("c1"), "7 USD")));
    assert_eq!(update(known.receive(&by_value(Some("T"), None, "-7 USD"))).id, purchase.id);
    let other_lead = new(known.receive(&by_value(Some("U"), Some("c1"), "0 USD")));
    assert_ne!(other_lead.id, lead.id);
}

#[test]
fn a_zero_without_a_purchase_is_a_lead_by_the_same_rule_of_repeats() {
    let mut known = Known::new(Dedup::Transaction);
    let lead = |click| by_value(Some("T"), click, "0 USD");
    let first = new(known.receive(&lead(Some("c1"))));
    let second = new(known.receive(&lead(Some("c2"))));
    assert_eq!(duplicate(known.receive(&lead(Some("c2")))).0.id, second.id);
    assert_eq!(duplicate(known.receive(&lead(Some("c1")))).0.id, first.id);
    ambiguous(known.receive(&lead(None)));
}

#[test]
fn a_rejection_of_nothing_known_is_a_conversion_in_that_status() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&rejected(by_value(Some("T"), Some("c1"), "7 USD"))));
    assert_eq!((first.status, first.event.as_str()), (Status::Rejected, "Purchase"));
    let scrubbed =
        Draft { status: Some(Status::Scrubbed), ..named("Lead", by_value(Some("S"), None, "7 USD")) };
    assert_eq!(new(known.receive(&scrubbed)).status, Status::Scrubbed);
    assert_eq!(
        update(known.receive(&by_value(Some("T"), Some("c1"), "7 USD"))).id,
        first.id,
        "the sale after all"
    );
}

#[test]
fn a_reversal_of_nothing_known_waits_for_every_sale_it_may_mean() {
    let mut known = Known::new(Dedup::Transaction);
    for (tid, click) in [(Some("T"), None), (Some("U"), Some("c1")), (None, Some("c2"))] {
        let decision = known.receive(&by_value(tid, click, "-7 USD"));
        let Decision::UnknownSale { sales, .. } = decision else { panic!("{decision:?}") };
        let purchase = new(known.receive(&by_value(tid, click, "7 USD")));
        assert!(sales.contains(&purchase.id), "{tid:?} {click:?}");
    }
    let nothing = known.receive(&by_value(None, None, "-7 USD"));
    assert!(matches!(nothing, Decision::UnknownSale { ref sales, .. } if sales.is_empty()), "{nothing:?}");
}

#[test]
fn a_later_conversion_is_found_when_the_first_is_gone() {
    let mut known = Known::new(Dedup::Transaction);
    let sale = |click| by_value(Some("T"), Some(click), "7 USD");
    let first = new(known.receive(&sale("c1")));
    let second = new(known.receive(&sale("c2")));
    known.conversions.remove(&first.id);
    assert_eq!(duplicate(known.receive(&sale("c2"))).0.id, second.id);
    assert_eq!(
        duplicate(known.receive(&by_value(Some("T"), None, "7 USD"))).0.id,
        second.id,
        "the only one left"
    );
    assert_eq!(update(known.receive(&rejected(sale("c9")))).id, second.id);
    let third = new(known.receive(&sale("c1")));
    assert_eq!(
        (third.id != first.id, third.reuse.unwrap().nth),
        (true, 3),
        "its id is derived with the click"
    );
}

#[test]
fn a_constant_id_is_decided_with_a_bounded_number_of_reads() {
    let mut known = Known::new(Dedup::Transaction);
    known.clicks.push(("recorded", Some("visitor-ann-0001")));
    let clicks: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    for click in &clicks {
        new(known.receive(&by_value(Some("PURCHASE-X"), Some(click), "7 USD")));
    }
    for (draft, most) in [
        (by_value(Some("PURCHASE-X"), Some("recorded"), "7 USD"), 4),
        (by_value(Some("PURCHASE-X"), Some("c7"), "7 USD"), 3),
        (by_value(Some("PURCHASE-X"), None, "7 USD"), 13),
        (rejected(by_value(Some("PURCHASE-X"), None, "7 USD")), 13),
    ] {
        known.reads.set(0);
        let decision = known.receive(&draft);
        assert!(known.reads.get() <= most, "{} reads for {draft:?}", known.reads.get());
        if let Decision::Quarantine(rejection) = decision {
            let Some(RejectionCause::Sale(SaleProblem::AmbiguousTransaction { candidates, .. })) =
                rejection.causes().next()
            else {
                panic!("{rejection:?}")
            };
            assert_eq!((candidates.count, candidates.first.len()), (201, 10));
        }
    }
}

#[test]
fn the_modes_click_and_each_do_not_look_at_reused_transactions() {
    let mut known = Known::new(Dedup::Click);
    let first = new(known.receive(&by_value(Some("T"), Some("c1"), "7 USD")));
    let second = new(known.receive(&by_value(Some("T"), Some("c2"), "7 USD")));
    assert_eq!((first.reuse, second.reuse), (None, None));
    assert_eq!(duplicate(known.receive(&by_value(Some("T"), Some(" c%31 "), "7 USD"))).0.id, first.id);
    let mut known = Known::new(Dedup::Each);
    for _ in 0..2 {
        assert_eq!(new(known.receive(&rejected(by_value(Some("T"), None, "7 USD")))).reuse, None);
    }
}
