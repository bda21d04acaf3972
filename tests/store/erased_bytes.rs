//! What is left in the engine once a person's data was erased: no byte that names the person, and every sum as it was.

use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::delivery::{DeliveryState, ReplyVerdict};
use postbridge::domain::delivery_reason::DeathReason;
use postbridge::domain::erasure::report::ErasureState;
use postbridge::domain::erasure::subject::{SubjectKind, SubjectRefused};
use postbridge::domain::exchange::{PlatformAnswer, Said};
use postbridge::domain::ids::Seq;
use postbridge::domain::postback::Verdict;
use postbridge::domain::sent::{DeliveryKind, SentEvent};
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::ops::erasure::{self, ErasureError, ErasurePlan};
use postbridge::store::contract::Store;
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::attempt::{dead, exchange, one};
use postbridge::store::contract::conformance::fixture::received::{
    Sale, at, click, quarantined, request, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{claim, first_page, trace};
use postbridge::store::contract::lookup::{ClickFilter, ConversionFilter, DeliveryFilter, PostbackFilter};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd, ReadFault};
use postbridge::store::engine::kv::{Direction, Kv, KvError, Span};
use postbridge::store::engine::memory::Memory;
use sha2::{Digest, Sha256};

use crate::support::recount::assert_recounted;

pub const EMAIL: &str = "jane.doe@example.com";
const PHONE: &str = "491701234567";

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sale by someone with this address.
pub fn by(email: &str, transaction: &str) -> Sale {
    let mut sale = sale(transaction).forward();
    sale.draft.traits.0.insert(CustomerTrait::Email, email.to_owned());
    sale
}

/// Everything that can hold an address: clicks, sales in every state, what was sent and answered, and quarantine.
pub fn fill(store: &dyn Store) {
    let mut visited = click("c1");
    visited.customer.0.insert(CustomerTrait::Email, "JANE.DOE@example.com".to_owned());
    visited.landing_url = Some("https://shop.example/?em=jane.doe%40example.com".to_owned());
    visited.sub_ids = vec![("s1".to_owned(), EMAIL.to_owned()), ("s2".to_owned(), "banner".to_owned())];
    wait(store.record_click(unscreened(visited))).unwrap();
    let mut reported = by("Jane.Doe@Example.com", "t1").click("c1");
    reported.draft.traits.0.insert(CustomerTrait::Phone, "+49 170 1234567".to_owned());
    reported.draft.params.push(("order_id".to_owned(), "A-1".to_owned()));
    reported.draft.params.push(("note".to_owned(), EMAIL.to_owned()));
    reported.body = b"{\"customer\":{\"mail\":\"jane.doe\\u0040example.com\",\"tel\":491701234567}}".to_vec();
    let receipt = reported.receive(store);
    let work = claim(store, "ads", at(1)).remove(0);
    let mut outcome = dead(&work, at(2));
    let body = format!("{{\"em\":\"{}\",\"ph\":\"{}\"}}", sha256(EMAIL), sha256(&format!("+{PHONE}")));
    outcome.attempt.exchange = Some(Arc::new(exchange(&body, format!("{EMAIL} is not known").as_bytes())));
    let words = Said::Words(format!("{EMAIL} is not known"));
    let reason = DeathReason::PlatformRejected(PlatformAnswer { status: 400, why: None, said: words });
    outcome.attempt.verdict = ReplyVerdict::Dead { reason: reason.clone() };
    outcome.attempt.sent = Some(Box::new(SentEvent {
        kind: DeliveryKind::Event,
        event: "Purchase".to_owned(),
        value: None,
        event_time: at(0),
        event_id: work.conversion.id.event_id(),
        transaction_id: Some("t1".to_owned()),
        ids: vec![("em".to_owned(), sha256(EMAIL))],
        reply: Vec::new(),
    }));
    outcome.state = DeliveryState::Dead { at: at(2), reason: Box::new(reason) };
    wait(store.record(one(outcome))).unwrap();
    let note = Some(format!("called {EMAIL}"));
    let order = StatusMove { to: Status::Rejected, by: Actor::Network("ops".to_owned()), note };
    wait(store.set_status(ConversionRef::Id(receipt.verdict.conversion().unwrap()), order, at(3))).unwrap();
    for (number, line) in [
        format!("GET /x?d={} HTTP/1.1", STANDARD.encode(format!("{{\"email\":\"{EMAIL}\"}}"))),
        format!("GET /x?em={} HTTP/1.1", sha256(EMAIL).to_uppercase()),
        "GET /x?em=jane.doe%2540example.com HTTP/1.1".to_owned(),
        "GET /x?tel=0170%201234567 HTTP/1.1".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut arrival = quarantined(&format!("`{EMAIL}` is no number {number}"), at(4));
        arrival.raw = request(line);
        wait(store.arrive(arrival)).unwrap();
    }
    by(EMAIL, "t2").receive(store);
    // Another person's sale whose text names her.
    let mut other = by("adam@example.com", "t3");
    other.draft.params.push(("gift_for".to_owned(), EMAIL.to_owned()));
    other.receive(store);
}

