//! The verb for time that passes: deliveries that expire, holds that end, statuses that fall due, records past their time,
//! destinations that were not put back. In small steps, and not by a clock that is not believed.

mod retention;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::domain::age_clock::FAR_MS;
use crate::domain::clock_rule::{ClockChange, ClockRecord, Doubt, Reminder};
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::DestinationId;
use crate::domain::time::{HOUR_MS, LineLimit, MINUTE_MS, Time};
use crate::maintenance::retention::Retention;
use crate::store::contract::Store;
use crate::store::contract::change::Purged;
use crate::store::contract::erasure::ErasureStep;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::{RemovedDestinations, ToKeep};
use crate::store::contract::outage::Outage;
use crate::store::contract::work::{Backlog, Expired, FallsDue};

pub use self::retention::{FolderSpace, RetentionDays};

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// The most conversions whose hold is ended in one write.
const HOLDS_AT_ONCE: usize = 256;
/// The most deliveries that are ended in one write because their events are too old, and in how many writes a tick.
const EXPIRED_AT_ONCE: usize = 256;
const EXPIRING_WRITES: usize = 8;
/// The most conversions that get the status foreseen for them in one write.
const DISPOSED_AT_ONCE: usize = 1024;
/// How much may be lost of what is known of the clock when the process is killed, in milliseconds.
const CLOCK_KEPT_MS: i64 = HOUR_MS;
/// The same while it is not believed.
const DOUBT_KEPT_MS: i64 = 5 * MINUTE_MS;
/// How much of a second goes on erasing, in milliseconds, where there is anything to erase.
const ERASING_MS: i64 = 400;
/// How often destinations are looked for that are not configured any more, in milliseconds of running.
const REMOVED_EVERY_MS: i64 = 5_000;

/// One step: ends holds, gives statuses that are due, and purges a little when it is time to. Says what was
/// purged, if it was time to, and whether there is more to do.
///
/// # Errors
/// Only the store's.
pub async fn step(
    store: &dyn Store,
    keep: Option<RetentionDays>,
    now: Time,
) -> Result<(Option<Purged>, bool), StoreError> {
    let ended = store.fall_due(FallsDue::Holds, now, HOLDS_AT_ONCE).await?.count();
    let disposed = store.fall_due(FallsDue::Dispositions, now, DISPOSED_AT_ONCE).await?.count();
    let purged = match keep {
        Some(keep) => Some(store.purge(keep.before(now)).await?),
        None => None,
    };
    let more =
        ended >= HOLDS_AT_ONCE || disposed >= DISPOSED_AT_ONCE || purged.is_some_and(|purged| purged.more);
    Ok((purged, more))
}

/// From now on the clock is believed only as far as what is stored allows.
///
/// # Errors
/// Only the store's.
pub async fn watch_clock(store: &dyn Store, clock: &Clock) -> Result<(), StoreError> {
    let facts = store.operator_facts().await?;
    clock.go_by(facts.clock, facts.newest);
    log_believed(clock, clock.observe());
    Ok(())
}

fn log_believed(clock: &Clock, change: Option<ClockChange>) {
    if change == Some(ClockChange::Believed) {
        tracing::info!(now = %clock.now(), "the clock is believed again: retention goes on");
    }
}

/// As an attempt that ends so is counted.
fn count_expired(expired: &Expired) {
    let (counter, reason_code) = match &expired.state {
        DeliveryState::Dead { reason, .. } => ("postbridge_dead_total", reason.code().as_str()),
        DeliveryState::Skipped { reason, .. } => ("postbridge_skipped_total", reason.code().as_str()),
        _ => return,
    };
    for name in ["postbridge_attempts_total", counter] {
        let destination = expired.id.destination.to_string();
        metrics::counter!(name, "destination" => destination, "reason_code" => reason_code).increment(1);
    }
}

fn log_doubt(doubt: &Doubt) {
    tracing::warn!(
        reason_code = doubt.code().as_str(),
        shown = %doubt.wall,
        believed = %doubt.believed,
        until = %doubt.until,
        hint = %doubt.hint(),
        "the clock is more than 48 h away from the newest time on record: retention is paused, nothing is deleted \
         and no hold ends"
    );
}

/// What the loop receives from outside, and reports.
pub struct MaintenanceSignals {
    /// How long things are kept.
    pub keep: RetentionDays,
    /// The destinations that are configured now.
    pub configured: Arc<dyn Fn() -> HashSet<DestinationId> + Send + Sync>,
    /// Those that a reload configured since this was looked at last, perhaps not for long.
    pub put_back: Arc<Mutex<HashSet<DestinationId>>>,
    /// True once the relay stops.
    pub stop: watch::Receiver<bool>,
    /// How much room the data folder takes, as far as it is measured.
    pub space: Arc<FolderSpace>,
    /// Set to the clock's `running_ms` at the end of each step: the loop's sign of life.
    pub heartbeat: Arc<AtomicI64>,
}

