//! The store of format 1 that lies in `fixtures/store/v1` stays readable, record by record.

use std::path::Path;

use postbridge::domain::attribution::{Attribution, Reading};
use postbridge::domain::conversion::{Cause, Status};
use postbridge::domain::delivery::{DeliveryState, Judgement, NO_CLICK, Unmatched};
use postbridge::domain::ids::Seq;
use postbridge::domain::postback::Verdict;
use postbridge::store::embedded::Embedded;
use postbridge::store::{Again, Finding, Outcome, PostbackFilter, PurgeBefore, Store};

use crate::store_ground::*;

const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store/v1");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// One record of every kind.
fn fill(store: &dyn Store) {
    // Postback 1 is purged, 2 is stripped of its raw bytes.
    wait(store.arrive(quarantined("purged", at(-20 * DAY)))).unwrap();
    sale("stripped").at(at(-20 * DAY)).forward().tell(store);
    let before = PurgeBefore { postbacks: at(-10 * DAY), conversions: at(-10 * DAY), clicks: at(-10 * DAY) };
    purge_all(store, before);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    // 3: matched and delivered at the second attempt. 4: matched by its click, later.
    sale("delivered").click("c1").tell(store);
    let held = sale("held").click("c%32 ").value("0.10").tell(store);
    assert_eq!(held.matched, Some(false));
    wait(store.record_click(unscreened(click("c2")))).unwrap();
    for work in claim_some(store, "ads", at(1), 2, 0).into_iter().skip(1) {
        wait(store.record(failed(&work, at(2), at(3)))).unwrap();
        let work = claim_some(store, "ads", at(3), 0, 1).remove(0);
        wait(store.record(delivered(&work, at(4)))).unwrap();
    }
    // 5 and 6: changed. 7: dead. 8: dropped. 9: quarantined, 10: refused, 11: mapped again, 12: repeated.
    sale("changed").status(Status::Pending).tell(store);
    sale("changed").status(Status::Rejected).at(at(5)).tell(store);
    sale("dead").forward().to(&["other"]).body(9000).tell(store);
    let work = claim(store, "other", at(6)).remove(0);
    wait(store.record(dead(&work, at(7)))).unwrap();
    sale("dropped").unmatched(Unmatched::Drop).tell(store);
    wait(store.arrive(quarantined("no price", at(8)))).unwrap();
    let mut refused = quarantined("", at(8));
    let Finding::Quarantined(fault) = refused.finding else { unreachable!() };
    refused.finding = Finding::Refused(fault);
    wait(store.arrive(refused)).unwrap();
    let mut again = sale("again").arrival();
    again.again = Some(Again { of: Seq::new(9).unwrap(), now: at(0) });
    wait(store.arrive(again)).unwrap();
    sale("again").tell(store);
}

fn check(store: &dyn Store) {
    let postback = |number| wait(store.postback(Seq::new(number).unwrap())).unwrap();
    let trace = |number| {
        let id = postback(number).unwrap().verdict.conversion().unwrap();
        wait(store.conversion(id)).unwrap().unwrap()
    };
    assert_eq!(postback(1), None);
    assert_eq!(postback(2).unwrap().raw, None);
    assert_eq!(trace(2).conversion.transaction_id.as_deref(), Some("stripped"));

    let delivered = trace(3);
    assert_eq!(delivered.click.as_deref(), Some(&click("c1")));
    let (delivery, attempts) = &delivered.deliveries[0];
    assert_eq!(delivery.state, DeliveryState::Delivered { at: at(4) });
    assert_eq!(delivery.attempts, 2);
    assert_eq!(attempts[0].judgement, Judgement::Retry { reason: "503".to_owned(), after_ms: None });
    assert_eq!(attempts[1].answer.as_ref().unwrap().body, b"{\"events_received\":1}");

    let matched = trace(4);
    let reading = Reading::Decoded;
    let joined = Attribution::Matched { given: "c%32 ".to_owned(), click: click_id("c2"), reading };
    assert_eq!(matched.conversion.attribution, joined);
    assert_eq!(matched.conversion.value, Some(usd("0.10")));
    assert_eq!(matched.conversion.history[0].cause, Cause::Click(click_id("c2")));

    let changed = trace(5);
    assert_eq!(changed.conversion.status, Status::Rejected);
    assert_eq!(changed.conversion.history[0].what, ["status: pending → rejected"]);
    assert_eq!(changed.conversion.history[0].at, at(5));
    assert_eq!(changed.postbacks.len(), 2);

    let dead = trace(7);
    assert_eq!(dead.deliveries[0].0.state, DeliveryState::Dead { at: at(7), reason: "bad token".to_owned() });
    assert!(dead.postbacks[0].raw.as_ref().unwrap().body == sale("x").body(9000).body);
    let skipped = DeliveryState::Skipped { at: at(0), reason: NO_CLICK.to_owned() };
    assert_eq!(trace(8).deliveries[0].0.state, skipped);

    assert!(
        matches!(postback(9).unwrap().verdict, Verdict::Quarantined(fault) if fault.reason == "no price")
    );
    assert!(matches!(postback(10).unwrap().verdict, Verdict::Refused(_)));
    assert_eq!(postback(11).unwrap().again, Seq::new(9));
    assert!(matches!(postback(12).unwrap().verdict, Verdict::Duplicate { .. }));
    let open = PostbackFilter {
        verdict: Some("quarantined".to_owned()),
        open_only: true,
        ..PostbackFilter::default()
    };
    assert_eq!(wait(store.postbacks(open, first_page(9))).unwrap().items, vec![]);
}

#[test]
fn a_store_of_format_1_opens_with_all_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(Path::new(V1), &data);
    let store = governed(Embedded::open_sled(&data).unwrap());
    check(&store);
    let again = sale("delivered").click("c1").tell(&store);
    assert!(matches!(again.verdict, Verdict::Duplicate { .. }));
    assert_eq!(again.postback.get(), 13);
    for work in claim(&store, "ads", at(DAY)) {
        let outcome: Outcome = delivered(&work, at(DAY));
        wait(store.record(outcome)).unwrap();
    }
    drop(store);
    check(&Embedded::open_sled(&data).unwrap());
}

/// Makes the fixture of a new format where `POSTBRIDGE_MAKE_FIXTURE` names a folder: see
/// `fixtures/store/README.md`.
#[test]
fn what_is_written_today_is_what_the_fixture_holds() {
    let scratch = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("POSTBRIDGE_MAKE_FIXTURE").map(std::path::PathBuf::from);
    let folder = asked.unwrap_or_else(|| scratch.path().join("data"));
    let store = Embedded::open_sled(&folder).unwrap();
    fill(&store);
    check(&store);
}
