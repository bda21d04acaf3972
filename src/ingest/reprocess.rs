//! Postbacks that take back a sale which was not known when they were received: each is reprocessed as
//! soon as its sale is.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::ids::{Seq, SourceId};
use crate::ingest::postback::{self, Network, ReprocessError};
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::{ASK_AGAIN_AFTER, Outage};
use crate::store::contract::subscription::SignalOf;

/// How many are reprocessed between two looks at whether to stop.
const AT_ONCE: usize = 64;

/// Reprocesses whatever is ready, until nothing more is. Answers how many were.
///
/// # Errors
/// Only the store's.
pub async fn step(
    store: &dyn Store,
    network: &(dyn Fn(&SourceId) -> Option<Network> + Send + Sync),
    clock: &Clock,
) -> Result<usize, StoreError> {
    let ready = store.reversals_ready(AT_ONCE).await?;
    for seq in &ready {
        match again(store, network, *seq, clock).await {
            Ok(receipt) => report(*seq, receipt.verdict.as_str()),
            Err(ReprocessError::Store(error @ StoreError::Corrupt { .. })) => {
                tracing::error!(postback = %seq, %error, "a reversal cannot be read and was not reprocessed");
            }
            Err(ReprocessError::Store(error)) => return Err(error),
            // It stays in the quarantine, where a person sees why.
            Err(ReprocessError::Refused(refused)) => {
                let (reason_code, reason) = (refused.code().as_str(), refused.sentence());
                tracing::warn!(postback = %seq, reason_code, reason, "a reversal was not reprocessed");
            }
        }
    }
    Ok(ready.len())
}

/// Reprocesses one; a store that does not answer is asked until it does, as this one is handed out once. It is one
/// arrival however often it is asked for, since the store may have written it.
async fn again(
    store: &dyn Store,
    network: &(dyn Fn(&SourceId) -> Option<Network> + Send + Sync),
    seq: Seq,
    clock: &Clock,
) -> Result<Receipt, ReprocessError> {
    let arrival = loop {
        match postback::prepared(store, network, seq, clock.now()).await {
            Err(ReprocessError::Store(StoreError::Unavailable { .. })) => {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            done => break done?,
        }
    };
    loop {
        match store.arrive(arrival.clone()).await {
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(ASK_AGAIN_AFTER).await,
            done => return Ok(done?),
        }
    }
}

fn report(seq: Seq, verdict: &str) {
    tracing::info!(postback = %seq, verdict, "a reversal whose sale was received since was reprocessed");
}

/// Steps whenever the store says that there may be something, until `stop` turns true.
///
/// # Errors
/// Only the store's.
pub async fn run(
    store: Arc<dyn Store>,
    network: impl Fn(&SourceId) -> Option<Network> + Send + Sync,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) -> Result<(), StoreError> {
    let bell = store.signals(SignalOf::Reversals);
    let outage = Outage::default();
    loop {
        // A signal that is given meanwhile is kept, so none is missed between the look and the wait.
        let done = tokio::select! {
            biased;
            done = step(store.as_ref(), &network, &clock) => done,
            // What is asked of the store is done all the same; the rest is handed out after the next start.
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let pause = if outage.note(&done) { Some(ASK_AGAIN_AFTER) } else { None };
        if pause.is_none() && done? == AT_ONCE {
            continue;
        }
        tokio::select! {
            () = bell.signalled(), if pause.is_none() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}
