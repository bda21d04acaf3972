//! What must hold of erasures.

use std::sync::Arc;

use crate::domain::attempt::BatchPlace;
use crate::domain::click::CustomerTrait;
use crate::domain::code::CodedReason;
use crate::domain::erasure::blank::postback_erased_at;
use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::persons::ErasedPart;
use crate::domain::erasure::report::{ErasedCounts, Erasure, ErasureState, SentOutcome};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::ids::VisitorId;
use crate::domain::postback::Verdict;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::remark::erased_at;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::Reprocess;
use crate::store::contract::conformance::fixture::attempt::{delivered, exchange, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{
    Sale, at, click, click_id, quarantined, request, sale, unscreened, usd, wait,
};
use crate::store::contract::conformance::fixture::work::{claim, first_page, trace, transactions};
use crate::store::contract::erasure::{ErasureOrder, ErasureScan, FoundRecord};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ConversionFilter, PageRequest, PostbackFilter};
use crate::store::contract::work::AttemptOutcome;

const EVE: &str = "Eve@Example.com";

/// By what someone with this address is known.
fn known_by(store: &dyn Store, email: &str) -> KnownIdentities {
    let mut known = KnownIdentities::new(wait(store.digest_key()).unwrap(), []);
    known.add_email(email);
    known
}

/// All that is found of these persons, with what joins their records.
fn look(store: &dyn Store, known: &mut KnownIdentities, until: Time) -> Vec<FoundRecord> {
    loop {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let scan = ErasureScan { known: Arc::new(known.clone()), until, cursor };
            let step = wait(store.scan_for_erasure(scan)).unwrap();
            found.extend(step.found);
            cursor = step.next;
            if cursor.is_none() {
                break;
            }
        }
        let whole = found.iter().filter(|record| record.part == ErasedPart::Whole);
        if !whole.fold(false, |is_new, record| record.marks.add_to(known, |_| None) | is_new) {
            return found;
        }
    }
}

fn order(known: &KnownIdentities, until: Time) -> ErasureOrder {
    ErasureOrder {
        at: until,
        actor: "ops".to_owned(),
        subject: SubjectKind::Email,
        persons: 1,
        digests: known.digests().collect(),
        found: ErasedCounts::default(),
        sent: Vec::new(),
        sent_more: 0,
    }
}

fn finish(store: &dyn Store) -> ErasedCounts {
    let mut erased = ErasedCounts::default();
    loop {
        let step = match wait(store.erase_step(at(900))) {
            // It is asked again.
            Err(StoreError::Unavailable { .. }) => continue,
            step => step.unwrap(),
        };
        erased.add(&step.erased);
        if !step.more {
            return erased;
        }
    }
}

/// Erases what is kept of this address.
fn erase(store: &dyn Store, email: &str, until: Time) -> (Erasure, ErasedCounts) {
    let mut known = known_by(store, email);
    look(store, &mut known, until);
    let kept = wait(store.keep_erasure(order(&known, until))).unwrap();
    let erased = finish(store);
    (kept, erased)
}

fn of(email: &'static str, mut sale: Sale) -> Sale {
    sale.draft.traits.0.insert(CustomerTrait::Email, email.to_owned());
    sale.draft.traits.0.insert(CustomerTrait::FirstName, "Eve".to_owned());
    sale.draft.params.push(("s1".to_owned(), "ad-7".to_owned()));
    sale
}

fn sent(work: AttemptOutcome, body: &str) -> AttemptOutcome {
    let mut work = work;
    work.attempt.exchange = Some(Arc::new(exchange(body, b"ok")));
    work
}

