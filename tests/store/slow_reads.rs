//! A slow disk. Whatever reads it does so on a thread of its own, lists and traces two at a time, and holds up
//! nothing else; what happens during a write is not undone by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::{Condvar, Mutex};
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::expiry::AgeRule;
use postbridge::domain::ids::ClickId;
use postbridge::domain::target::TargetId;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Screening};
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::attempt::{delivered, failed, one};
use postbridge::store::contract::conformance::fixture::received::{
    DAY, account, at, click, destination, sale,
};
use postbridge::store::contract::conformance::fixture::work::{
    LEASE, conversion_of, due_request, first_page, probe_request,
};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{ConversionFilter, DeliveryFilter, PostbackFilter};
use postbridge::store::contract::operator::ToKeep;
use postbridge::store::contract::work::Recorded;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use postbridge::store::engine::memory::Memory;

use crate::support::engines::MovedClock;

/// A disk whose reads wait, once it is slow, until they are let go.
#[derive(Default)]
struct Slow {
    memory: Memory,
    clock: MovedClock,
    slow: AtomicBool,
    slow_commits: AtomicBool,
    panics: AtomicBool,
    waiting: AtomicUsize,
    most: AtomicUsize,
    go: Mutex<bool>,
    bell: Condvar,
}

impl Slow {
    fn pass(&self) {
        assert!(!self.panics.load(Ordering::SeqCst), "asked to");
        if self.slow.load(Ordering::SeqCst) {
            self.wait();
        }
    }

    fn wait(&self) {
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(waiting, Ordering::SeqCst);
        let mut go = self.go.lock();
        while !*go {
            let late = self.bell.wait_for(&mut go, Duration::from_secs(10)).timed_out();
            assert!(!late, "nothing else could run while the disk was waited for");
        }
        drop(go);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Until so many wait for the disk.
    async fn wait_for(&self, waiting: usize) {
        while self.waiting.load(Ordering::SeqCst) < waiting {
            tokio::task::yield_now().await;
        }
    }

    fn let_go(&self) {
        *self.go.lock() = true;
        self.bell.notify_all();
    }
}

/// One disk in the store's hands and in the test's.
struct Disk(Arc<Slow>);

impl Kv for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.0.pass();
        self.0.memory.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.0.pass();
        self.0.memory.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        if self.0.slow_commits.load(Ordering::SeqCst) {
            self.0.wait();
        }
        self.0.memory.commit(batch, passed)
    }
}

fn open(slow: &Arc<Slow>) -> Embedded {
    let settings = EmbeddedSettings { clock: slow.clock.clock(), ..EmbeddedSettings::default() };
    let rules = sale("any").forward().rules();
    Embedded::open_with(Arc::new(Disk(Arc::clone(slow))), rules, settings).unwrap()
}

/// Opens the store again: what it has is on the disk, and not in memory.
fn reopen(slow: &Arc<Slow>, store: Embedded) -> Embedded {
    drop(store);
    open(slow)
}

