//! Which records are a person's, how much of each is erased, and what happens to those that are changed or damaged meanwhile.

use std::sync::Arc;

use postbridge::domain::attempt::BatchPlace;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::erasure::blank::postback_erased_at;
use postbridge::domain::erasure::report::ErasureState;
use postbridge::domain::erasure::subject::SubjectKind;
use postbridge::domain::remark::erased_at;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::ops::erasure;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::attempt::{delivered, exchange};
use postbridge::store::contract::conformance::fixture::received::{
    at, click, click_id, quarantined, request, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{claim, first_page, trace};
use postbridge::store::contract::lookup::PostbackFilter;
use postbridge::store::contract::work::AttemptOutcome;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{Faulty, ReadFault};
use postbridge::store::engine::memory::Memory;

use crate::store::erased_bytes::{EMAIL, by, erase, fill, plan};
use crate::support::recount::assert_recounted;

fn store() -> Embedded {
    Embedded::open(Arc::new(Memory::new()), sale("any").forward().rules()).unwrap()
}

fn erase_by(store: &Embedded, kind: SubjectKind, text: &str) {
    let plan = plan(store, kind, text).unwrap();
    wait(erasure::carry_out(store, plan, ("ops", true))).unwrap();
    wait(erasure::finish(store, at(600))).unwrap();
}

/// The lines of the postbacks whose bytes are left, in order.
fn lines(store: &Embedded) -> Vec<String> {
    let page = wait(store.postbacks(PostbackFilter::default(), first_page(100))).unwrap();
    let raw = page.items.iter().rev().filter_map(|one| one.raw.as_ref());
    raw.map(|raw| String::from_utf8_lossy(&raw.line).into_owned()).collect()
}

#[test]
fn what_made_no_conversion_is_found_by_a_click_or_an_order_that_it_names_anywhere() {
    for (kind, text) in [(SubjectKind::ClickId, "click-0001"), (SubjectKind::TransactionId, "order/00-17")] {
        let store = store();
        let others = ["GET /x?cid=click-00012&tid=order/00-171 HTTP/1.1", "GET /x?cid=&tid= HTTP/1.1"];
        let hers = [
            format!("GET /x?a=1&id={} HTTP/1.1", text.replace('/', "%2F")),
            format!("GET /x?u=https%3A%2F%2Fx.example%2F%3Fid%3D{} HTTP/1.1", text.replace('/', "%252F")),
        ];
        for line in hers.iter().map(String::as_str).chain(others) {
            let mut arrival = quarantined("expected value", at(0));
            arrival.raw = request(line);
            wait(store.arrive(arrival)).unwrap();
        }
        // Another's sale: what is written of the id there is not this person's alone.
        let mut sold = by("adam@example.com", "t1");
        sold.draft.params.push(("note".to_owned(), text.to_owned()));
        let sold = sold.receive(&store);
        erase_by(&store, kind, text);
        let left = lines(&store);
        assert_eq!(left[..2], others, "{left:?}");
        assert!(trace(&store, &sold).conversion.params.iter().any(|(_, value)| value == text));
        assert_eq!(wait(store.erasure(1)).unwrap().unwrap().erased.postbacks, 2);
    }
}

#[test]
fn a_record_that_names_the_person_in_any_place_and_no_one_else_is_erased_whole() {
    let store = store();
    let sold = |transaction: &str, note: &str| {
        let mut sold = sale(transaction).forward();
        sold.draft.traits.0.insert(CustomerTrait::FirstName, "Someone".to_owned());
        sold.draft.params.push(("note".to_owned(), note.to_owned()));
        sold.receive(&store)
    };
    let alone = sold("t1", "for jane.doe%40example.com");
    let both = sold("t2", "for jane.doe@example.com and adam@example.com");
    let clicked = |id: &str, landing: &str| {
        let mut visited = click(id);
        visited.customer.0.clear();
        visited.landing_url = Some(landing.to_owned());
        wait(store.record_click(unscreened(visited))).unwrap();
    };
    clicked("c1", "https://shop.example/?em=jane.doe%2540example.com");
    clicked("c2", "https://shop.example/?em=jane.doe%40example.com&cc=adam%40example.com");
    erase(&store);
    assert_eq!(erased_at(&trace(&store, &alone).conversion.remarks), Some(at(500)));
    let left = trace(&store, &both).conversion;
    assert_eq!((erased_at(&left.remarks), left.traits.0.len()), (None, 1));
    assert!(left.params.contains(&("note".to_owned(), "for [erased] and adam@example.com".to_owned())));
    let landing = |id: &str| wait(store.click(&click_id(id))).unwrap().unwrap().landing_url.clone();
    assert_eq!(landing("c1"), None);
    assert_eq!(landing("c2").unwrap(), "https://shop.example/?em=[erased]&cc=adam%40example.com");
}

#[test]
fn the_answer_to_a_request_with_several_events_loses_all_that_the_person_is_known_by() {
    let store = store();
    let mut hers = by(EMAIL, "t1").click("click-0001");
    hers.draft.traits.0.insert(CustomerTrait::Phone, "+49 170 1234567".to_owned());
    let hers = hers.receive(&store);
    let his = by("adam@example.com", "t2").receive(&store);
    let body = "[{\"id\":1},{\"id\":2}]";
    let answer =
        "{\"bad\":[\"491701234567\",\"click-0001\",\"jane.doe@example.com\"],\"ok\":\"adam@example.com\"}";
    let shared = Arc::new(exchange(body, answer.as_bytes()));
    let outcomes: Vec<AttemptOutcome> = claim(&store, "ads", at(1))
        .iter()
        .zip([(1, 1, 9), (2, 10, 18)])
        .map(|(work, (position, start, end))| {
            let mut outcome = delivered(work, at(2));
            outcome.attempt.exchange = Some(Arc::clone(&shared));
            outcome.attempt.place = Some(BatchPlace { position, events: 2, start, end });
            outcome
        })
        .collect();
    wait(store.record(outcomes.into())).unwrap();
    erase(&store);
    for receipt in [&hers, &his] {
        let trace = trace(&store, receipt);
        let attempt = &trace.deliveries[0].1[0];
        let answer = String::from_utf8(attempt.answer().unwrap().body.clone()).unwrap();
        let stars = |count: usize| "*".repeat(count);
        let left = format!(
            "{{\"bad\":[\"{}\",\"{}\",\"{}\"],\"ok\":\"adam@example.com\"}}",
            stars(12),
            stars(10),
            stars(20)
        );
        assert_eq!(answer, left);
    }
    let own = &trace(&store, &his).deliveries[0].1[0];
    assert_eq!(own.place.unwrap().own_part(&own.request().unwrap().body), Some("{\"id\":2}"));
}

/// Sales of someone else with long bodies that name the person.
fn others(store: &Embedded, count: usize) -> Vec<Receipt> {
    let one = |number: usize| {
        let mut sold = by("adam@example.com", &format!("t{number}"));
        sold.draft.params.push(("gift_for".to_owned(), EMAIL.to_owned()));
        sold = sold.body(40_000);
        sold.body.extend(format!("\n{EMAIL}").as_bytes());
        sold.receive(store)
    };
    (0..count).map(one).collect()
}

#[test]
fn a_step_is_written_in_commits_of_a_few_bytes_each() {
    let store = store();
    let sold = others(&store, 30);
    let found = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    assert_eq!(found.found.others, 30);
    wait(erasure::carry_out(&store, found, ("ops", false))).unwrap();
    let mut most = 0;
    loop {
        let step = wait(store.erase_step(at(600))).unwrap();
        most = most.max(step.erased.others);
        if !step.more {
            break;
        }
    }
    assert!((1..=4).contains(&most), "{most} records of 40 kB in one commit");
    let done = wait(store.erasure(1)).unwrap().unwrap();
    assert_eq!((done.state, done.erased.others), (ErasureState::Done { at: at(600) }, 30));
    for receipt in &sold {
        assert!(!format!("{:?}", trace(&store, receipt)).contains("jane"));
    }
}

#[test]
fn what_is_changed_between_two_commits_of_a_step_keeps_the_change() {
    let store = store();
    let sold = others(&store, 12);
    let found = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    wait(erasure::carry_out(&store, found, ("ops", false))).unwrap();
    assert!(wait(store.erase_step(at(600))).unwrap().more);
    for receipt in &sold {
        let by = Actor::Network("ops".to_owned());
        let order = StatusMove { to: Status::Rejected, by, note: Some(format!("of {EMAIL}")) };
        wait(store.set_status(ConversionRef::Id(receipt.verdict.conversion().unwrap()), order, at(550)))
            .unwrap();
    }
    wait(erasure::finish(&store, at(600))).unwrap();
    for (number, receipt) in sold.iter().enumerate() {
        let left = trace(&store, receipt);
        assert_eq!(left.conversion.status, Status::Rejected, "{number}");
        assert!(!format!("{:?}", left.conversion.params).contains("jane"), "{number}");
    }
    assert_recounted(&store);
}

#[test]
fn an_erasure_that_cannot_be_read_is_not_done_and_holds_up_no_other() {
    for table in [b"Qe", b"Qd"] {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        fill(&store);
        let other = plan(&store, SubjectKind::Email, "adam@example.com").unwrap();
        for found in [plan(&store, SubjectKind::Email, EMAIL).unwrap(), other] {
            wait(erasure::carry_out(&store, found, ("ops", false))).unwrap();
        }
        drop(store);
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        disk.cannot_read(ReadFault::Damaged, move |key| key.starts_with(table) && key.ends_with(&[1]));
        wait(erasure::finish(&store, at(600))).unwrap();
        let state = |number| wait(store.erasure(number)).map(|found| found.unwrap().state);
        assert_eq!(state(2).unwrap(), ErasureState::Done { at: at(600) });
        disk.can_read();
        assert_eq!(state(1).unwrap(), ErasureState::Working, "{}", table.escape_ascii());
        wait(erasure::finish(&store, at(700))).unwrap();
        assert_eq!(state(1).unwrap(), ErasureState::Done { at: at(700) });
        let page = wait(store.postbacks(PostbackFilter::default(), first_page(10))).unwrap();
        assert!(page.items.iter().all(|one| postback_erased_at(one).is_some()), "{:?}", page.items);
    }
}