pub fn what_is_erased_leaves_ids_amounts_and_times(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut visited = click("c1");
    visited.sub_ids = vec![("s2".to_owned(), "banner".to_owned()), ("note".to_owned(), "hers".to_owned())];
    wait(store.record_click(unscreened(visited))).unwrap();
    let mut reported = of(EVE, sale("t1").click("c1"));
    reported.draft.click_id = Some("c1".to_owned());
    // The click has the address of another: it is another person's, but for this id.
    let receipt = reported.clone().receive(&*store);
    let work = claim(&*store, "ads", at(1)).remove(0);
    wait(store.record(one(sent(delivered(&work, at(2)), "{\"em\":\"eve@example.com\"}")))).unwrap();
    let before = trace(&*store, &receipt);
    let (kept, erased) = erase(&*store, "eve@example.com", at(500));
    assert_eq!((kept.id, kept.state), (1, ErasureState::Working));
    let counts = ErasedCounts { conversions: 1, postbacks: 1, attempts: 1, exchanges: 1, ..erased };
    assert_eq!(erased, counts);
    before_and_after_reopening(engine, store, |store, _| {
        let after = trace(store, &receipt);
        let (old, now) = (&before.conversion, &after.conversion);
        assert_eq!(erased_at(&now.remarks), Some(at(500)));
        assert!(now.traits.0.is_empty());
        assert_eq!(now.params, [("s1".to_owned(), "ad-7".to_owned())]);
        assert_eq!((now.id, now.seq, &now.transaction_id), (old.id, old.seq, &old.transaction_id));
        assert_eq!((now.value, now.status, now.event_time), (old.value, old.status, old.event_time));
        assert_eq!((&now.attribution, &now.item_id), (&old.attribution, &old.item_id));
        let (delivery, attempts) = &after.deliveries[0];
        assert_eq!(delivery, &before.deliveries[0].0);
        let request = attempts[0].request().unwrap();
        assert_eq!(
            (request.body.as_str(), request.url.as_str()),
            ("[erased]", "https://graph.example/[erased]")
        );
        assert_eq!(attempts[0].answer().unwrap().status, 200);
        assert_eq!(erased_at(&attempts[0].remarks), Some(at(500)));
        let postback = &after.postbacks[0];
        assert_eq!((&postback.raw, postback_erased_at(postback)), (&None, Some(at(500))));
        let done = wait(store.erasure(1)).unwrap().unwrap();
        assert_eq!((done.state, done.erased), (ErasureState::Done { at: at(900) }, erased));
        assert_eq!(wait(store.erasures(first_page(10))).unwrap().items, [done]);
    });
    let store = engine.open();
    let repeat = reported.at(at(600)).receive(&*store);
    assert!(matches!(repeat.verdict, Verdict::Duplicate { .. }), "{:?}", repeat.verdict);
    assert!(trace(&*store, &receipt).conversion.traits.0.is_empty(), "a repeat fills nothing in again");
}

pub fn a_click_is_erased_with_its_visitors_others_and_keeps_what_reports_go_by(engine: &EngineUnderTest) {
    let store = engine.open();
    let visitor = VisitorId::parse("visitor-000000001").unwrap();
    for id in ["c1", "c2", "c3"] {
        let mut visited = click(id);
        visited.customer.0.clear();
        visited.sub_ids =
            vec![("s2".to_owned(), "banner".to_owned()), ("note".to_owned(), "hers".to_owned())];
        visited.context.visitor = (id != "c3").then(|| visitor.clone());
        wait(store.record_click(unscreened(visited))).unwrap();
    }
    of(EVE, sale("t1").click("c1")).receive(&*store);
    let (_, erased) = erase(&*store, EVE, at(500));
    assert_eq!(erased.clicks, 2);
    before_and_after_reopening(engine, store, |store, _| {
        for id in ["c1", "c2"] {
            let left = wait(store.click(&click_id(id))).unwrap().unwrap();
            assert_eq!(left.context.omitted.erased_at(), Some(at(500)));
            assert_eq!((&left.ip, &left.user_agent, &left.landing_url), (&None, &None, &None));
            assert!(left.params.is_empty() && left.cookies.is_empty());
            assert_eq!(left.sub_ids, [("s2".to_owned(), "banner".to_owned())]);
            assert_eq!(left.context.visitor.as_ref(), Some(&visitor));
        }
        let other = wait(store.click(&click_id("c3"))).unwrap().unwrap();
        assert_eq!((other.context.omitted.erased_at(), other.params.len()), (None, 1));
    });
    let store = engine.open();
    let mut again = click("c1");
    again.customer.0.clear();
    let filled = wait(store.record_click(unscreened(again))).unwrap().click;
    assert_eq!((&filled.ip, filled.params.len()), (&None, 0), "what was erased is not filled in again");
}

pub fn what_is_received_later_or_of_another_address_is_left(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened({
        let mut shared = click("c1");
        shared.customer.0.clear();
        shared
    })))
    .unwrap();
    let early = of(EVE, sale("t1").click("c1")).receive(&*store);
    let other = of("adam@example.com", sale("t2").click("c1")).receive(&*store);
    let later = of(EVE, sale("t3")).at(at(501)).receive(&*store);
    let (_, erased) = erase(&*store, EVE, at(500));
    assert_eq!((erased.conversions, erased.others), (1, 0));
    before_and_after_reopening(engine, store, |store, _| {
        for (receipt, traits) in [(&early, 0), (&other, 2), (&later, 2)] {
            assert_eq!(trace(store, receipt).conversion.traits.0.len(), traits);
        }
        assert_eq!(transactions(store, ConversionFilter::default()), ["t3", "t2", "t1"]);
    });
}