pub fn plan(store: &dyn Store, kind: SubjectKind, text: &str) -> Result<ErasurePlan, ErasureError> {
    let subject = erasure::subject(kind, text).map_err(ErasureError::from)?;
    wait(erasure::look(store, &subject, at(500)))
}

pub fn erase(store: &dyn Store) {
    let plan = plan(store, SubjectKind::Email, EMAIL).unwrap();
    assert_eq!(plan.persons, 1);
    wait(erasure::carry_out(store, plan, ("ops", false))).unwrap();
    wait(erasure::finish(store, at(600))).unwrap();
}

/// A value with all that can be unpacked of it.
pub fn unpacked(value: &[u8]) -> Vec<u8> {
    let mut all = value.to_vec();
    // A block begins with its plain length; the body of a record is behind a version, and a head with its length.
    let head = value.get(1..5).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize);
    for start in [0, 5 + head] {
        let packed = value.get(start..).unwrap_or_default();
        let plain = packed.first_chunk().map_or(u32::MAX, |size| u32::from_le_bytes(*size));
        if plain < 1 << 24
            && let Ok(plain) = lz4_flex::decompress_size_prepended(packed)
        {
            all.extend(plain);
        }
    }
    all
}

fn holding(kv: &dyn Kv, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    let span = Span { from: &[0], to: &[255], direction: Direction::Up };
    kv.scan(span, &mut |key: &[u8], value: Result<&[u8], &KvError>| {
        let bytes = [key, &unpacked(value.unwrap())].concat().to_ascii_lowercase();
        for needle in needles {
            if bytes.windows(needle.len()).any(|part| part == needle) {
                found.push(format!("{}: {}", key.escape_ascii(), needle.escape_ascii()));
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

pub fn needles() -> Vec<Vec<u8>> {
    let base64 = STANDARD.encode(format!("{{\"email\":\"{EMAIL}\"}}")).to_ascii_lowercase();
    let texts = [
        EMAIL,
        PHONE,
        "jane.doe",
        "1701234567",
        "170 1234567",
        &base64,
        &sha256(EMAIL),
        &sha256(PHONE),
        &sha256(&format!("+{PHONE}")),
    ];
    let mut needles: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    needles.push(Sha256::digest(EMAIL).to_vec());
    needles
}

#[test]
fn no_stored_byte_names_the_person_and_every_sum_is_as_it_was() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    fill(&store);
    let found = holding(&memory, &needles());
    for table in ["B", "C", "A", "E", "K", "P"] {
        assert!(found.iter().any(|line| line.starts_with(table)), "{table} holds nothing: {found:#?}");
    }
    let amounts = |store: &dyn Store| {
        let page = wait(store.conversions(ConversionFilter::default(), first_page(10))).unwrap();
        page.items
            .into_iter()
            .map(|(one, deliveries)| (one.id, one.value, one.status, one.transaction_id, deliveries.len()))
            .collect::<Vec<_>>()
    };
    let before = amounts(&store);
    erase(&store);
    assert_eq!(holding(&memory, &needles()), Vec::<String>::new());
    assert_eq!(amounts(&store), before);
    assert_recounted(&store);
    wait(store.close()).unwrap();
    drop(store);
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    assert_eq!(amounts(&store), before);
    assert_recounted(&store);
    // Lists and traces of what is left can be read, and the sales are still known.
    assert_eq!(wait(store.deliveries(DeliveryFilter::default(), first_page(10))).unwrap().items.len(), 3);
    assert_eq!(wait(store.postbacks(PostbackFilter::default(), first_page(10))).unwrap().items.len(), 7);
    assert_eq!(wait(store.clicks(ClickFilter::default(), first_page(10))).unwrap().items.len(), 1);
    let repeat = by("x@example.com", "t2").at(at(700)).receive(&store);
    assert!(matches!(repeat.verdict, Verdict::Duplicate { .. }), "{:?}", repeat.verdict);
    let other = wait(store.postback(Seq::new(7).unwrap())).unwrap().unwrap();
    assert!(other.raw.is_some(), "what is another person's is left");
    assert_eq!(trace(&store, &repeat).conversion.transaction_id.as_deref(), Some("t2"));
}

#[test]
fn an_erasure_that_any_commit_of_cuts_off_goes_on_after_a_restart() {
    for spared in 0.. {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        fill(&store);
        let before = plan(&store, SubjectKind::Email, EMAIL).unwrap();
        disk.fail(FaultAt::BeforeSync, spared, "the power went");
        let kept = wait(erasure::carry_out(&store, before, ("ops", false)));
        let done = wait(erasure::finish(&store, at(600)));
        drop(store);
        let disk = disk.after(ProcessEnd::PowerCut).unwrap();
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        if kept.is_ok() {
            wait(erasure::finish(&store, at(700))).unwrap();
            assert_eq!(holding(&disk, &needles()), Vec::<String>::new(), "after {spared} commits");
            let kept = wait(store.erasure(1)).unwrap().unwrap();
            assert!(matches!(kept.state, ErasureState::Done { .. }));
        }
        assert_recounted(&store);
        if done.is_ok() {
            assert!(spared > 3, "{spared}");
            return;
        }
    }
}

fn refusal(
    done: Result<ErasurePlan, ErasureError>,
    store: &dyn Store,
    confirm: bool,
) -> Option<SubjectRefused> {
    let plan = match done {
        Ok(plan) => plan,
        Err(ErasureError::Refused(why)) => return Some(why),
        Err(ErasureError::Store(error)) => panic!("{error}"),
    };
    match wait(erasure::carry_out(store, plan, ("ops", confirm))) {
        Ok(_) => None,
        Err(ErasureError::Refused(why)) => Some(why),
        Err(ErasureError::Store(error)) => panic!("{error}"),
    }
}

#[test]
fn what_several_persons_have_needs_a_word_more() {
    let store = Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap();
    for (email, transaction) in [("eve@example.com", "0"), ("adam@example.com", "1")] {
        let mut shared = by(email, transaction);
        shared.draft.traits.0.insert(CustomerTrait::Phone, "+1 202 555 0143".to_owned());
        shared.receive(&store);
        by(email, "constant").click(email.split('@').next().unwrap()).receive(&store);
    }
    let several = Some(SubjectRefused::SeveralPersons { persons: 2 });
    for (kind, text) in [(SubjectKind::Phone, "+12025550143"), (SubjectKind::TransactionId, "constant")] {
        assert_eq!(refusal(plan(&store, kind, text), &store, false), several, "{kind:?}");
    }
    let eve = plan(&store, SubjectKind::Email, "EVE@example.com").unwrap();
    assert_eq!((eve.persons, eve.found.conversions), (1, 2), "the phone that she shares joins no one");
    assert_eq!(refusal(Ok(eve), &store, false), None);
    wait(erasure::finish(&store, at(600))).unwrap();
    assert_eq!(refusal(plan(&store, SubjectKind::Phone, "+1 202 555 0143"), &store, false), None);
    wait(erasure::finish(&store, at(600))).unwrap();
    for (kind, text, why) in [
        (SubjectKind::Email, "eve@example.com", SubjectRefused::NothingFound),
        (SubjectKind::Email, "eve", SubjectRefused::NotAnEmail),
        (SubjectKind::Phone, "0170 1234567", SubjectRefused::NoCallingCode),
        (SubjectKind::Phone, "12", SubjectRefused::NotAPhone),
        (SubjectKind::ClickId, " ", SubjectRefused::Empty),
    ] {
        assert_eq!(refusal(plan(&store, kind, text), &store, true), Some(why), "{text}");
    }
}

#[test]
fn of_very_many_records_all_of_the_person_are_found_whatever_a_step_ends_at() {
    let memory = Memory::new();
    let open = || Embedded::open(Arc::new(memory.clone()), sale("any").rules()).unwrap();
    let store = open();
    let mut expected = 0;
    for number in 0..1500 {
        let hers = number % 5 == 0;
        let email = if hers { EMAIL } else { "adam@example.com" };
        let mut visited = click(&format!("c{number}"));
        visited.customer.0.insert(CustomerTrait::Email, email.to_owned());
        wait(store.record_click(unscreened(visited))).unwrap();
        let reported = by(email, &format!("t{number}"));
        wait(store.arrive(reported.arrival())).unwrap();
        expected += u64::from(hers);
    }
    let plan = plan(&store, SubjectKind::Email, EMAIL).unwrap();
    assert_eq!((plan.persons, plan.found.conversions, plan.found.clicks), (1, expected, expected));
    wait(erasure::carry_out(&store, plan, ("ops", false))).unwrap();
    let mut store = store;
    let mut steps = 0;
    while wait(store.erase_step(at(600))).unwrap().more {
        wait(store.close()).unwrap();
        drop(store);
        store = open();
        steps += 1;
    }
    assert!(steps > 4, "{steps} steps");
    let kept = wait(store.erasure(1)).unwrap().unwrap();
    assert_eq!((kept.erased.conversions, kept.erased.clicks), (expected, expected));
    assert_eq!(holding(&memory, &[EMAIL.as_bytes().to_vec()]), Vec::<String>::new());
    assert_recounted(&store);
}

#[test]
fn a_record_that_cannot_be_read_holds_up_no_other_and_is_erased_once_it_is_repaired() {
    for (fault, table) in
        [(ReadFault::Damaged, b"C"), (ReadFault::Damaged, b"A"), (ReadFault::DamagedPage, b"K")]
    {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        fill(&store);
        let before = plan(&store, SubjectKind::Email, EMAIL).unwrap();
        wait(erasure::carry_out(&store, before, ("ops", false))).unwrap();
        drop(store);
        // Nothing of it is in memory, but what opening reads.
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        disk.cannot_read(fault, move |key| key.starts_with(table));
        wait(erasure::finish(&store, at(600))).unwrap();
        let kept = wait(store.erasure(1)).unwrap().unwrap();
        assert!(matches!(kept.state, ErasureState::Incomplete { .. }), "{kept:?}");
        assert!(kept.unreadable > 0, "{kept:?}");
        assert!(kept.erased.postbacks > 3 && kept.erased.conversions > 0, "{kept:?}");
        drop(store);
        disk.can_read();
        assert!(!holding(&disk, &needles()).is_empty(), "what could not be read is not erased");
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        wait(store.erase_again(Vec::new())).unwrap();
        wait(erasure::finish(&store, at(700))).unwrap();
        assert_eq!(holding(&disk, &needles()), Vec::<String>::new());
        let kept = wait(store.erasure(1)).unwrap().unwrap();
        assert_eq!((kept.state, kept.unreadable), (ErasureState::Done { at: at(700) }, 0));
    }
}