/// The loop's state between two ticks.
pub struct Maintenance {
    store: Arc<dyn Store>,
    clock: Clock,
    signals: MaintenanceSignals,
    retention: Retention,
    kept: Option<ClockRecord>,
    reminder: Reminder,
    /// A time is believed that is far from the one before, and nothing was timed anew since.
    jumped: bool,
    /// When destinations were looked for that are gone, in milliseconds of running.
    looked_for_removed: Option<i64>,
    /// The log lines about deliveries that expired.
    expired_lines: LineLimit,
    outage: Outage,
}

impl Maintenance {
    /// A loop that has looked at nothing yet.
    pub fn new(store: Arc<dyn Store>, clock: Clock, signals: MaintenanceSignals) -> Maintenance {
        let retention = Retention::new(Arc::clone(&signals.space));
        Maintenance {
            store,
            clock,
            signals,
            retention,
            kept: None,
            reminder: Reminder::default(),
            jumped: false,
            looked_for_removed: None,
            expired_lines: LineLimit::default(),
            outage: Outage::default(),
        }
    }

    /// Ticks until asked to stop. Ends early, with the error, when the store fails; a record that cannot be
    /// read is logged and ends nothing, nor does a store that does not answer for a while.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn run(mut self) -> Result<(), StoreError> {
        let mut stop = self.signals.stop.clone();
        loop {
            let ticked = self.tick().await;
            // What is not there now is asked again at the next tick.
            let is_unavailable = self.outage.note(&ticked);
            match ticked {
                // What is damaged must not end what keeps the rest in order.
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "maintenance left out what cannot be read");
                    self.retention.put_off();
                }
                Err(_) if is_unavailable => {}
                done => done?,
            }
            self.signals.heartbeat.store(self.clock.running_ms().max(1), Ordering::Relaxed);
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    /// Does what is due at this moment. By a clock that is not believed nothing is.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn tick(&mut self) -> Result<(), StoreError> {
        log_believed(&self.clock, self.clock.observe());
        match self.clock.doubt() {
            Some(doubt) if self.reminder.is_due(self.clock.reading()) => log_doubt(&doubt),
            Some(_) => {}
            None => self.reminder = Reminder::default(),
        }
        self.keep_clock().await?;
        let now = self.clock.now();
        match self.erase(now).await {
            // What is left to do then goes on all the same.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "erasing left out what cannot be read")
            }
            erased => erased?,
        }
        let is_believed = self.clock.believes(now);
        self.look_for_removed(now, is_believed).await?;
        if !is_believed {
            // Nothing is deleted meanwhile, and that is seen.
            self.retention.show(self.signals.keep, now, self.clock.running_ms());
            return Ok(());
        }
        self.expire(now).await?;
        let purge_now = self.retention.is_due();
        let keep = purge_now.then_some(self.signals.keep);
        let began = self.clock.running_ms();
        let (purged, mut more) = step(self.store.as_ref(), keep, now).await?;
        if let Some(purged) = purged {
            self.retention.note(purged);
            if purged.more {
                more = self.purge_on(began, now).await?;
            }
        }
        self.retention.end_tick(purge_now, more);
        self.retention.show(self.signals.keep, now, self.clock.running_ms());
        Ok(())
    }

    /// Whether a pass through what is past its days goes on.
    pub fn is_purging(&self) -> bool {
        self.retention.is_purging()
    }

    /// Goes on purging for a bounded part of the second that began then. Answers whether there is more.
    async fn purge_on(&mut self, began: i64, now: Time) -> Result<bool, StoreError> {
        let budget = self.retention.begin_tick();
        while self.clock.running_ms() - began < budget {
            let purged = self.store.purge(self.signals.keep.before(now)).await?;
            self.retention.note(purged);
            if !purged.more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on with the erasures that are not done, for a bounded part of each second. By a clock that is not believed
    /// too: what they erase was received before they were asked for, whatever time it is.
    async fn erase(&self, now: Time) -> Result<(), StoreError> {
        let began = self.clock.running_ms();
        loop {
            let ErasureStep { erased, more } = self.store.erase_step(now).await?;
            if erased.total() > 0 {
                metrics::counter!("postbridge_erased_total").increment(erased.total());
            }
            if !more || self.clock.running_ms() - began >= ERASING_MS {
                return Ok(());
            }
        }
    }

    /// Ends what waits past the last moment at which its platform takes it, however the destination is doing. A long
    /// queue is ended over several ticks, so that it never crowds out what is received.
    async fn expire(&mut self, now: Time) -> Result<(), StoreError> {
        for _ in 0..EXPIRING_WRITES {
            let expired = self.store.fall_due(FallsDue::Expiry, now, EXPIRED_AT_ONCE).await?.deliveries();
            expired.iter().for_each(count_expired);
            if let Some(first) = expired.first() {
                self.log_expired(first, expired.len(), now);
            }
            if expired.len() < EXPIRED_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// A line a minute; `left_out` were not named since the last one.
    fn log_expired(&mut self, first: &Expired, count: usize, now: Time) {
        if let Some(left_out) = self.expired_lines.admit(now) {
            tracing::warn!(
                destination = %first.id.destination,
                count,
                left_out,
                "events grew too old for the platform before they could be sent: see that the destination is sent to \
                 in time"
            );
        }
    }

    async fn keep_clock(&mut self) -> Result<(), StoreError> {
        let Some(record) = self.clock.record() else { return Ok(()) };
        let is_old = self.kept.is_none_or(|kept| {
            let believed = record.believed.millis_since(kept.believed);
            let aged = record.age.now.millis_since(kept.age.now);
            match (kept.doubt, record.doubt) {
                (Some(kept), Some(doubt)) => {
                    aged.max((doubt.agreed_ms - kept.agreed_ms).abs()) >= DOUBT_KEPT_MS
                }
                (None, None) => !(0..CLOCK_KEPT_MS).contains(&believed),
                _ => true,
            }
        });
        if is_old {
            let is_far = |kept: ClockRecord| record.believed.millis_since(kept.believed).abs() > FAR_MS;
            self.jumped |= self.kept.is_some_and(is_far);
            self.store.keep(ToKeep::Clock(record)).await?;
            self.kept = Some(record);
        }
        Ok(())
    }

    /// Remembers which destinations are gone for which something waits, forgets those that are back, and
    /// skips what waits for one that was not put back in time.
    async fn look_for_removed(&mut self, now: Time, is_believed: bool) -> Result<(), StoreError> {
        let running = self.clock.running_ms();
        if self.looked_for_removed.is_some_and(|last| running - last < REMOVED_EVERY_MS) {
            return Ok(());
        }
        self.looked_for_removed = Some(running);
        let put_back = std::mem::take(&mut *self.signals.put_back.lock());
        let done = self.keep_removed(now, is_believed, &put_back).await;
        match done {
            Ok(()) => self.jumped = false,
            // They are to be timed anew all the same.
            Err(_) => self.signals.put_back.lock().extend(put_back),
        }
        done
    }

    async fn keep_removed(
        &self,
        now: Time,
        is_believed: bool,
        put_back: &HashSet<DestinationId>,
    ) -> Result<(), StoreError> {
        let known = self.store.operator_facts().await?.removed;
        let backlog = self.store.backlog(now).await?.into_iter().filter(Backlog::is_unfinished);
        let awaited = backlog.filter_map(|backlog| backlog.destination);
        let mut removed = RemovedDestinations::new();
        let is_timed_anew = |id: &DestinationId| put_back.contains(id) || self.jumped;
        let configured = (self.signals.configured)();
        for id in awaited.filter(|id| !configured.contains(id)) {
            // Later than now: by a clock that was set back since.
            let since = known.get(&id).copied().filter(|since| *since <= now && !is_timed_anew(&id));
            if is_believed && since.is_some_and(|since| self.signals.keep.removed_until(since) <= now) {
                self.withdraw(&id, now).await?;
                continue;
            }
            if since.is_none() {
                // By a time that may be wrong nothing begins either.
                if !is_believed {
                    continue;
                }
                tracing::warn!(
                    destination = %id,
                    until = %self.signals.keep.removed_until(now),
                    "the destination is not configured any more: what waits for it is kept for a while"
                );
            }
            removed.insert(id, since.unwrap_or(now));
        }
        if removed != known {
            self.store.keep(ToKeep::Removed(removed)).await?;
        }
        Ok(())
    }

    /// Until nothing is left: what was committed together with the first try is seen by the next. A reload may put
    /// the destination back at any moment.
    async fn withdraw(&self, id: &DestinationId, now: Time) -> Result<(), StoreError> {
        while !(self.signals.configured)().contains(id) {
            match self.store.withdraw(id.clone(), now).await? {
                0 => break,
                count => {
                    tracing::warn!(destination = %id, count, "deliveries of a removed destination were skipped");
                }
            }
        }
        Ok(())
    }
}