pub fn an_erasure_goes_on_after_a_restart_and_is_applied_again(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = of(EVE, sale("t1")).receive(&*store);
    let mut known = known_by(&*store, EVE);
    look(&*store, &mut known, at(500));
    wait(store.keep_erasure(order(&known, at(500)))).unwrap();
    wait(store.close()).unwrap();
    drop(store);
    let store = engine.open();
    assert_eq!(trace(&*store, &receipt).conversion.traits.0.len(), 2);
    assert_eq!(finish(&*store).conversions, 1);
    assert_eq!(trace(&*store, &receipt).conversion.traits.0.len(), 0);
    assert_eq!(finish(&*store).total(), 0, "what is done is not done again");
    // As where an older copy of the records was put back: this one was received before, and was not known then.
    let restored = of(EVE, sale("t2")).at(at(400)).receive(&*store);
    assert_eq!(wait(store.erase_again(Vec::new())).unwrap(), 1);
    let again = finish(&*store);
    assert_eq!((again.conversions, again.postbacks), (1, 1));
    assert_eq!(trace(&*store, &restored).conversion.traits.0.len(), 0);
    let done = wait(store.erasure(1)).unwrap().unwrap();
    assert_eq!((done.erased, done.state), (again, ErasureState::Done { at: at(900) }));
}

pub fn of_an_exchange_that_was_about_several_only_the_persons_part_is_erased(engine: &EngineUnderTest) {
    let store = engine.open();
    let hers = of(EVE, sale("t1").forward()).receive(&*store);
    let his = of("adam@example.com", sale("t2").forward()).receive(&*store);
    let body = "[{\"em\":\"eve@example.com\",\"id\":1},{\"em\":\"adam@example.com\",\"id\":2}]";
    let middle = body.find("},").unwrap() + 1;
    let shared = Arc::new(exchange(body, b"eve@example.com is new, adam@example.com is not"));
    let outcomes: Vec<AttemptOutcome> = claim(&*store, "ads", at(1))
        .iter()
        .zip([(1, 1, middle), (2, middle + 1, body.len() - 1)])
        .map(|(work, (position, start, end))| {
            let mut outcome = delivered(work, at(2));
            let bytes = |place: usize| u32::try_from(place).unwrap();
            outcome.attempt.exchange = Some(Arc::clone(&shared));
            outcome.attempt.place =
                Some(BatchPlace { position, events: 2, start: bytes(start), end: bytes(end) });
            outcome
        })
        .collect();
    wait(store.record(outcomes.into())).unwrap();
    let mut known = known_by(&*store, EVE);
    let found = look(&*store, &mut known, at(500));
    let sent: Vec<_> = found.iter().flat_map(|record| &record.sent).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].outcome, sent[0].fields.as_slice()),
        (SentOutcome::Delivered, &["email".to_owned()][..])
    );
    erase(&*store, EVE, at(500));
    before_and_after_reopening(engine, store, |store, _| {
        for (receipt, own) in [(&hers, "\"[erased]\""), (&his, "{\"em\":\"adam@example.com\",\"id\":2}")] {
            let attempt = &trace(store, receipt).deliveries[0].1[0];
            let request = attempt.request().unwrap();
            assert_eq!(attempt.place.unwrap().own_part(&request.body).unwrap().trim_end(), own);
            assert_eq!(request.body.len(), body.len());
            let answer = String::from_utf8(attempt.answer().unwrap().body.clone()).unwrap();
            assert_eq!(answer, "*************** is new, adam@example.com is not");
        }
    });
}

pub fn an_attempt_that_had_left_is_kept_without_what_it_sent(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = of(EVE, sale("t1").forward()).receive(&*store);
    let work = claim(&*store, "ads", at(1)).remove(0);
    erase(&*store, EVE, at(500));
    wait(store.record(one(sent(delivered(&work, at(501)), "em=eve%40example.com")))).unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        let (delivery, attempts) = trace(store, &receipt).deliveries.remove(0);
        assert_eq!(delivery.state.as_str(), "delivered");
        assert_eq!(attempts[0].request().unwrap().body, "[erased]");
    });
}

pub fn a_quarantined_postback_that_names_the_person_is_erased_and_keeps_its_code(engine: &EngineUnderTest) {
    let store = engine.open();
    for (reason, line) in [
        ("expected value at line 1", "GET /x?em=EVE%40example.com HTTP/1.1"),
        ("other", "GET /x?em=adam%40example.com HTTP/1.1"),
    ] {
        let mut arrival = quarantined(reason, at(0));
        arrival.raw = request(line);
        wait(store.arrive(arrival)).unwrap();
    }
    let (_, erased) = erase(&*store, EVE, at(500));
    assert_eq!(erased, ErasedCounts { postbacks: 1, ..ErasedCounts::default() });
    before_and_after_reopening(engine, store, |store, _| {
        let page = wait(store.postbacks(PostbackFilter::default(), first_page(10))).unwrap();
        let [other, hers] = &page.items[..] else { panic!("{:?}", page.items) };
        assert_eq!(other.raw.as_ref().unwrap().line, b"GET /x?em=adam%40example.com HTTP/1.1");
        let rejection = hers.verdict.rejection().unwrap();
        assert_eq!((&hers.raw, rejection.code()), (&None, RejectionCode::InvalidMessage));
        assert!(rejection.sentence().contains("[erased]"), "{}", rejection.sentence());
    });
}

