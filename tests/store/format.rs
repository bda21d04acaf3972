//! A store keeps every kind of record, and a folder of a format that is no longer read is refused by its number.

use std::path::Path;
use std::sync::Arc;

use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::click::{
    Agent, Click, ClickContext, ClickKind, ClickOrigin, CustomerTrait, CustomerTraits,
};
use postbridge::domain::code::CodedReason;
use postbridge::domain::consent::Consent;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::filter::{DuplicateBy, DuplicateRule, FilterRules};
use postbridge::domain::filter_verdict::{Filter, FilterMode};
use postbridge::domain::history::{ActorRole, Cause};
use postbridge::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId, Seq, VisitorId};
use postbridge::domain::offer::AttributionModel;
use postbridge::domain::offer::{CampaignRef, Caps, Disposition, Offer, Payout, PayoutFrom};
use postbridge::domain::omission::{Omission, OmissionReason, Omissions};
use postbridge::domain::postback::{Verdict, VerdictName};
use postbridge::domain::remark::Remark;
use postbridge::domain::routing::Unmatched;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::domain::status_reason::StatusReason;
use postbridge::domain::suppression::{ListChange, Suppressed, SuppressedKind};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Finding, Reprocess, Screening};
use postbridge::store::contract::change::{ConversionRef, PurgeBefore, SuppressionOrder};
use postbridge::store::contract::conformance::fixture::attempt::{dead, delivered, failed, one};
use postbridge::store::contract::conformance::fixture::history::changed_fields;
use postbridge::store::contract::conformance::fixture::offer::offer;
use postbridge::store::contract::conformance::fixture::reason;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, click_id, go_by, quarantined, sale, unscreened, usd, wait,
};
use postbridge::store::contract::conformance::fixture::work::{
    claim, claim_some, fall_due, first_page, purge_all,
};
use postbridge::store::contract::lookup::{ClickFilter, PostbackFilter, ReportQuery};
use postbridge::store::contract::operator::ToKeep;
use postbridge::store::contract::work::FallsDue;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::kv::{Batch, Kv};
use postbridge::store::engine::sled::Sled;

use crate::support::recount::assert_recounted;

/// A folder as the build wrote it that set the format: see `fixtures/store/README.md`.
pub const V9: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store/v9");

/// A remark as attempts keep them.
fn left_out() -> Remark {
    Remark::ValueLeftOut { field: "traits.phone".to_owned() }
}

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

/// One record of every kind of the main job.
pub fn fill(store: &dyn Store) {
    // Postback 1 is purged, 2 is stripped of its raw bytes.
    wait(store.arrive(quarantined("purged", at(-20 * DAY)))).unwrap();
    sale("stripped").at(at(-20 * DAY)).forward().receive(store);
    let before = PurgeBefore { postbacks: at(-10 * DAY), conversions: at(-10 * DAY), clicks: at(-10 * DAY) };
    purge_all(store, before);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    // 3: matched and delivered at the second attempt. 4: matched by its click, later.
    sale("delivered").click("c1").receive(store);
    let held = sale("held").click("c%32 ").value("0.10").receive(store);
    assert_eq!(held.matched, Some(false));
    wait(store.record_click(unscreened(click("c2")))).unwrap();
    for work in claim_some(store, "ads", at(1), 2, 0).into_iter().skip(1) {
        wait(store.record(one(failed(&work, at(2), at(3))))).unwrap();
        let work = claim_some(store, "ads", at(3), 0, 1).remove(0);
        wait(store.record(one(delivered(&work, at(4))))).unwrap();
    }
    // 5 and 6: changed. 7: dead. 8: dropped. 9: quarantined, 10: refused, 11: reprocessed, 12: repeated.
    sale("changed").status(Status::Pending).receive(store);
    sale("changed").status(Status::Rejected).at(at(5)).receive(store);
    sale("dead").forward().to(&["other"]).body(9000).receive(store);
    let work = claim(store, "other", at(6)).remove(0);
    wait(store.record(one(dead(&work, at(7))))).unwrap();
    sale("dropped").unmatched(Unmatched::Drop).receive(store);
    wait(store.arrive(quarantined("no price", at(8)))).unwrap();
    let mut refused = quarantined("", at(8));
    let Finding::Quarantined(fault) = refused.finding else { unreachable!() };
    refused.finding = Finding::Refused(fault);
    wait(store.arrive(refused)).unwrap();
    let mut again = sale("again").arrival();
    again.again = Some(Reprocess { of: Seq::new(9).unwrap(), now: at(0) });
    wait(store.arrive(again)).unwrap();
    sale("again").receive(store);
}

