//! Whether a connection rests between two requests, since when, and the wish that it end for another's sake.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

use futures_util::task::AtomicWaker;

/// One connection's rest. Its task writes it, at no more cost than a store; the listener reads it when it
/// needs the place.
pub struct Idle {
    /// From when rests are counted: the listener's beginning.
    epoch: Instant,
    /// Microseconds from the epoch, plus 1, at which the rest began; 0 from the first byte of a request to
    /// the last of its answer.
    since: AtomicU64,
    leaving: AtomicBool,
    task: AtomicWaker,
}

impl Idle {
    /// A connection that is new at `now`: it rests until it sends something.
    pub fn new(epoch: Instant, now: Instant) -> Idle {
        let idle = Idle {
            epoch,
            since: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            task: AtomicWaker::new(),
        };
        idle.rest(now);
        idle
    }

    /// Nothing is being asked from now on.
    pub fn rest(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch);
        let micros = since.as_secs().saturating_mul(1_000_000).saturating_add(since.subsec_micros().into());
        self.since.store(micros.saturating_add(1), Ordering::Relaxed);
    }

    /// The first bytes of a request are here.
    pub fn wake_up(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// When the rest began, as a number that only has an order; `None` while a request is under way.
    pub fn since(&self) -> Option<u64> {
        Some(self.since.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// Asks the connection to end. If a request reaches it first, it is answered before.
    pub fn ask_to_leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.task.wake();
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// The connection's task, to be woken when it is asked to leave.
    pub fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Waits until it is asked to leave.
    pub async fn left(&self) {
        poll_fn(|cx| {
            self.register(cx.waker());
            if self.is_leaving() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