#[tokio::test]
async fn lists_and_traces_hold_up_nothing_else_and_run_two_at_a_time() {
    let slow = Arc::new(Slow::default());
    let store = Arc::new(open(&slow));
    let receipt = store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let id = conversion_of(&receipt.verdict);
    slow.slow.store(true, Ordering::SeqCst);
    let reads = async {
        tokio::join!(
            store.conversions(ConversionFilter::default(), first_page(9)),
            store.postbacks(PostbackFilter::default(), first_page(9)),
            store.deliveries(DeliveryFilter::default(), first_page(9)),
            store.conversion(id),
        )
    };
    let meanwhile = async {
        slow.wait_for(2).await;
        let another = store.arrive(sale("t2").forward().arrival()).await.unwrap();
        slow.let_go();
        another
    };
    let ((conversions, postbacks, deliveries, trace), _) = tokio::join!(reads, meanwhile);
    assert!(!conversions.unwrap().items.is_empty());
    assert!(!postbacks.unwrap().items.is_empty());
    assert!(!deliveries.unwrap().items.is_empty());
    assert_eq!(trace.unwrap().unwrap().conversion.transaction_id.as_deref(), Some("t1"));
    assert_eq!(slow.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_delivery_claimed_while_its_retry_is_written_goes_to_no_one_else() {
    let slow = Arc::new(Slow::default());
    let store = Arc::new(open(&slow));
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let claim = async |now| {
        let destination = destination("ads");
        let request = due_request(TargetId::Account(destination), at(now), 9, 9);
        store.claim(request).await.unwrap().work
    };
    let work = claim(0).await.remove(0);
    store.record(one(failed(&work, at(1), at(DAY)))).await.unwrap();
    slow.slow_commits.store(true, Ordering::SeqCst);
    let meanwhile = async {
        slow.wait_for(1).await;
        let claimed = store.claim(probe_request(account("ads"), at(0))).await.unwrap().work.remove(0);
        slow.let_go();
        claimed
    };
    let (retried, claimed) = tokio::join!(store.retry(work.id.clone(), at(5), AgeRule::Counts), meanwhile);
    assert_eq!(retried.unwrap().unwrap().state, DeliveryState::Waiting { due: at(5) });
    assert_eq!(claimed.id, work.id);
    assert_eq!(claim(DAY).await.len(), 0, "it is out already");
    let counted = async |now| {
        let all = store.backlog(at(now)).await.unwrap().remove(0);
        (all.waiting, all.due, all.oldest_due)
    };
    assert_eq!(counted(5).await, (1, 1, Some(at(5))));
    store.release(vec![claimed.lease.token]).await.unwrap();
    let again = claim(5).await.remove(0);
    assert_eq!(again.delivery.state, DeliveryState::Waiting { due: at(5) });
    store.record(one(failed(&again, at(6), at(7)))).await.unwrap();
    assert_eq!(counted(7).await, (1, 1, Some(at(7))));
    assert_eq!(claim(6).await.len(), 0, "not due again yet");
    assert_eq!(claim(7).await.len(), 1);
}

#[tokio::test]
async fn what_is_recorded_late_is_handed_to_no_one_else_while_it_is_written() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let claim = async |account| store.claim(due_request(account, at(DAY), 9, 9)).await.unwrap().work;
    let work = claim(account("ads")).await.remove(0);
    slow.clock.pass(LEASE);
    // As soon as anyone asks, the lease has run out: the delivery waits in its place again.
    assert!(claim(account("other")).await.is_empty());
    slow.slow_commits.store(true, Ordering::SeqCst);
    let meanwhile = async {
        slow.wait_for(1).await;
        let claimed = claim(account("ads")).await;
        slow.let_go();
        claimed
    };
    let (recorded, claimed) = tokio::join!(store.record(one(delivered(&work, at(1)))), meanwhile);
    assert_eq!((recorded.unwrap(), claimed.len()), (vec![Recorded::Settled], 0));
    assert!(claim(account("ads")).await.is_empty());
    let kept = store.conversion(work.id.conversion).await.unwrap().unwrap();
    assert!(matches!(kept.deliveries[0].0.state, DeliveryState::Delivered { .. }), "{:?}", kept.deliveries);
}

#[tokio::test]
async fn what_is_tried_again_late_waits_for_its_next_time_once_it_is_written() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let claim = async |account, now| store.claim(due_request(account, at(now), 9, 9)).await.unwrap().work;
    let work = claim(account("ads"), 0).await.remove(0);
    slow.clock.pass(LEASE);
    assert!(claim(account("other"), 0).await.is_empty());
    slow.slow_commits.store(true, Ordering::SeqCst);
    let meanwhile = async {
        slow.wait_for(1).await;
        assert!(claim(account("ads"), 0).await.is_empty());
        slow.let_go();
    };
    let (recorded, ()) = tokio::join!(store.record(one(failed(&work, at(1), at(7)))), meanwhile);
    assert_eq!(recorded.unwrap(), [Recorded::Settled]);
    assert!(claim(account("ads"), 6).await.is_empty());
    let again = claim(account("ads"), 7).await;
    assert_eq!((again.len(), again[0].delivery.attempts), (1, 1));
}

