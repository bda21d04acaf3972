//! What must hold of reports.

use std::collections::BTreeSet;

use crate::domain::ids::AffiliateId;
use crate::domain::offer::CampaignRef;
use crate::domain::reporter::BuiltInSource;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::attempt::{delivered, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::{
    approved_after, arrive, arrive_together, capped, now_of, offer, offer_id, placed, rules_of, set_status,
};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, go_by, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{claim, fall_due, purge_all};
use crate::store::contract::lookup::{ReportPage, ReportQuery};
use crate::store::contract::work::FallsDue;

fn report(store: &dyn Store, query: ReportQuery) -> ReportPage {
    wait(store.report(query)).unwrap()
}

fn all(limit: usize) -> ReportQuery {
    ReportQuery { limit, ..ReportQuery::default() }
}

/// Event time and number of each row.
fn places(page: &ReportPage) -> Vec<(Time, u64)> {
    page.rows.iter().map(|row| (row.event_time, row.seq.get())).collect()
}

/// Every row, seven at a time: by the number of the row, and from the last row of the page before.
fn walk(store: &dyn Store, query: &ReportQuery) -> Vec<(Time, u64)> {
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = report(store, ReportQuery { skip: seen.len() as u64, limit: 7, ..query.clone() });
        let behind = report(store, ReportQuery { after, limit: 7, ..query.clone() });
        assert_eq!((places(&behind), behind.total, behind.last), (places(&page), page.total, page.last));
        let third = report(store, ReportQuery { after, skip: 3, limit: 4, ..query.clone() });
        assert!(places(&page).iter().skip(3).eq(&places(&third)), "{query:?} after {after:?}");
        if page.rows.is_empty() {
            assert_eq!((page.total, page.last), (seen.len() as u64, None));
            return seen;
        }
        after = page.last;
        seen.extend(places(&page));
    }
}

fn affiliate(id: &str) -> AffiliateId {
    AffiliateId::parse(id).unwrap()
}

/// Two hundred sales of three offers that arrive in another order than they happened, many at one moment;
/// an affiliate brought each third.
fn fill(store: &dyn Store) {
    go_by(store, rules_of(&["1", "2", "3"].map(offer)));
    for n in ["a", "b"] {
        let mut click = click(&format!("click-{n}"));
        click.context.campaign_ref =
            Some(CampaignRef { affiliate: Some(affiliate(n)), ..placed("1", "8599") });
        wait(store.record_click(unscreened(click))).unwrap();
    }
    let sales = (0..200i64).map(|n| {
        let happened = at(-((n * 37) % 50) * HOUR);
        let reported = sale(&format!("t{n}")).happened(happened);
        match n % 6 {
            0 => reported.of("1").click("click-a").arrival(),
            3 => reported.of("1").click("click-b").arrival(),
            1 | 2 => reported.of("2").arrival(),
            _ => reported.of("3").arrival(),
        }
    });
    let reported = arrive_together(store, sales);
    for reported in reported.iter().step_by(10) {
        set_status(store, reported.postback, Status::Rejected, at(1));
    }
}

pub fn pages_are_complete_and_ordered_also_among_equal_times(engine: &EngineUnderTest) {
    let store = engine.open();
    fill(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        let seen = walk(store, &all(0));
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(seen.len(), 200);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 200, "each once");
        assert!(seen.windows(2).any(|pair| pair[0].0 == pair[1].0), "some happened at one moment");
    });
}

pub fn every_filter_has_its_true_total(engine: &EngineUnderTest) {
    let store = engine.open();
    fill(&*store);
    let offers = |ids: &[&str]| Some(ids.iter().map(|id| offer_id(id)).collect());
    let queries = [
        ReportQuery { offers: offers(&["2"]), ..all(0) },
        ReportQuery { offers: offers(&["3", "unheard-of", "1"]), ..all(0) },
        ReportQuery { offers: offers(&[]), ..all(0) },
        ReportQuery { offers: offers(&["unheard-of"]), ..all(0) },
        ReportQuery { affiliate: Some(affiliate("a")), ..all(0) },
        ReportQuery { affiliate: Some(affiliate("unheard-of")), ..all(0) },
        ReportQuery { status: Some(Status::Rejected), ..all(0) },
        ReportQuery { status: Some(Status::Pending), ..all(0) },
        ReportQuery { from: Some(at(-20 * HOUR)), ..all(0) },
        ReportQuery { until: Some(at(-20 * HOUR)), ..all(0) },
        ReportQuery { from: Some(at(-20 * HOUR)), until: Some(at(-19 * HOUR)), ..all(0) },
        ReportQuery { from: Some(at(-19 * HOUR)), until: Some(at(-20 * HOUR)), ..all(0) },
        // A whole day with hours before and behind it.
        ReportQuery { from: Some(at(-49 * HOUR)), until: Some(at(-23 * HOUR)), ..all(0) },
        ReportQuery {
            from: Some(at(-49 * HOUR)),
            until: Some(at(-23 * HOUR)),
            offers: offers(&["3", "1"]),
            status: Some(Status::Approved),
            ..all(0)
        },
        ReportQuery {
            from: Some(at(-30 * HOUR)),
            until: Some(at(-3 * HOUR)),
            offers: offers(&["1"]),
            affiliate: Some(affiliate("b")),
            status: Some(Status::Approved),
            ..all(0)
        },
    ];
    let whole = report(&*store, all(500)).rows;
    before_and_after_reopening(engine, store, |store, _| {
        for query in &queries {
            let fitting = whole.iter().filter(|row| {
                let placed = row.campaign_ref.as_ref().unwrap();
                query.from.is_none_or(|from| row.event_time >= from)
                    && query.until.is_none_or(|until| row.event_time < until)
                    && query.offers.as_ref().is_none_or(|offers| offers.contains(&placed.offer))
                    && query.affiliate.as_ref().is_none_or(|id| placed.affiliate.as_ref() == Some(id))
                    && query.status.is_none_or(|status| row.status == status)
            });
            let fitting: Vec<_> = fitting.map(|row| (row.event_time, row.seq.get())).collect();
            assert_eq!(walk(store, query), fitting, "{query:?}");
        }
    });
}

