//! Engines that fail as real ones do: whatever fails, nothing is acknowledged that is not there, and what is there is whole.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::consent::Consent;
use postbridge::domain::ids::VisitorId;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::suppression::{ListChange, Suppressed, SuppressedKind};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::ConsentArrival;
use postbridge::store::contract::change::{ConversionRef, PurgeBefore, SuppressionOrder};
use postbridge::store::contract::conformance::fixture::attempt::{delivered, failed, one};
use postbridge::store::contract::conformance::fixture::offer::by_network;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, account, at, click, click_id, destination, quarantined, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::visit::{VISITOR, visit};
use postbridge::store::contract::conformance::fixture::work::{claim, due_request, first_page, tally};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, PostbackFilter, ReportQuery,
};
use postbridge::store::contract::operator::ToKeep;
use postbridge::store::contract::work::FallsDue;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd, ReadFault};
use postbridge::store::engine::kv::{Direction, Kv, Span};
use postbridge::store::engine::memory::Memory;
use postbridge::store::engine::sled::Sled;

use crate::support::recount::assert_recounted;

type Done = Result<(), StoreError>;
type StoreWrite = fn(&dyn Store) -> Done;

/// Something that is written. The last five go through many records, and leave what is damaged out; the others
/// need what they name.
const WRITES: [(&str, StoreWrite); 11] = [
    ("a sale", |store| wait(store.arrive(sale("new").click("c1").arrival())).map(drop)),
    ("a change", |store| wait(store.arrive(sale("sent").click("c1").value("9").arrival())).map(drop)),
    ("an answer", |store| {
        let consent = Consent { ad_user_data: Some(false), ad_personalization: None }.said_at(at(9));
        let (click, visitor) = (click_id("c1"), VisitorId::parse(VISITOR).ok());
        wait(store.record_consent(ConsentArrival { click, visitor, consent, received_at: at(9) }))
    }),
    ("a status", |store| {
        let which = ConversionRef::Number(postbridge::domain::ids::Seq::new(1).unwrap());
        wait(store.set_status(which, by_network(Status::Rejected), at(3))).map(drop)
    }),
    ("an entry", |store| wait(store.change_list(listing("10.0.0.2"))).map(drop)),
    ("a text", |store| wait(store.keep(ToKeep::Text { name: "b.js".to_owned(), text: "text".to_owned() }))),
    ("a click", |store| wait(store.record_click(unscreened(click("c2")))).map(drop)),
    ("an attempt", |store| {
        let work = wait(store.claim(due_request(account("other"), at(1), 9, 9)))?.work;
        work.first().map_or(Ok(()), |work| wait(store.record(one(delivered(work, at(2))))).map(drop))
    }),
    ("a withdrawal", |store| wait(store.withdraw(destination("other"), at(4))).map(drop)),
    ("the end of holds", |store| wait(store.fall_due(FallsDue::Holds, at(73 * HOUR), 9)).map(drop)),
    ("purging", |store| {
        let before = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
        wait(store.purge(before)).map(drop)
    }),
];

/// How many of them need what they name.
const OF_ONE: usize = 6;

fn listing(ip: &str) -> SuppressionOrder {
    let entries = vec![Suppressed::parse(SuppressedKind::Ip, ip).unwrap()];
    SuppressionOrder {
        list: "people".to_owned(),
        wish: ListChange::Add,
        entries,
        actor: "ops".to_owned(),
        now: at(0),
    }
}

fn rules() -> Arc<Ruleset> {
    sale("any").to(&["ads", "other"]).rules()
}

fn open(engine: impl Kv) -> Embedded {
    Embedded::open(Arc::new(engine), rules()).unwrap()
}

/// Something of every kind.
fn fill(store: &dyn Store) {
    wait(store.record_click(unscreened(visit("c1", at(0))))).unwrap();
    for arrival in [sale("sent").click("c1").arrival(), sale("held").click("c2").arrival()] {
        wait(store.arrive(arrival)).unwrap();
    }
    wait(store.arrive(quarantined("no price", at(0)))).unwrap();
    let work = claim(store, "ads", at(0)).remove(0);
    wait(store.record(one(failed(&work, at(1), at(9))))).unwrap();
    wait(store.change_list(listing("10.0.0.1"))).unwrap();
    wait(store.keep(ToKeep::Text { name: "a.js".to_owned(), text: "text".to_owned() })).unwrap();
}