#[tokio::test]
async fn a_delivery_that_is_skipped_and_retried_while_its_claim_is_read_is_handed_out_once() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let due = |now| {
        let destination = destination("ads");
        due_request(TargetId::Account(destination), at(now), 9, 9)
    };
    let id = store.claim(due(0)).await.unwrap().work.remove(0).id;
    let store = reopen(&slow, store);
    slow.slow.store(true, Ordering::SeqCst);
    let meanwhile = async {
        slow.wait_for(1).await;
        slow.slow.store(false, Ordering::SeqCst);
        assert_eq!(store.withdraw(destination("ads"), at(1)).await.unwrap(), 1);
        store.retry(id.clone(), at(5), AgeRule::Counts).await.unwrap().unwrap();
        slow.let_go();
    };
    let (claim, ()) = tokio::join!(store.claim(due(0)), meanwhile);
    assert_eq!(claim.unwrap().work.len(), 0, "it waits in the queue");
    let kept = store.conversion(id.conversion).await.unwrap().unwrap();
    assert_eq!(kept.deliveries[0].0.state, DeliveryState::Waiting { due: at(5) }, "and is found as it is");
    assert_eq!(store.claim(due(5)).await.unwrap().work.len(), 1);
    assert_eq!(store.claim(due(5)).await.unwrap().work.len(), 0);
}

#[tokio::test]
async fn what_a_claim_leaves_out_was_handed_to_no_one_and_is_no_possible_repeat() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let due = |now| due_request(account("ads"), at(now), 9, 9);
    let claimed = store.claim(due(0)).await.unwrap().work.remove(0);
    store.release(vec![claimed.lease.token]).await.unwrap();
    store.close().await.unwrap();
    let (id, store) = (claimed.id, reopen(&slow, store));
    slow.slow.store(true, Ordering::SeqCst);
    let meanwhile = async {
        slow.wait_for(1).await;
        slow.slow.store(false, Ordering::SeqCst);
        assert_eq!(store.withdraw(destination("ads"), at(1)).await.unwrap(), 1);
        slow.let_go();
    };
    let (claim, ()) = tokio::join!(store.claim(due(0)), meanwhile);
    assert_eq!(claim.unwrap().work.len(), 0);
    // Every lease of then has run out.
    slow.clock.pass(LEASE);
    assert_eq!(store.claim(due(DAY)).await.unwrap().work.len(), 0);
    store.retry(id, at(DAY), AgeRule::Counts).await.unwrap().unwrap();
    let claimed = store.claim(due(DAY)).await.unwrap().work.remove(0);
    assert!(!claimed.delivery.possible_repeat);
}

#[tokio::test]
async fn a_read_that_panics_fails_as_a_damaged_record_does_and_stops_no_dispatch() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let store = reopen(&slow, store);
    slow.panics.store(true, Ordering::SeqCst);
    let found = store.find_click("unknown").await;
    assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{found:?}");
    let due = due_request(account("ads"), at(0), 9, 9);
    assert_eq!(store.claim(due).await.unwrap().work.len(), 0, "it is left out");
    slow.panics.store(false, Ordering::SeqCst);
    assert!(store.find_click("unknown").await.unwrap().is_none());
    store.arrive(sale("t2").forward().arrival()).await.unwrap();
}

#[tokio::test]
async fn no_read_of_a_record_holds_up_what_else_runs() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    store.keep(ToKeep::Text { name: "a.js".to_owned(), text: "text".to_owned() }).await.unwrap();
    let receipt = store.arrive(sale("t2").forward().arrival()).await.unwrap();
    let which = ConversionRef::Id(conversion_of(&receipt.verdict));
    let store = reopen(&slow, store);
    let due = || due_request(account("ads"), at(0), 1, 0);
    // One is given back, which is in memory, while the other is claimed.
    let claimed = store.claim(due()).await.unwrap().work.remove(0);
    slow.slow.store(true, Ordering::SeqCst);
    let unknown = ClickId::parse("unknown").unwrap();
    // All others wait at once, on this one thread.
    let reads = async {
        tokio::join!(
            store.click(&unknown),
            store.find_click("unknown"),
            store.kept_text("a.js".to_owned()),
            store.conversion_now(which),
            store.claim(due()),
            store.release(vec![claimed.lease.token]),
        )
    };
    let meanwhile = async {
        slow.wait_for(5).await;
        slow.let_go();
    };
    let ((click, found, text, conversion, claim, released), ()) = tokio::join!(reads, meanwhile);
    assert!(click.unwrap().is_none() && found.unwrap().is_none());
    assert_eq!(text.unwrap().as_deref(), Some("text"));
    assert!(conversion.unwrap().is_some());
    assert_eq!(claim.unwrap().work.len(), 1);
    released.unwrap();
}