pub fn a_row_shows_the_status_that_the_conversion_has_now(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[approved_after("1", 2)]));
    let reported = arrive(&*store, sale("t1").of("1").arrival());
    let with = |store: &dyn Store, status| report(store, ReportQuery { status: Some(status), ..all(9) });
    assert_eq!((with(&*store, Status::Pending).total, with(&*store, Status::Approved).total), (1, 0));
    fall_due(&*store, FallsDue::Dispositions, at(DAY), 9);
    assert_eq!((with(&*store, Status::Pending).total, with(&*store, Status::Approved).total), (0, 1));
    set_status(&*store, reported.postback, Status::Scrubbed, at(DAY));
    before_and_after_reopening(engine, store, |store, _| {
        let scrubbed = with(store, Status::Scrubbed);
        assert_eq!((scrubbed.total, scrubbed.rows[0].status), (1, Status::Scrubbed));
        assert_eq!(report(store, all(9)).total, 1);
    });
}

pub fn a_later_click_brings_its_conversion_into_the_report(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[offer("1")]));
    arrive(&*store, sale("t1").click("c1").arrival());
    assert_eq!(report(&*store, all(9)).total, 0, "no offer is known of it");
    let mut click = click("c1");
    click.context.campaign_ref = Some(CampaignRef { affiliate: Some(affiliate("a")), ..placed("1", "8599") });
    wait(store.record_click(unscreened(click))).unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        let of_affiliate = ReportQuery { affiliate: Some(affiliate("a")), ..all(9) };
        assert_eq!(report(store, of_affiliate).rows[0].transaction_id.as_deref(), Some("t1"));
    });
}

pub fn what_is_of_no_offer_and_what_the_tag_reported_is_in_no_report(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("1", 1)]));
    arrive(&*store, sale("none").arrival());
    let mut reported = sale("tag").of("1");
    reported.draft.source = BuiltInSource::Tag.id();
    arrive(&*store, reported.arrival());
    let counted = arrive(&*store, sale("t1").of("1").arrival());
    assert_eq!(
        now_of(&*store, &counted).status,
        Status::Approved,
        "the tag's event took no place of the cap"
    );
    before_and_after_reopening(engine, store, |store, _| {
        let page = report(store, all(9));
        assert_eq!((page.total, places(&page)), (1, vec![(at(0), counted.postback.get())]));
    });
}

pub fn a_purged_conversion_leaves_no_row(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[offer("1")]));
    let sold = |name: &str, day: i64| sale(name).of("1").at(at(day * DAY)).happened(at(-99 * DAY)).arrival();
    arrive(&*store, sold("old", 0));
    arrive(&*store, sold("unfinished", 0));
    let young = arrive(&*store, sold("young", 9));
    let work = claim(&*store, "ads", at(9 * DAY));
    let finished = |work: &&crate::store::contract::work::Claimed| {
        work.conversion.transaction_id.as_deref() != Some("unfinished")
    };
    for work in work.iter().filter(finished) {
        wait(store.record(one(delivered(work, at(9 * DAY))))).unwrap();
    }
    let before = PurgeBefore { postbacks: at(5 * DAY), conversions: at(5 * DAY), clicks: at(5 * DAY) };
    purge_all(&*store, before);
    before_and_after_reopening(engine, store, |store, _| {
        let page = report(store, all(9));
        let names: Vec<_> = page.rows.iter().filter_map(|row| row.transaction_id.as_deref()).collect();
        assert_eq!((page.total, names), (2, vec!["unfinished", "young"]));
        assert_eq!(page.rows[1].seq, young.postback);
    });
}

pub fn a_page_begins_anywhere_and_has_at_most_five_hundred_rows(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[offer("1")]));
    // More than rows lie together, the younger half arriving first.
    let happened = |n: i64| at(if n < 1500 { n - 1500 } else { n - 4500 });
    let sales = (0..3000i64).map(|n| sale(&format!("t{n}")).of("1").happened(happened(n)).arrival());
    arrive_together(&*store, sales);
    before_and_after_reopening(engine, store, |store, _| {
        for skip in [0, 1, 511, 1023, 1024, 2047, 2500, 2999, 3000, u64::MAX] {
            let page = report(store, ReportQuery { skip, ..all(100_000) });
            assert_eq!(page.total, 3000);
            assert_eq!(page.rows.len() as u64, 3000u64.saturating_sub(skip).min(500));
            let expected = (skip as i64 - 3000..).take(page.rows.len()).map(at);
            assert!(page.rows.iter().map(|row| row.event_time).eq(expected), "after {skip}");
            let behind = report(store, ReportQuery { after: page.last, ..all(500) });
            let following = report(store, ReportQuery { skip: skip.saturating_add(500), ..all(500) });
            assert!(page.last.is_none() || places(&behind) == places(&following), "behind {skip}");
        }
    });
}