/// All that the contract shows. What is counted is what is there.
fn shown(store: &dyn Store) -> String {
    assert_recounted(store);
    let page = || first_page(100);
    let conversions = wait(store.conversions(ConversionFilter::default(), page())).unwrap().items;
    let traces: Vec<_> = conversions.iter().map(|(one, _)| wait(store.conversion(one.id)).unwrap()).collect();
    let postbacks = wait(store.postbacks(PostbackFilter::default(), page())).unwrap().items;
    let deliveries = wait(store.deliveries(DeliveryFilter::default(), page())).unwrap().items;
    let clicks = wait(store.clicks(ClickFilter::default(), page())).unwrap().items;
    let lists = (wait(store.lists()).unwrap(), wait(store.listed("people".to_owned(), page())).unwrap());
    let texts = ["a.js", "b.js"].map(|name| wait(store.kept_text(name.to_owned())).unwrap());
    let counts = (wait(store.backlog(at(DAY))).unwrap(), tally(store));
    let report = wait(store.report(ReportQuery { limit: 100, ..ReportQuery::default() })).unwrap();
    format!(
        "{conversions:#?}\n{traces:#?}\n{postbacks:#?}\n{deliveries:#?}\n{clicks:#?}\n{lists:#?}\n{texts:#?}\n\
         {counts:#?}\n{report:#?}"
    )
}

/// An engine with something of every kind in it, and what is shown of it once it is opened.
fn filled() -> (Memory, String) {
    let memory = Memory::new();
    let store = open(memory.clone());
    fill(&store);
    drop(store);
    let before = shown(&open(memory.after_power_cut()));
    (memory, before)
}

/// What is shown after a write that nothing disturbed.
fn shown_after(memory: &Memory, write: StoreWrite) -> String {
    let memory = memory.after_power_cut();
    write(&open(memory.clone())).unwrap();
    shown(&open(memory))
}

/// Of two long texts the lines that differ, to be read; nothing where they are the same.
fn difference(found: &str, wanted: &str, case: &str) -> Option<String> {
    (found != wanted).then(|| {
        let (found, wanted): (Vec<_>, Vec<_>) = (found.lines().collect(), wanted.lines().collect());
        let at = found.iter().zip(&wanted).position(|(one, other)| one != other);
        let at = at.unwrap_or(found.len().min(wanted.len()));
        let part = |lines: &[&str]| lines[at.saturating_sub(6)..(at + 6).min(lines.len())].join("\n");
        format!("{case}: it shows\n{}\nand not\n{}\n", part(&found), part(&wanted))
    })
}

fn is_broken<T: std::fmt::Debug>(done: Result<T, StoreError>, case: &str) {
    assert!(matches!(done, Err(StoreError::Broken { .. })), "{case}: {done:?}");
}

/// After a failed commit nothing is answered as if it had not been.
fn is_over(store: &dyn Store, case: &str) {
    is_broken(wait(store.probe()), case);
    is_broken(wait(store.arrive(sale("later").arrival())), case);
    is_broken(wait(store.conversions(ConversionFilter::default(), first_page(9))), case);
    is_broken(wait(store.click(&click_id("c1"))), case);
}

/// Every point at which a commit can fail, and whether what it wrote is there after the process has ended like that.
fn points() -> Vec<(FaultAt, ProcessEnd, bool)> {
    let mut points = Vec::new();
    for end in [ProcessEnd::Killed, ProcessEnd::PowerCut] {
        points.push((FaultAt::BeforeWrite, end, false));
        points.extend((0..8).map(|changes| (FaultAt::Applied(changes), end, false)));
        points.push((FaultAt::BeforeSync, end, end == ProcessEnd::Killed));
        points.push((FaultAt::AfterSync, end, true));
    }
    points
}

