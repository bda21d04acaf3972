//! What a repeat that names a click does to a sale that was reported without one.

use std::sync::Arc;

use postbridge::domain::attribution::Attribution;
use postbridge::domain::conversion::{Conversion, Dedup, Draft};
use postbridge::domain::decision::Decision;
use postbridge::domain::offer::{Caps, Offer};
use postbridge::domain::rejection::click_not_taken::ClickNotTaken;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::routing::SourcePolicy;
use postbridge::domain::ruleset::usual;
use postbridge::domain::status::Status;
use postbridge::domain::suppression::SuppressedKind;
use postbridge::store::contract::conformance::fixture::history::changed_fields;

use crate::support::known_facts::{KnownFacts, click, known_facts, new, offer, pixel, receive};

/// A pixel's report, in a known_facts where pixels are decided as in a configuration.
fn by_pixel_rules(known: &mut KnownFacts) -> Draft {
    let report = pixel();
    let policy = SourcePolicy { dedup: Dedup::Click, ..usual(report.source.clone()) };
    known.rules.policies.insert(report.source.clone(), Arc::new(policy));
    report
}

/// The sale of a report without a click, as a repeat that names the click `c1` leaves it; `None`: as it was.
fn repeated_with_a_click(known: &mut KnownFacts, mut report: Draft) -> (Option<Conversion>, Vec<ReportNote>) {
    let first = new(known, &report);
    assert_eq!((first.status, &first.attribution), (Status::Approved, &Attribution::NoClickId));
    known.conversions.insert(first.id, first);
    report.click_id = Some("c1".to_owned());
    match receive(known, &report) {
        Decision::Update { conversion, notes } => (Some(conversion), notes),
        Decision::Duplicate { notes, .. } => (None, notes),
        other => panic!("no repeat: {other:?}"),
    }
}

/// The click is on a suppression list, or the day is over its cap: the sale would be scrubbed with it.
fn facts_that_scrub_by_the_click() -> [KnownFacts; 2] {
    let mut listed = known_facts(vec![offer("565")], vec![click("c1", -1, "565")]);
    listed.listed = Some((SuppressedKind::ClickId, "c1"));
    let caps = Caps { conversions_per_day: Some(1), ..Caps::default() };
    let mut full = known_facts(vec![Offer { caps, ..offer("565") }], vec![click("c1", -1, "565")]);
    full.today = 1;
    [listed, full]
}

#[test]
fn a_stranger_who_repeats_a_sale_with_a_click_that_would_scrub_it_changes_nothing() {
    for mut known in facts_that_scrub_by_the_click() {
        let report = by_pixel_rules(&mut known);
        let (changed, notes) = repeated_with_a_click(&mut known, report);
        assert_eq!(changed, None);
        let scrubbed = ClickNotTaken::WouldBe { status: Status::Scrubbed };
        assert_eq!(notes, [ReportNote::ClickNotTaken(scrubbed)]);
    }
    let mut fine = known_facts(vec![offer("565")], vec![click("c1", -1, "565")]);
    let report = by_pixel_rules(&mut fine);
    let joined = repeated_with_a_click(&mut fine, report).0.unwrap();
    assert_eq!(changed_fields(&joined.history[0]), [["click_id", "none", "c1"]]);
}

#[test]
fn a_repeat_under_a_key_that_scrubs_the_sale_by_its_click_says_so_in_its_history() {
    for mut known in facts_that_scrub_by_the_click() {
        let mut keyed = pixel();
        keyed.network.key = Some("offer:565:unique:TXN-1".to_owned());
        let scrubbed = repeated_with_a_click(&mut known, keyed).0.unwrap();
        assert_eq!(scrubbed.status, Status::Scrubbed);
        assert_eq!(
            changed_fields(&scrubbed.history[0]),
            [["click_id", "none", "c1"], ["status", "approved", "scrubbed"]]
        );
    }
}