pub fn a_repeat_that_named_the_person_is_erased_with_its_conversion(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = of(EVE, sale("t1")).receive(&*store);
    let mut update = sale("t1").value("9.00").at(at(5)).arrival();
    update.raw = request("GET /x?tid=t1&name=Eve HTTP/1.1");
    wait(store.arrive(update)).unwrap();
    let (_, erased) = erase(&*store, EVE, at(500));
    assert_eq!((erased.conversions, erased.postbacks), (1, 2));
    before_and_after_reopening(engine, store, |store, _| {
        let after = trace(store, &receipt);
        assert_eq!((after.conversion.value, after.conversion.history.len()), (Some(usd("9.00")), 1));
        assert!(after.postbacks.iter().all(|postback| postback.raw.is_none()));
    });
}

pub fn erasures_that_are_applied_together_leave_nothing_of_each_other(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut gift = of(EVE, sale("t1").forward());
    gift.draft.params.push(("gift_for".to_owned(), "adam@example.com".to_owned()));
    let hers = gift.receive(&*store);
    let his = of("adam@example.com", sale("t2").forward()).receive(&*store);
    for work in claim(&*store, "ads", at(1)) {
        let body = "em=eve@example.com&to=adam@example.com";
        wait(store.record(one(sent(delivered(&work, at(2)), body)))).unwrap();
    }
    for email in [EVE, "adam@example.com"] {
        let mut known = known_by(&*store, email);
        look(&*store, &mut known, at(500));
        wait(store.keep_erasure(order(&known, at(500)))).unwrap();
    }
    finish(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        for receipt in [&hers, &his] {
            let left = trace(store, receipt);
            let attempt = &left.deliveries[0].1[0];
            assert_eq!(attempt.request().unwrap().body, "[erased]");
            assert_eq!(erased_at(&attempt.remarks), Some(at(500)));
            assert!(left.conversion.traits.0.is_empty());
            assert!(!format!("{left:?}").contains("@example.com"));
        }
        let page = wait(store.erasures(first_page(1))).unwrap();
        assert_eq!((page.items[0].id, page.items[0].erased.conversions), (2, 1));
        let older = PageRequest { cursor: page.next_cursor, limit: 10 };
        assert_eq!(wait(store.erasures(older)).unwrap().items.len(), 1);
    });
}

pub fn a_copy_that_is_put_back_is_given_the_erasures_that_it_does_not_have(engine: &EngineUnderTest) {
    let store = engine.open();
    let hers = of(EVE, sale("t1")).receive(&*store);
    let his = of("adam@example.com", sale("t2")).receive(&*store);
    erase(&*store, EVE, at(500));
    let mut others = wait(store.kept_erasures()).unwrap();
    assert_eq!(others.len(), 1);
    // Another was asked for after the copy was made, and had this number too.
    let known = known_by(&*store, "adam@example.com");
    let mut later = others[0].clone();
    (later.erasure.at, later.digests) = (at(600), known.digests().collect());
    others.push(later);
    assert_eq!(wait(store.erase_again(others.clone())).unwrap(), 2);
    assert_eq!(wait(store.erase_again(others)).unwrap(), 2, "none is taken twice");
    finish(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(erased_at(&trace(store, &hers).conversion.remarks), Some(at(500)));
        assert_eq!(erased_at(&trace(store, &his).conversion.remarks), Some(at(600)));
        let kept = wait(store.erasures(first_page(10))).unwrap().items;
        assert_eq!(kept.iter().map(|one| one.id).collect::<Vec<_>>(), [2, 1]);
    });
}

pub fn what_was_reprocessed_is_erased_with_the_conversion_that_it_became(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut first = quarantined("expected value", at(0));
    first.raw = request("GET /x?name=Eve%20Doe HTTP/1.1");
    let first = wait(store.arrive(first)).unwrap().postback;
    let mut again = of(EVE, sale("t1")).arrival();
    again.again = Some(Reprocess { of: first, now: at(2) });
    wait(store.arrive(again)).unwrap();
    let (_, erased) = erase(&*store, EVE, at(500));
    assert_eq!((erased.conversions, erased.postbacks), (1, 2));
    before_and_after_reopening(engine, store, |store, _| {
        let page = wait(store.postbacks(PostbackFilter::default(), first_page(10))).unwrap();
        assert!(page.items.iter().all(|one| one.raw.is_none() && postback_erased_at(one) == Some(at(500))));
    });
}