pub fn check(store: &dyn Store) {
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
    assert_eq!(delivery.state, DeliveryState::delivered(at(4)));
    assert_eq!(delivery.attempts, 2);
    assert_eq!(attempts[0].verdict, reason::retry());
    assert_eq!(attempts[1].answer().unwrap().body, b"{\"events_received\":1}");

    let matched = trace(4);
    let reading = MatchMethod::Decoded;
    let joined = Attribution::Matched { given: "c%32 ".to_owned(), click: click_id("c2"), reading };
    assert_eq!(matched.conversion.attribution, joined);
    assert_eq!(matched.conversion.value, Some(usd("0.10")));
    assert_eq!(matched.conversion.history[0].cause, Cause::Click(click_id("c2")));

    let changed = trace(5);
    assert_eq!(changed.conversion.status, Status::Rejected);
    assert_eq!(changed_fields(&changed.conversion.history[0]), [["status", "pending", "rejected"]]);
    assert_eq!(changed.conversion.history[0].at, at(5));
    assert_eq!(changed.postbacks.len(), 2);

    let dead = trace(7);
    assert_eq!(dead.deliveries[0].0.state, reason::dead(at(7)));
    assert!(dead.postbacks[0].raw.as_ref().unwrap().body == sale("x").body(9000).body);
    let skipped = reason::skipped(at(0), SkipReason::NoClick);
    assert_eq!(trace(8).deliveries[0].0.state, skipped);

    assert!(
        matches!(postback(9).unwrap().verdict, Verdict::Quarantined(rejection) if rejection.sentence() == "no price")
    );
    assert!(matches!(postback(10).unwrap().verdict, Verdict::Refused(_)));
    assert_eq!(postback(11).unwrap().again, Seq::new(9));
    assert!(matches!(postback(12).unwrap().verdict, Verdict::Duplicate { .. }));
    let open = PostbackFilter {
        verdict: Some(VerdictName::Quarantined),
        open_only: true,
        ..PostbackFilter::default()
    };
    assert_eq!(wait(store.postbacks(open, first_page(9))).unwrap().items, vec![]);
}

/// What decides about clicks and conversions on the network's side.
fn network_rules() -> Arc<Ruleset> {
    let offer = Offer {
        caps: Caps { clicks_per_day: Some(2), ..Caps::default() },
        payout: Some(Payout::Fixed("7.00".parse().unwrap())),
        revenue: Some("12.00".parse().unwrap()),
        disposition: Disposition { status: Status::Approved, after_hours: 24 },
        ..offer("565")
    };
    let duplicate = DuplicateRule { mode: FilterMode::Observe, window_ms: HOUR, by: DuplicateBy::Ip };
    let filters = FilterRules { duplicate: Some(duplicate), ..FilterRules::default() };
    let rules = sale("any").forward().rules();
    Arc::new(Ruleset {
        offers: [(offer.id.clone(), Arc::new(offer))].into(),
        filters,
        ..Ruleset::clone(&rules)
    })
}

fn visitor() -> VisitorId {
    VisitorId::parse("visitor-0123456789").unwrap()
}

/// A click by a tracking link, with all that is known of how it was received.
/// What a click names of itself that is missing.
fn omitted() -> Omissions {
    let mut omitted = Omissions::default();
    omitted.add(Omission::new("cookies._ga", OmissionReason::ClickValueTooLong, (5000, 0)));
    omitted
}

