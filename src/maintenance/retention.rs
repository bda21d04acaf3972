//! Retention: how much of each second goes on what is past its days, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::time::{DAY_MS, HOUR_MS, Time};
use crate::store::contract::change::{OldestRecords, PurgeBefore, Purged, PurgedRecords};

/// How long each kind of record is kept.
#[derive(Debug, Clone, Copy)]
pub struct RetentionDays {
    /// Conversions, with their deliveries and attempts.
    pub conversions_days: u32,
    /// The raw postbacks.
    pub postbacks_days: u32,
    /// Clicks, and answers about consent.
    pub clicks_days: u32,
    /// How long what waits for a destination is kept that is not configured any more.
    pub removed_hours: u32,
}

impl RetentionDays {
    /// The dates before which records are past their time.
    pub fn before(self, now: Time) -> PurgeBefore {
        let days = |days: u32| now.plus_millis(-i64::from(days) * DAY_MS);
        PurgeBefore {
            postbacks: days(self.postbacks_days),
            conversions: days(self.conversions_days),
            clicks: days(self.clicks_days),
        }
    }

    /// When what waits for a destination is skipped that was removed then.
    pub fn removed_until(self, removed_at: Time) -> Time {
        removed_at.plus_hours(i64::from(self.removed_hours))
    }
}

/// How much room the data folder takes, and what is left on its disk, in bytes; 0 until it was measured.
#[derive(Debug, Default)]
pub struct FolderSpace {
    /// The journal's files.
    pub journal: AtomicU64,
    /// The index's.
    pub index: AtomicU64,
    /// What is free on the disk.
    pub free: AtomicU64,
}

/// Ticks between two looks for records to purge, when the last look found none.
const PURGE_EVERY: u32 = 600;
/// How much of a second goes on purging, in milliseconds; and how much, and after how many such seconds, where that is not
/// enough. Most of it is reading, which holds up no one.
const PURGING_MS: i64 = 100;
const PURGING_BEHIND_MS: i64 = 800;
const BEHIND_TICKS: u32 = 5;

/// Where retention is.
pub struct Retention {
    /// Ticks since the last look.
    since: u32,
    /// For how many ticks the present pass has been going on.
    ticks: u32,
    /// What was purged since the last line in the log.
    purged: PurgedRecords,
    oldest: OldestRecords,
    behind_ms: i64,
    /// When the last line was logged, in milliseconds of running.
    logged: i64,
    space: Arc<FolderSpace>,
}

impl Retention {
    /// Nothing was looked at yet.
    pub fn new(space: Arc<FolderSpace>) -> Retention {
        let (purged, oldest) = Default::default();
        Retention { since: PURGE_EVERY, ticks: 0, purged, oldest, behind_ms: 0, logged: 0, space }
    }

    /// Whether it is time to look.
    pub fn is_due(&self) -> bool {
        self.since >= PURGE_EVERY
    }

    /// Whether a pass goes on.
    pub fn is_purging(&self) -> bool {
        self.ticks > 0
    }

    /// One more tick of the pass that goes on begins. Answers how much of its second is for purging, in milliseconds: more
    /// where it has not kept up for a while.
    pub fn begin_tick(&mut self) -> i64 {
        self.ticks += 1;
        if self.ticks > BEHIND_TICKS { PURGING_BEHIND_MS } else { PURGING_MS }
    }

    /// A tick has ended. `looked`: it was time to look; `more`: there is more to do, which the next tick goes on with, so
    /// that purging never crowds out what is received.
    pub fn end_tick(&mut self, looked: bool, more: bool) {
        self.since = match (looked, more) {
            (true, true) => PURGE_EVERY,
            (true, false) => 0,
            (false, _) => self.since + 1,
        };
    }

    /// The look failed at what cannot be read: the next one is not at once.
    pub fn put_off(&mut self) {
        self.since = if self.is_due() { 0 } else { self.since + 1 };
    }

    /// Takes note of a step.
    pub fn note(&mut self, step: Purged) {
        self.purged.add(step.records);
        for (kind, count) in step.records.by_kind() {
            metrics::counter!("postbridge_purged_total", "kind" => kind).increment(count);
        }
        self.behind_ms = if step.more { step.behind_ms } else { 0 };
        if let Some(oldest) = step.oldest {
            (self.ticks, self.oldest) = (0, oldest);
        }
    }

    /// Shows where it is, and logs a line an hour.
    pub fn show(&mut self, keep: RetentionDays, now: Time, running_ms: i64) {
        #[allow(clippy::cast_precision_loss)] // For a graph.
        {
            metrics::gauge!("postbridge_retention_behind_seconds").set(self.behind_ms as f64 / 1000.0);
            for (kind, oldest) in self.by_kind() {
                let age = oldest.map_or(0, |oldest| now.millis_since(oldest).max(0));
                metrics::gauge!("postbridge_oldest_record_seconds", "kind" => kind).set(age as f64 / 1000.0);
            }
        }
        if running_ms - self.logged < HOUR_MS {
            return;
        }
        self.logged = running_ms;
        let PurgedRecords { raw, conversions, postbacks, clicks } = std::mem::take(&mut self.purged);
        let mb = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed) >> 20;
        let time = |oldest: Option<Time>| oldest.map(|oldest| oldest.to_string()).unwrap_or_default();
        let RetentionDays { conversions_days, postbacks_days, clicks_days, .. } = keep;
        tracing::info!(
            raw,
            conversions,
            postbacks,
            clicks,
            oldest_raw = time(self.oldest.raw),
            oldest_postback = time(self.oldest.postback),
            oldest_click = time(self.oldest.click),
            behind_hours = self.behind_ms / HOUR_MS,
            conversions_days,
            postbacks_days,
            clicks_days,
            journal_mb = mb(&self.space.journal),
            index_mb = mb(&self.space.index),
            free_mb = mb(&self.space.free),
            "retention: what was purged since the last such line, and what is kept"
        );
    }

    fn by_kind(&self) -> [(&'static str, Option<Time>); 3] {
        let OldestRecords { raw, postback, click } = self.oldest;
        [("raw", raw), ("postback", postback), ("click", click)]
    }
}