#[tokio::test]
async fn no_delivery_waits_until_what_strangers_look_for_is_read() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    for sent in ["t1", "t2"] {
        store.arrive(sale(sent).forward().arrival()).await.unwrap();
    }
    let due = || due_request(account("ads"), at(0), 1, 0);
    let store = reopen(&slow, store);
    slow.slow.store(true, Ordering::SeqCst);
    let strangers = (0..100).map(|_| store.kept_text("unknown".to_owned()));
    let dispatch =
        async { tokio::join!(store.claim(due()), store.claim(probe_request(account("ads"), at(0))),) };
    let reads = async { tokio::join!(join_all(strangers), dispatch) };
    let meanwhile = async {
        slow.wait_for(32 + 2).await;
        slow.let_go();
    };
    let ((texts, (claim, oldest)), ()) = tokio::join!(reads, meanwhile);
    assert!(texts.into_iter().all(|text| text.unwrap().is_none()), "none waited in vain");
    assert_eq!(claim.unwrap().work.len(), 1);
    assert_eq!(oldest.unwrap().work.len(), 1);
}

#[tokio::test]
async fn what_is_in_memory_is_answered_at_once_however_slow_the_disk_is() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    let arrival = ClickArrival { click: click("c1"), screening: Screening::None };
    store.record_click(arrival).await.unwrap();
    slow.slow.store(true, Ordering::SeqCst);
    let found = store.find_click("c1").now_or_never().expect("the click is in memory");
    assert_eq!(found.unwrap().unwrap().click.id.as_str(), "c1");
    let nothing = due_request(account("ads"), at(0), 9, 9);
    let claim = store.claim(nothing).now_or_never().expect("that nothing is due is in memory");
    assert!(claim.unwrap().work.is_empty());
    slow.slow.store(false, Ordering::SeqCst);
    store.arrive(sale("t1").click("c1").arrival()).await.unwrap();
    slow.slow.store(true, Ordering::SeqCst);
    let due = due_request(account("ads"), at(0), 9, 9);
    let claim =
        store.claim(due).now_or_never().expect("what was received just now is in memory, with its click");
    assert_eq!(claim.unwrap().work.remove(0).click.unwrap().id.as_str(), "c1");
    assert_eq!(slow.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_claim_that_no_one_waits_for_any_more_gives_its_leases_back() {
    let slow = Arc::new(Slow::default());
    let store = open(&slow);
    store.arrive(sale("t1").forward().arrival()).await.unwrap();
    let store = reopen(&slow, store);
    slow.slow.store(true, Ordering::SeqCst);
    let due = || due_request(account("ads"), at(0), 9, 9);
    let (mut claim, mut oldest) = (store.claim(due()), store.claim(probe_request(account("ads"), at(0))));
    assert!((&mut claim).now_or_never().is_none());
    // Nothing is left for this one, so that it may be answered by now.
    let _none_or_not_yet = (&mut oldest).now_or_never();
    drop((claim, oldest));
    slow.slow.store(false, Ordering::SeqCst);
    slow.let_go();
    let claimed = async {
        loop {
            let work = store.claim(due()).await.unwrap().work;
            if !work.is_empty() {
                return work;
            }
            tokio::task::yield_now().await;
        }
    };
    let claimed = tokio::time::timeout(Duration::from_secs(10), claimed).await;
    assert_eq!(claimed.expect("the lease is given back").len(), 1);
}
