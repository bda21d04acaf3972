//! The verb for time that passes: holds that end, statuses that fall due, records past their time. In
//! small steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::ambient::Clock;
use crate::domain::time::{DAY_MS, Time};
use crate::store::{PurgeBefore, Store, StoreError};

/// How many days each kind of record is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    pub conversions_days: u32,
    pub postbacks_days: u32,
    pub clicks_days: u32,
}

impl Keep {
    /// The dates before which records are past their time.
    pub fn before(self, now: Time) -> PurgeBefore {
        let days = |days: u32| now.plus_millis(-i64::from(days) * DAY_MS);
        PurgeBefore {
            postbacks: days(self.postbacks_days),
            conversions: days(self.conversions_days),
            clicks: days(self.clicks_days),
        }
    }
}

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks for records to purge, when the last look found none.
const PURGE_EVERY: u32 = 600;
/// The most conversions whose hold is ended in one write.
const HOLDS_AT_ONCE: usize = 256;
/// The most conversions that get the status foreseen for them in one write.
const DISPOSED_AT_ONCE: usize = 1024;

/// One step: ends holds, gives statuses that are due, and purges a little when it is time to. Says whether there is more to do.
///
/// # Errors
/// Only the store's.
pub async fn step(store: &dyn Store, keep: Option<Keep>, now: Time) -> Result<bool, StoreError> {
    let ended = store.expire_holds(now, HOLDS_AT_ONCE).await?;
    let disposed = store.dispose(now, DISPOSED_AT_ONCE).await?;
    let purged_more = match keep {
        Some(keep) => store.purge(keep.before(now)).await?.more,
        None => false,
    };
    Ok(ended as usize >= HOLDS_AT_ONCE || disposed as usize >= DISPOSED_AT_ONCE || purged_more)
}

/// What the loop is told from outside, and tells.
pub struct Signals {
    pub keep: Keep,
    pub stop: watch::Receiver<bool>,
    /// Set to the time (ms) of the last finished step: the loop's sign of life.
    pub heartbeat: Arc<AtomicI64>,
}

/// Steps until `stop` turns true. Ends early, with the error, when the store fails; a record that
/// cannot be read is logged and ends nothing.
///
/// # Errors
/// Only the store's.
pub async fn run(store: Arc<dyn Store>, clock: Clock, signals: Signals) -> Result<(), StoreError> {
    let Signals { keep, mut stop, heartbeat } = signals;
    let mut since_purge = PURGE_EVERY;
    loop {
        let purge_now = since_purge >= PURGE_EVERY;
        let kept = purge_now.then_some(keep);
        let now = clock.now();
        let more = match step(store.as_ref(), kept, now).await {
            // What is damaged must not end what keeps the rest in order.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "upkeep left out what cannot be read");
                false
            }
            done => done?,
        };
        heartbeat.store(now.as_millis(), Ordering::Relaxed);
        since_purge = match (purge_now, more) {
            // More to do: go on next tick, so that purging never crowds out what arrives.
            (true, true) => PURGE_EVERY,
            (true, false) => 0,
            (false, _) => since_purge + 1,
        };
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}