fn visit(id: &str, kind: ClickKind) -> Click {
    let context = ClickContext {
        origin: ClickOrigin::Link,
        kind,
        campaign_ref: Some(CampaignRef {
            offer: OfferId::parse("565").unwrap(),
            campaign: CampaignId::parse("8599").ok(),
            affiliate: AffiliateId::parse("200").ok(),
            creative: CreativeId::parse("761").ok(),
        }),
        visitor: Some(visitor()),
        agent: Some(Agent {
            device: "mobile".to_owned(),
            system: Some("iOS 18".to_owned()),
            browser: Some("Safari 18".to_owned()),
            bot: None,
        }),
        country: Some("DE".to_owned()),
        verdicts: Vec::new(),
        consent: Consent { ad_user_data: Some(true), ad_personalization: None }
            .said_at(postbridge::domain::time::Time::EPOCH),
        omitted: omitted(),
    };
    Click { at: at(100), recorded_at: at(100), context, ..click(id) }
}

/// The records of the network's side: clicks of campaigns, and conversions that the network's side takes.
pub fn fill_network(store: &dyn Store) {
    go_by(store, network_rules());
    let receive = |click| {
        let recorded = store.record_click(ClickArrival { click, screening: Screening::Filters });
        wait(recorded).unwrap();
    };
    receive(visit("n1", ClickKind::Visit));
    receive(visit("n2", ClickKind::Visit));
    receive(visit("n3", ClickKind::Head));
    let order = SuppressionOrder {
        list: "refunds".to_owned(),
        wish: ListChange::Add,
        entries: [(SuppressedKind::Email, "eve@example.com"), (SuppressedKind::OrderId, "o-1")]
            .map(|(kind, text)| Suppressed::parse(kind, text).unwrap())
            .to_vec(),
        actor: "ops".to_owned(),
        now: at(150),
    };
    assert_eq!(wait(store.change_list(order)).unwrap(), [true, true]);
    // 13: by its visitor, pending until its disposition. 14: expired. 15 and 16: pending, then approved.
    // 17: pending until its disposition is due. 18: on a list.
    let pixel = |name, time| {
        let mut pixel = sale(name).at(at(time));
        (pixel.draft.status, pixel.draft.value) = (None, None);
        pixel.draft.network.offer = OfferId::parse("565").ok();
        pixel.draft.network.visitor = Some(visitor());
        pixel
    };
    let expired = sale("expired").click("n2").at(at(40 * DAY));
    let pending = sale("approved-later").click("n1").status(Status::Pending).at(at(201));
    let approved = sale("approved-later").click("n1").at(at(202));
    let mut listed = pixel("listed", 300);
    listed.draft.traits = CustomerTraits([(CustomerTrait::Email, " Eve@Example.com".to_owned())].into());
    for reported in [pixel("pixel", 200), expired, pending, approved, pixel("disposed", 190), listed] {
        wait(store.arrive(reported.arrival())).unwrap();
    }
    for work in claim(store, "ads", at(203)) {
        if work.conversion.transaction_id.as_deref() == Some("approved-later") {
            let mut outcome = delivered(&work, at(203));
            outcome.attempt.remarks = vec![left_out()];
            wait(store.record(one(outcome))).unwrap();
        } else {
            wait(store.release(vec![work.lease.token])).unwrap();
        }
    }
    assert_eq!(fall_due(store, FallsDue::Dispositions, at(190).plus_hours(24), 9), 1);
    let by = Actor::Advertiser("shop".to_owned());
    let wanted = StatusMove { to: Status::Rejected, by, note: Some("returned".to_owned()) };
    let which = ConversionRef::Number(Seq::new(15).unwrap());
    wait(store.set_status(which, wanted, at(400))).unwrap();
    wait(store.keep(ToKeep::Text { name: "tag.abc.js".to_owned(), text: "(() => {})()".to_owned() }))
        .unwrap();
}