#[test]
fn wherever_a_commit_fails_it_is_not_acknowledged_and_is_there_whole_or_not_at_all() {
    let (memory, before) = filled();
    let mut different = Vec::new();
    for (what, write) in WRITES {
        let after = shown_after(&memory, write);
        assert_ne!(before, after, "{what} writes something");
        for (point, end, is_kept) in points() {
            let case = format!("{what}, {point:?}, {end:?}");
            let disk = Faulty::over(memory.after_power_cut());
            let store = open(disk.clone());
            disk.fail(point, 0, "Input/output error (os error 5)");
            is_broken(write(&store), &case);
            is_over(&store, &case);
            drop(store);
            let found = shown(&open(disk.after(end).unwrap()));
            different.extend(difference(&found, if is_kept { &after } else { &before }, &case));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn on_sled_too_a_commit_that_fails_is_there_whole_or_not_at_all() {
    for (point, end, is_kept) in points() {
        let case = format!("{point:?}, {end:?}");
        let folder = tempfile::tempdir().unwrap();
        let disk = Faulty::over(Sled::open(&folder.path().join("data")).unwrap());
        let store = open(disk.clone());
        fill(&store);
        disk.fail(point, 0, "Input/output error (os error 5)");
        let [(_, sale_of), ..] = WRITES;
        is_broken(sale_of(&store), &case);
        is_over(&store, &case);
        drop(store);
        let disk = disk.after(end).unwrap();
        let store = open(disk);
        let found = wait(store.conversions(ConversionFilter::default(), first_page(9))).unwrap().items;
        assert_eq!(found.len(), if is_kept { 3 } else { 2 }, "{case}");
        let again = wait(store.arrive(sale("new").click("c1").arrival())).unwrap();
        assert_eq!(again.verdict.as_str(), if is_kept { "duplicate" } else { "accepted" }, "{case}");
        assert_eq!(claim(&store, "other", at(9)).len(), 2, "{case}: each is sent once");
    }
}

/// Every key of the engine.
fn keys(memory: &Memory) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let span = Span { from: &[0], to: &[255], direction: Direction::Up };
    let mut see = |key: &[u8], _: Result<&[u8], &_>| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    };
    memory.scan(span, &mut see).unwrap();
    keys
}

#[test]
fn a_record_that_cannot_be_read_fails_what_needs_it_alone_and_what_fails_leaves_nothing() {
    let (memory, before) = filled();
    let afters = WRITES.map(|(_, write)| shown_after(&memory, write));
    let (mut unopened, mut failed, mut different) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for key in keys(&memory) {
        for (number, (what, write)) in WRITES.into_iter().enumerate() {
            let case = format!("{what}, {}", key.escape_ascii());
            let disk = Faulty::over(memory.after_power_cut());
            let damaged = key.clone();
            disk.cannot_read(ReadFault::Damaged, move |key| key == damaged);
            let Ok(store) = Embedded::open(Arc::new(disk.clone()), rules()) else {
                unopened.insert(char::from(key[0]));
                continue;
            };
            let done = write(&store);
            let probed = wait(store.probe());
            assert!(probed.is_ok() || key == b"Mprobe", "{case}: {probed:?}");
            drop(store);
            let found = shown(&open(disk.after(ProcessEnd::PowerCut).unwrap()));
            match done {
                Err(StoreError::Corrupt { .. }) => {
                    failed.insert(what);
                    different.extend(difference(&found, &before, &case));
                }
                Err(error) => panic!("{case}: {error}"),
                Ok(()) if number < OF_ONE => different.extend(difference(&found, &afters[number], &case)),
                Ok(()) => {}
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(unopened, BTreeSet::from(['H', 'M', 'N', 'X']), "what is unfinished is in these");
    assert_eq!(failed, BTreeSet::from(["a change", "a sale", "a status", "an answer"]));
}

#[test]
fn a_device_that_fails_while_a_record_is_read_ends_the_store_and_leaves_nothing_of_what_was_asked() {
    let (memory, before) = filled();
    let afters = WRITES.map(|(_, write)| shown_after(&memory, write));
    let (mut ended, mut different) = (BTreeSet::new(), Vec::new());
    for key in keys(&memory) {
        for (number, (what, write)) in WRITES.into_iter().enumerate() {
            let case = format!("{what}, {}", key.escape_ascii());
            let disk = Faulty::over(memory.after_power_cut());
            let store = open(disk.clone());
            let failing = key.clone();
            disk.cannot_read(ReadFault::Failed, move |key| key == failing);
            let done = write(&store);
            if let Err(error) = &done {
                assert!(matches!(error, StoreError::Broken { .. }), "{case}: {error}");
                is_over(&store, &case);
                ended.insert(what);
            }
            drop(store);
            let found = shown(&open(disk.after(ProcessEnd::PowerCut).unwrap()));
            different.extend(difference(&found, if done.is_ok() { &afters[number] } else { &before }, &case));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(ended.len() > 5, "{ended:?}");
}
