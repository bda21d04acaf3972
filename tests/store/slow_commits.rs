//! A disk that takes what is written too slowly, or never: others are refused at once, and then the process ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::{sale, wait};
use postbridge::store::contract::conformance::fixture::work::{first_page, transactions};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::ConversionFilter;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use postbridge::store::engine::memory::Memory;
use postbridge::store::writer::{SLOW, STUCK, Watch};

/// A disk that holds each write back until it is let go.
struct Held {
    memory: Memory,
    reached: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Kv for Held {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.memory.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.memory.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.reached.send(()).unwrap();
        // Where the test is over, nothing holds it back.
        let _is_over = self.go.lock().recv().is_err();
        self.memory.commit(batch, passed)
    }
}

/// A clock that each test of its own thread of time moves on. One for each test, as it has no state but this.
macro_rules! clock {
    ($passed:ident, $clock:ident) => {
        static $passed: AtomicU64 = AtomicU64::new(0);
        fn $clock() -> Instant {
            static START: OnceLock<Instant> = OnceLock::new();
            *START.get_or_init(postbridge::clock::stopwatch)
                + Duration::from_millis($passed.load(Ordering::SeqCst))
        }
    };
}

struct SlowDisk {
    store: Embedded,
    reached: Receiver<()>,
    go: Sender<()>,
    stuck: Receiver<StoreError>,
}

fn open(clock: fn() -> Instant) -> SlowDisk {
    let ((here, reached), (go, let_go)) = (channel(), channel());
    let disk = Held { memory: Memory::new(), reached: here, go: Mutex::new(let_go) };
    let (says, stuck) = channel();
    let watch = Watch {
        clock,
        report: Arc::new(|_| {}),
        stuck: Arc::new(move |error| says.send(error.clone()).unwrap()),
    };
    go.send(()).unwrap();
    let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
    let store = Embedded::open_with(Arc::new(disk), sale("any").forward().rules(), settings).unwrap();
    reached.recv().unwrap();
    SlowDisk { store, reached, go, stuck }
}

fn pass(passed: &AtomicU64, time: Duration) {
    passed.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
}

#[test]
fn while_a_commit_takes_too_long_others_are_refused_at_once_and_taken_again_when_it_has_ended() {
    clock!(PASSED, clock);
    let disk = open(clock);
    let first = disk.store.arrive(sale("first").arrival());
    disk.reached.recv().unwrap();
    let queued = disk.store.arrive(sale("queued").arrival());
    pass(&PASSED, SLOW);
    for refused in [wait(disk.store.arrive(sale("refused").arrival())).map(drop), wait(disk.store.probe())] {
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
    assert_eq!(
        transactions(&disk.store, ConversionFilter::default()),
        Vec::<String>::new(),
        "it can be read"
    );
    for _ in 0..3 {
        disk.go.send(()).unwrap();
    }
    wait(first).unwrap();
    wait(queued).unwrap();
    wait(disk.store.arrive(sale("later").arrival())).unwrap();
    assert_eq!(transactions(&disk.store, ConversionFilter::default()), ["later", "queued", "first"]);
    assert!(disk.stuck.try_recv().is_err());
}

#[test]
fn a_commit_that_never_ends_ends_the_store_and_is_not_waited_for() {
    clock!(PASSED, clock);
    let disk = open(clock);
    let first = disk.store.arrive(sale("first").arrival());
    disk.reached.recv().unwrap();
    pass(&PASSED, STUCK);
    let error = disk.stuck.recv_timeout(Duration::from_secs(20)).expect("it is noticed");
    assert!(matches!(&error, StoreError::Broken { cause, .. } if cause.contains("30 s")), "{error}");
    let refused = wait(disk.store.arrive(sale("refused").arrival()));
    assert!(matches!(refused, Err(StoreError::Broken { .. })), "{refused:?}");
    let read = wait(disk.store.conversions(ConversionFilter::default(), first_page(9))).map(drop);
    assert!(matches!(read, Err(StoreError::Broken { .. })), "{read:?}");
    let closed = wait(disk.store.close());
    assert!(matches!(closed, Err(StoreError::Broken { .. })), "{closed:?}");
    drop(first);
    // The writer's thread goes on waiting for the disk: nothing that ends the process waits for it.
    drop(disk.store);
    drop(disk.go);
}