pub fn check_network(store: &dyn Store) {
    let trace = |number| {
        let postback = wait(store.postback(Seq::new(number).unwrap())).unwrap().unwrap();
        wait(store.conversion(postback.verdict.conversion().unwrap())).unwrap().unwrap()
    };
    let page = wait(store.clicks(ClickFilter::default(), first_page(9))).unwrap();
    let ids: Vec<&str> = page.items.iter().map(|click| click.id.as_str()).collect();
    assert_eq!(ids, ["n3", "n2", "n1", "c2", "c1"]);
    let hits = |click: &Click| -> Vec<Filter> {
        click.context.verdicts.iter().filter(|said| said.hit.is_some()).map(|said| said.filter).collect()
    };
    assert_eq!((hits(&page.items[2]), hits(&page.items[1])), (vec![], vec![Filter::Duplicate]));
    assert_eq!(hits(&page.items[0]), [Filter::Duplicate, Filter::Cap]);
    let mut plain = Click::clone(&page.items[0]);
    plain.context.verdicts.clear();
    assert_eq!(plain, visit("n3", ClickKind::Head));

    let pixel = trace(13).conversion;
    let joined = Attribution::Visitor {
        visitor: visitor(),
        click: click_id("n2"),
        model: AttributionModel::LastTouch,
    };
    assert_eq!(pixel.attribution, joined);
    assert_eq!(pixel.campaign_ref, visit("n2", ClickKind::Visit).context.campaign_ref);
    assert_eq!((pixel.payout, pixel.payout_from), (Some(usd("7.00")), Some(PayoutFrom::Fixed)));
    assert_eq!((pixel.revenue, pixel.value), (Some(usd("12.00")), Some(usd("12.00"))));
    assert_eq!(pixel.status, Status::Pending);
    assert_eq!(pixel.disposition, Some((at(200).plus_hours(24), Status::Approved)));
    assert_eq!(pixel.considered.len(), 2);

    let expired = trace(14).conversion;
    assert!(matches!(expired.attribution, Attribution::Expired { .. }));
    assert_eq!(expired.status, Status::Scrubbed);
    assert!(matches!(expired.reason, Some(StatusReason::ClickExpired { .. })));

    let approved = trace(15);
    assert_eq!(changed_fields(&approved.conversion.history[0]), [["status", "pending", "approved"]]);
    assert_eq!(approved.deliveries[0].1[0].remarks, [left_out()]);
    let cause = Cause::Person {
        name: "shop".to_owned(),
        role: ActorRole::Advertiser,
        note: Some("returned".to_owned()),
    };
    assert_eq!(approved.conversion.history[1].cause, cause);
    assert_eq!(approved.conversion.status, Status::Rejected);
    let disposed = trace(17).conversion;
    assert_eq!((disposed.status, &disposed.history[0].cause), (Status::Approved, &Cause::Disposition));
    let listed = trace(18).conversion;
    let (list, kind) = ("refunds".to_owned(), SuppressedKind::Email);
    assert_eq!(listed.reason, Some(StatusReason::Suppressed { list, kind }));
    let lists = wait(store.lists()).unwrap();
    assert_eq!(lists.len(), 1);
    let report = wait(store.report(ReportQuery { limit: 9, ..ReportQuery::default() })).unwrap();
    let numbers: Vec<u64> = report.rows.iter().map(|row| row.seq.get()).collect();
    assert_eq!((report.total, numbers), (5, vec![17, 13, 15, 18, 14]));
    let text = wait(store.kept_text("tag.abc.js".to_owned())).unwrap();
    assert_eq!(text.as_deref(), Some("(() => {})()"));
}

#[test]
fn a_folder_of_an_earlier_format_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut batch = Batch::default();
    batch.put(b"Mformat".to_vec(), vec![7]);
    Sled::open(&data).unwrap().commit(batch, &mut |_| {}).unwrap();
    let error = Embedded::open_sled(&data, Arc::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 7 }), "{error}");
    assert!(
        error.to_string().contains("format 7") && error.to_string().contains("version that wrote it"),
        "{error}"
    );
}

#[test]
fn a_folder_that_an_earlier_build_wrote_in_this_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(Path::new(V9), &data);
    let store = Embedded::open_sled(&data, Arc::default()).unwrap();
    check(&store);
    check_network(&store);
    assert_recounted(&store);
}

/// Makes the fixture of a new format where `POSTBRIDGE_MAKE_FIXTURE` names a folder: see
/// `fixtures/store/README.md`.
#[test]
fn what_is_written_today_is_what_the_fixture_holds() {
    let scratch = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("POSTBRIDGE_MAKE_FIXTURE").map(std::path::PathBuf::from);
    let folder = asked.unwrap_or_else(|| scratch.path().join("data"));
    let store = Embedded::open_sled(&folder, Arc::default()).unwrap();
    fill(&store);
    fill_network(&store);
    check(&store);
    check_network(&store);
}
