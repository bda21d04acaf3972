//! What a postback is to what is known: every clause of deduplication, reported as stories of one sale.

use postbridge::domain::attribution::MatchMethod;
use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::{Dedup, Draft};
use postbridge::domain::decision::Decision;
use postbridge::domain::ids::ClickId;
use postbridge::domain::rejection::RejectionCause;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::rejection::sale::SaleProblem;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::store::contract::conformance::fixture::history::changed_fields;

use crate::support::known_conversions::{Known, by_value, duplicate, money, named, new, update};

#[test]
fn a_repeat_is_a_duplicate_when_the_numbers_and_the_currency_are_the_same() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_eq!(duplicate(known.receive(&by_value(Some("T"), Some("c"), "7.00 USD"))).0.id, first.id);
    let changed = update(known.receive(&by_value(Some("T"), Some("c"), "7.00 EUR")));
    assert_eq!((changed.id, changed.history.len()), (first.id, 1));
    assert_eq!(changed_fields(&changed.history[0]), [["value", "7 USD", "7.00 EUR"]]);
    let other = new(known.receive(&by_value(Some("U"), Some("c"), "7 USD")));
    assert_ne!(other.id, first.id);
    assert_ne!(first.id.event_id(), other.id.event_id());
}

#[test]
fn an_id_that_a_repeat_brings_and_the_first_report_lacked_is_in_the_history() {
    let mut known = Known::new(Dedup::Click);
    new(known.receive(&by_value(None, Some("c"), "7 USD")));
    let item_id = Some("565".to_owned());
    let named = Draft { item_id, ..by_value(Some("T"), Some("c"), "9 USD") };
    let changed = update(known.receive(&named));
    assert_eq!(
        changed_fields(&changed.history[0]),
        [["value", "7 USD", "9 USD"], ["item_id", "none", "565"], ["transaction_id", "none", "T"]]
    );
}

#[test]
fn another_status_is_an_update_and_the_same_again_a_duplicate() {
    let mut known = Known::new(Dedup::Transaction);
    let pending = Draft { status: Some(Status::Pending), ..by_value(Some("T"), None, "7 USD") };
    let first = new(known.receive(&pending));
    let approved = update(known.receive(&by_value(Some("T"), None, "7 USD")));
    assert_eq!((approved.id, approved.status), (first.id, Status::Approved));
    duplicate(known.receive(&by_value(Some("T"), None, "7 USD")));
    assert_eq!(update(known.receive(&pending)).history.len(), 2);
}

#[test]
fn without_a_transaction_id_the_click_and_event_decide_and_the_first_amount_wins() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&by_value(None, Some("c"), "7 USD")));
    let (same, notes) = duplicate(known.receive(&by_value(None, Some(" c "), "9 USD")));
    assert_eq!((same.id, same.value), (first.id, money("7 USD")));
    assert_eq!(notes, [ReportNote::SecondSaleIndistinct]);
    let rejected = update(
        known.receive(&Draft { status: Some(Status::Rejected), ..by_value(None, Some("c"), "9 USD") }),
    );
    assert_eq!((rejected.status, rejected.value), (Status::Rejected, money("7 USD")));
    assert_ne!(new(known.receive(&named("Lead", by_value(None, Some("c"), "7 USD")))).id, first.id);
}

#[test]
fn with_neither_id_every_postback_counts_and_says_so() {
    let mut known = Known::new(Dedup::Transaction);
    let one = known.receive(&by_value(None, None, "7 USD"));
    let Decision::New { conversion, notes } = one else { panic!("{one:?}") };
    assert_eq!(notes, [ReportNote::NoIdentity]);
    assert_ne!(new(known.receive(&by_value(None, None, "7 USD"))).id, conversion.id);
}

