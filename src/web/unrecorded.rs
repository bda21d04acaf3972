//! Clicks whose visitors were sent on without a record: how many, why, and when. Counted, logged once a
//! minute, and shown for a day.

use metrics::Counter;
use parking_lot::Mutex;

use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// Why a click is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnrecordedReason {
    /// Its address has more than twice the clicks a second that one address may have.
    Rate,
    /// Its address has its part of the bytes that all may have.
    AddressBytes,
    /// All addresses together have all the bytes they may have.
    Bytes,
    /// Free disk space is below the reserve.
    Disk,
}

impl UnrecordedReason {
    const ALL: [UnrecordedReason; 4] = [
        UnrecordedReason::Rate,
        UnrecordedReason::AddressBytes,
        UnrecordedReason::Bytes,
        UnrecordedReason::Disk,
    ];

    /// As metrics and logs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            UnrecordedReason::Rate => "rate",
            UnrecordedReason::AddressBytes => "address_bytes",
            UnrecordedReason::Bytes => "bytes",
            UnrecordedReason::Disk => "disk",
        }
    }

    /// What happened, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            UnrecordedReason::Rate => {
                "one address had more than twice `[links] max_per_second_per_ip`; raise it if they were buyers"
            }
            UnrecordedReason::AddressBytes => {
                "one address had an eighth of `[links] max_kib_per_second`; raise it if they were buyers"
            }
            UnrecordedReason::Bytes => {
                "all addresses together had `[links] max_kib_per_second`; raise it if they were buyers"
            }
            UnrecordedReason::Disk => "free disk space is below `[store] reserve_mb`; free some space",
        }
    }
}

/// What is known of them. Outlives a reload of the configuration.
pub struct Unrecorded {
    counters: [(UnrecordedReason, Counter); 4],
    recent: Mutex<RecentCounts>,
}

#[derive(Default)]
struct RecentCounts {
    /// Hours since the epoch with their counts: those of the last day.
    hours: Vec<(i64, u64)>,
    last: Option<(Time, UnrecordedReason)>,
    /// Not logged yet.
    unlogged: u64,
    logged_at: Option<Time>,
}

/// What happened within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDay {
    /// How many clicks since it began.
    pub count: u64,
    /// When the latest was not recorded.
    pub last: Time,
    /// Why the latest was not.
    pub reason: UnrecordedReason,
}

/// A log line goes out at most this often.
const LOG_EVERY_MS: i64 = 60_000;

impl Default for Unrecorded {
    fn default() -> Unrecorded {
        let counter = |reason: UnrecordedReason| {
            (
                reason,
                metrics::counter!("postbridge_unrecorded_clicks_total", "reason_code" => reason.as_str()),
            )
        };
        Unrecorded { counters: UnrecordedReason::ALL.map(counter), recent: Mutex::default() }
    }
}

impl Unrecorded {
    /// Counts one more.
    pub fn count(&self, reason: UnrecordedReason, now: Time) {
        if let Some((_, counter)) = self.counters.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
        let mut recent = self.recent.lock();
        let hour = now.as_millis().div_euclid(HOUR_MS);
        match recent.hours.iter_mut().rfind(|(known, _)| *known == hour) {
            Some((_, count)) => *count += 1,
            None => {
                // A clock that was set back has counted later hours: they are of the last day too.
                let day = DAY_MS / HOUR_MS;
                recent.hours.retain(|(known, _)| (hour - day..=hour + day).contains(known));
                recent.hours.push((hour, 1));
            }
        }
        recent.last = Some((now, reason));
        recent.unlogged += 1;
    }

    /// Those of the last 24 hours, to the hour; `None` where there were none.
    pub fn last_day(&self, now: Time) -> Option<LastDay> {
        let recent = self.recent.lock();
        let (last, reason) = recent.last.filter(|(last, _)| now.millis_since(*last) < DAY_MS)?;
        let first = now.as_millis().div_euclid(HOUR_MS) - DAY_MS / HOUR_MS;
        let count = recent.hours.iter().filter(|(hour, _)| *hour >= first).map(|(_, count)| count).sum();
        Some(LastDay { count, last, reason })
    }

    /// Writes the line that is due, if one is.
    pub fn log(&self, now: Time) {
        if let Some((count, reason)) = self.to_log(now) {
            let (code, why) = (reason.as_str(), reason.sentence());
            tracing::warn!(
                count,
                reason_code = code,
                "clicks were not recorded, their visitors were sent on: {why}"
            );
        }
    }

    /// How many were not logged yet, and why the last of them was not recorded, where a line is due.
    pub fn to_log(&self, now: Time) -> Option<(u64, UnrecordedReason)> {
        let mut recent = self.recent.lock();
        let is_due = recent.logged_at.is_none_or(|at| now.millis_since(at).abs() >= LOG_EVERY_MS);
        let (_, reason) = recent.last.filter(|_| is_due && recent.unlogged > 0)?;
        recent.logged_at = Some(now);
        Some((std::mem::take(&mut recent.unlogged), reason))
    }
}
