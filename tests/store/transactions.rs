//! What a transaction id that is used again and again costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{sale, wait};
use postbridge::store::contract::conformance::transactions::is_accepted;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use postbridge::store::engine::memory::Memory;

/// Counts what is read from the disk.
#[derive(Default)]
struct Counting {
    inner: Memory,
    reads: AtomicU64,
}

impl Kv for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.inner.commit(batch, passed)
    }
}

#[test]
fn a_constant_transaction_id_costs_the_ten_thousandth_sale_no_more_reads_than_the_hundredth() {
    let kv = Arc::new(Counting::default());
    let store = Embedded::open(Arc::clone(&kv) as Arc<dyn Kv>, usual_rules()).unwrap();
    let mut next = 0;
    let mut reads_of = |sales: u64| {
        let before = kv.reads.load(Ordering::Relaxed);
        let reported: Vec<_> = (next..next + sales)
            .map(|number| store.arrive(sale("PURCHASE").click(&format!("c{number}")).arrival()))
            .collect();
        next += sales;
        assert!(reported.into_iter().all(|reported| is_accepted(&wait(reported).unwrap())));
        (kv.reads.load(Ordering::Relaxed) - before) as f64 / sales as f64
    };
    reads_of(100);
    let early = reads_of(500);
    reads_of(9_000);
    let late = reads_of(500);
    assert!(late <= early * 1.1 + 0.5, "{early} reads a sale at first, {late} at last");
    // A sale with an id of its own asks the disk for nothing but its click.
    let before = kv.reads.load(Ordering::Relaxed);
    wait(store.arrive(sale("an-id-of-its-own").click("c-1").arrival())).unwrap();
    assert!(kv.reads.load(Ordering::Relaxed) - before <= 1, "only the click is looked for");
}