#[test]
fn by_click_one_click_is_one_conversion_whatever_the_transaction() {
    let mut known = Known::new(Dedup::Click);
    let first = new(known.receive(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_eq!(duplicate(known.receive(&by_value(Some("U"), Some("c"), "7 USD"))).0.id, first.id);
    assert_eq!(update(known.receive(&by_value(Some("U"), Some("c"), "9 USD"))).value, money("9 USD"));
    assert_ne!(
        new(known.receive(&by_value(Some("T"), None, "7 USD"))).id,
        first.id,
        "no click: by transaction"
    );
}

#[test]
fn each_counts_every_postback() {
    let mut known = Known::new(Dedup::Each);
    let first = new(known.receive(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_ne!(new(known.receive(&by_value(Some("T"), Some("c"), "7 USD"))).id, first.id);
}

#[test]
fn a_value_that_falls_to_zero_updates_the_purchase_and_makes_no_lead() {
    let mut known = Known::new(Dedup::Transaction);
    let purchase = new(known.receive(&by_value(Some("T"), None, "7 USD")));
    let fallen = update(known.receive(&by_value(Some("T"), None, "0 USD")));
    assert_eq!((fallen.id, fallen.event.as_str(), fallen.value), (purchase.id, "Purchase", money("0 USD")));
    assert_eq!(fallen.status, Status::Approved);
    duplicate(known.receive(&by_value(Some("T"), None, "0.00 USD")));
}

#[test]
fn a_value_below_zero_rejects_what_it_takes_back() {
    let mut known = Known::new(Dedup::Transaction);
    let purchase = new(known.receive(&by_value(Some("T"), None, "7 USD")));
    let taken_back = update(known.receive(&by_value(Some("T"), None, "-7 USD")));
    assert_eq!((taken_back.id, taken_back.status), (purchase.id, Status::Rejected));
    let lead = new(known.receive(&by_value(Some("L"), None, "0 USD")));
    assert_eq!(lead.event.as_str(), "Lead");
    assert_eq!(update(known.receive(&by_value(Some("L"), None, "-1 USD"))).id, lead.id);
}

#[test]
fn a_value_below_zero_without_a_known_transaction_is_quarantined() {
    for dedup in [Dedup::Transaction, Dedup::Click, Dedup::Each] {
        let mut known = Known::new(dedup);
        for draft in [by_value(Some("T"), Some("c"), "-7 USD"), by_value(None, None, "-7 USD")] {
            let decision = known.receive(&draft);
            let Decision::UnknownSale { rejection, .. } = decision else { panic!("{dedup:?}: {decision:?}") };
            let Some(RejectionCause::Sale(SaleProblem::UnknownTransaction { value, .. })) =
                rejection.causes().next()
            else {
                panic!("{rejection:?}")
            };
            assert_eq!(Some(*value), money("-7 USD"));
            assert_eq!(rejection.code(), RejectionCode::UnknownTransaction);
        }
    }
}

#[test]
fn a_lead_that_rises_above_zero_becomes_its_own_purchase() {
    let mut known = Known::new(Dedup::Transaction);
    let lead = new(known.receive(&by_value(Some("T"), None, "0 USD")));
    let purchase = new(known.receive(&by_value(Some("T"), None, "7 USD")));
    assert_eq!((lead.event.as_str(), purchase.event.as_str()), ("Lead", "Purchase"));
    assert_ne!(lead.id, purchase.id);
    let (same, _) = duplicate(known.receive(&by_value(Some("T"), None, "7 USD")));
    assert_eq!(same.id, purchase.id);
}

#[test]
fn a_repeat_that_adds_the_click_id_is_an_update_and_is_matched() {
    let mut known = Known::new(Dedup::Transaction);
    known.clicks.push(("c1", None));
    new(known.receive(&by_value(Some("T"), None, "7 USD")));
    let matched = update(known.receive(&by_value(Some("T"), Some("c1"), "7 USD")));
    assert_eq!(matched.attribution.click().map(ClickId::as_str), Some("c1"));
    let rejected = Draft { status: Some(Status::Rejected), ..by_value(Some("T"), Some("c2"), "7 USD") };
    let Decision::Update { conversion, notes } = known.receive(&rejected) else { panic!("it takes back") };
    assert_eq!(conversion.attribution.given(), Some("c1"), "a different click id changes nothing");
    let another = ReportNote::AnotherClick { given: "c2".to_owned(), kept: "c1".to_owned() };
    assert_eq!(notes, [another], "and is noted");
}

#[test]
fn a_click_id_is_found_as_it_received_trimmed_and_decoded_once_more() {
    for (given, reading) in
        [("c1", MatchMethod::Exact), (" c1\t", MatchMethod::Trimmed), ("%63%31", MatchMethod::Decoded)]
    {
        let mut known = Known::new(Dedup::Transaction);
        known.clicks.push(("c1", None));
        let matched = new(known.receive(&by_value(Some("T"), Some(given), "7 USD")));
        assert!(
            matches!(&matched.attribution, postbridge::domain::attribution::Attribution::Matched { reading: read, .. } if *read == reading),
            "{given:?}: {:?}",
            matched.attribution
        );
    }
}

#[test]
fn an_event_is_never_later_than_its_arrival() {
    let mut known = Known::new(Dedup::Transaction);
    let to_come = Draft { event_time: Time::from_millis(9_000_000), ..by_value(Some("T"), None, "7 USD") };
    let conversion = new(known.receive(&to_come));
    assert_eq!(conversion.event_time, conversion.received_at);
}
