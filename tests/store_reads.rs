//! Lists and traces read the disk on threads of their own, two at a time, and hold up nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use postbridge::store::embedded::Embedded;
use postbridge::store::kv::{Batch, Kv, KvError, Span, Step, Visit};
use postbridge::store::memory::Memory;
use postbridge::store::{ConversionFilter, DeliveryFilter, PostbackFilter, Store};

use crate::store_ground::*;

/// A disk whose reads wait, once it is slow, until they are let go.
#[derive(Default)]
struct Slow {
    memory: Memory,
    slow: AtomicBool,
    waiting: AtomicUsize,
    most: AtomicUsize,
    go: Mutex<bool>,
    bell: Condvar,
}

impl Slow {
    fn pass(&self) {
        if !self.slow.load(Ordering::SeqCst) {
            return;
        }
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

    fn scan(&self, span: Span<'_>, visit: Visit<'_>) -> Result<(), KvError> {
        self.0.pass();
        self.0.memory.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.0.memory.commit(batch, passed)
    }
}

#[tokio::test]
async fn lists_and_traces_hold_up_nothing_else_and_run_two_at_a_time() {
    let slow = Arc::new(Slow::default());
    let store = Arc::new(Embedded::open(Arc::new(Disk(Arc::clone(&slow)))).unwrap());
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
        while slow.waiting.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
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
