//! What a connection waits for and since when, and the wish that it end for another's sake.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

use futures_util::task::AtomicWaker;

/// One connection's waiting. Its task writes it, at no more cost than a store; the listener reads it when it
/// needs the place.
pub struct Idle {
    /// From when times are counted: the listener's beginning.
    epoch: Instant,
    /// 0 while its request is being answered. Else twice the microseconds from the epoch, plus 2, since which it
    /// waits for its client; odd where a request has begun, or its answer is not taken.
    since: AtomicU64,
    leaving: AtomicU8,
    task: AtomicWaker,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdlePhase {
    /// The next request; nothing of it is here.
    Resting,
    /// The rest of a request, or the client to take the answer.
    Halfway,
}

/// [`Idle::leaving`]: not asked; asked while it rested, and a request that is faster is answered; asked halfway.
const STAYS: u8 = 0;
const LEAVES: u8 = 1;
const IS_CUT: u8 = 2;

impl Idle {
    /// A connection that is new at `now`: it rests until it sends something.
    pub fn new(epoch: Instant, now: Instant) -> Idle {
        let idle =
            Idle { epoch, since: AtomicU64::new(0), leaving: AtomicU8::new(STAYS), task: AtomicWaker::new() };
        idle.rest(now);
        idle
    }

    /// Nothing is being asked from now on.
    pub fn rest(&self, now: Instant) {
        self.since.store(self.place_of(now), Ordering::Relaxed);
    }

    /// A request has begun, or an answer is not taken, and from `since` on the client is what is waited for;
    /// where it was waited for already, that stays.
    pub fn wait_halfway(&self, since: Instant) {
        let before = self.since.load(Ordering::Relaxed);
        if before & 1 == 0 {
            self.since.store(self.place_of(since) | 1, Ordering::Relaxed);
        }
    }

    /// Bytes of a request are here: it does not rest any more.
    pub fn wake_up(&self) {
        if self.since.load(Ordering::Relaxed) & 1 == 0 {
            self.since.store(0, Ordering::Relaxed);
        }
    }

    /// A request is whole, or its answer is being taken.
    pub fn answer(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// What it waits for, and since when, as a number that only has an order; `None` while a request is being
    /// answered.
    pub fn waits(&self) -> Option<(IdlePhase, u64)> {
        let since = self.since.load(Ordering::Relaxed);
        let waits = if since & 1 == 0 { IdlePhase::Resting } else { IdlePhase::Halfway };
        (since > 0).then_some((waits, since >> 1))
    }

    /// The number that [`Idle::waits`] has for a wait that began then.
    pub fn number_of(&self, then: Instant) -> u64 {
        self.place_of(then) >> 1
    }

    fn place_of(&self, then: Instant) -> u64 {
        let since = then.saturating_duration_since(self.epoch);
        let micros = since.as_secs().saturating_mul(1_000_000).saturating_add(since.subsec_micros().into());
        micros.saturating_add(1).saturating_mul(2) & !1
    }

    /// Asks the connection to end. One that rests answers a request that reaches it first.
    pub fn ask_to_leave(&self, waits: IdlePhase) {
        let leaving = if waits == IdlePhase::Resting { LEAVES } else { IS_CUT };
        self.leaving.store(leaving, Ordering::Release);
        self.task.wake();
    }

    /// Whether it was asked to end after the answer that is on its way.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) != STAYS
    }

    /// Whether it is to end in the middle of a request, or of an answer that is not taken.
    pub fn is_cut(&self) -> bool {
        self.leaving.load(Ordering::Acquire) == IS_CUT
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
