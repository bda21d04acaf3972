//! A connection's one timer: armed only when there is something to wait for, moved only when it must be; and how
//! long its client may leave answers untaken: it has some time, and gets it back only by taking enough.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::ConnectionLimits;
use crate::clock;

/// What a connection waits for. Each has its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionWait {
    /// The first byte of a new connection.
    First,
    /// The first byte of the next request.
    Next,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

impl ConnectionWait {
    fn limit(self, limits: &ConnectionLimits) -> Duration {
        match self {
            ConnectionWait::First => limits.head.min(limits.idle),
            ConnectionWait::Next => limits.idle,
            ConnectionWait::Head => limits.head,
            ConnectionWait::Body => limits.body,
        }
    }
}

/// The timer. Between two requests only a clock is read: an alarm that is due too early is moved when
/// it rings, and one that would ring too late is moved at once.
#[derive(Default)]
pub struct Timer {
    alarm: Option<Pin<Box<Sleep>>>,
    /// When the alarm rings; it holds the waker of the connection's task, which stays the same.
    rings_at: Option<Instant>,
    waiting: Option<Wait>,
}

#[derive(Clone, Copy)]
struct Wait {
    on: ConnectionWait,
    since: Instant,
    deadline: Instant,
}

impl Timer {
    /// Ready when what is waited for has not come within its limit, counted from the first call with it.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        waiting: ConnectionWait,
        limits: &ConnectionLimits,
    ) -> Poll<()> {
        let deadline = match self.waiting {
            Some(wait) if wait.on == waiting => wait.deadline,
            _ => {
                let now = clock::stopwatch();
                let deadline = now + waiting.limit(limits);
                self.waiting = Some(Wait { on: waiting, since: now, deadline });
                if self.rings_at.is_some_and(|at| now < at && at <= deadline) {
                    return Poll::Pending;
                }
                deadline
            }
        };
        self.poll_alarm(cx, deadline)
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if alarm.deadline() > deadline.into() {
            alarm.as_mut().reset(deadline.into());
        }
        loop {
            self.rings_at = Some(alarm.deadline().into());
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= deadline.into() {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline.into());
        }
    }

    /// Since when what is waited for is waited for.
    pub fn since(&self) -> Option<Instant> {
        self.waiting.map(|wait| wait.since)
    }

    /// Ready at `deadline`.
    pub fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.waiting = None;
        self.poll_alarm(cx, deadline)
    }

    /// What was waited for has come.
    pub fn stop(&mut self) {
        self.waiting = None;
    }
}

/// A client that takes fewer bytes in a second than this runs out of time.
pub const LEAST_PER_SECOND: usize = 4096;

/// What is left of a connection's time for writing. It is counted over all its answers: a byte now and then
/// does not begin it anew.
#[derive(Debug)]
pub struct WriteTime {
    most: Duration,
    left: Duration,
    /// Since when a write has made no progress.
    blocked: Option<Instant>,
}

impl WriteTime {
    /// All of it: so long may one write take that makes no progress.
    pub fn new(most: Duration) -> WriteTime {
        WriteTime { most, left: most, blocked: None }
    }

    /// Whether nothing of it is spent.
    pub fn is_whole(&self) -> bool {
        self.blocked.is_none() && self.left == self.most
    }

    /// A write makes no progress; when the time will be over, and when `spent` of it was or will be.
    pub fn block(&mut self, now: Instant, spent: Duration) -> (Instant, Instant) {
        let since = *self.blocked.get_or_insert(now);
        let spent = self.left.saturating_sub(self.most.saturating_sub(spent));
        (since + self.left, since + spent)
    }

    /// The client has taken so many bytes. Whether it was waited for.
    pub fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let since = self.blocked.take();
        let waited = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let millis = (bytes as u64).saturating_mul(1000) / LEAST_PER_SECOND as u64;
        let left = self.left.saturating_sub(waited).saturating_add(Duration::from_millis(millis));
        self.left = left.min(self.most);
        since.is_some()
    }
}
