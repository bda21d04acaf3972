//! Opening the store, and what to do where it cannot be opened or has failed.

use std::sync::Arc;

use crate::app::{disk, measure};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::domain::ruleset::Ruleset;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::embedded::{Embedded, EmbeddedSettings};
use crate::store::engine::data_folder::{FolderSettings, OpenReport};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder::says_full;
use crate::store::engine::journal::append::JournalSettings;
use crate::template::diagnostic::{Problem, access};
use crate::web::health::ProcessHealth;

/// Opens a store by a configuration, for decisions by these rules, which it is given; it may block for as long as it takes.
/// The process's health hears of what the store does.
pub type OpenStore =
    Box<dyn FnOnce(&Config, Arc<Ruleset>, &Arc<ProcessHealth>) -> Result<Arc<dyn Store>, Problem> + Send>;

/// Opens the configured data folder, for decisions by these rules, and leases that run out by this clock. `health` hears
/// of a disk that does not answer. `accept_loss` is the word by which a person goes on without what is lost.
///
/// # Errors
/// Why it cannot be opened, and the command or the step that changes that.
pub fn store(
    config: &Config,
    rules: Arc<Ruleset>,
    health: &Arc<ProcessHealth>,
    clock: &Clock,
    accept_loss: Option<String>,
) -> Result<Arc<dyn Store>, Problem> {
    let wall = clock.clone();
    let journal = JournalSettings {
        segment_bytes: u64::from(config.store.segment_mb) << 20,
        wall: Some(Arc::new(move || wall.now())),
    };
    let reserve = disk::reserve(config);
    let settings = EmbeddedSettings {
        clock: clock.monotonic(),
        watch: Some(measure::commits(health)),
        folder: FolderSettings { journal, accept_loss, reserve, ..FolderSettings::default() },
        ..EmbeddedSettings::default()
    };
    let store =
        Embedded::open_sled_with(&config.store.path, rules, settings).map_err(|error| refused(&error))?;
    note_opened(store.opened(), health);
    Ok(Arc::new(store))
}

/// What opening found in the data folder is counted, and what may be missing is said by `/readyz`.
fn note_opened(report: &OpenReport, health: &ProcessHealth) {
    metrics::counter!("postbridge_store_repairs_total").increment(report.repairs.len() as u64);
    let torn = report.torn.as_ref();
    metrics::gauge!("postbridge_store_torn_commit").set(if torn.is_some() { 1.0 } else { 0.0 });
    if let Some(last) = torn {
        let commands =
            last.torn.commands.map_or("an unknown number of".to_owned(), |commands| commands.to_string());
        health.set_notice(format!(
            "the journal ended in the middle of a commit of {commands} requests, which may have been answered: {}",
            last.is_where()
        ));
    }
}

/// As [`store`], by this clock; nothing that is lost is accepted.
pub fn by_clock(clock: &Clock) -> OpenStore {
    accepting(clock, None)
}

/// As [`store`], by this clock and with this word.
pub fn accepting(clock: &Clock, accept_loss: Option<String>) -> OpenStore {
    let clock = clock.clone();
    Box::new(move |config, rules, health| store(config, rules, health, &clock, accept_loss))
}

/// A failure while it starts, of a store that was opened.
pub fn failed(error: &StoreError) -> Problem {
    let reason = error.to_string();
    let hint = after_failure(&reason);
    Problem::new(reason, hint)
}

/// Why the rules of a new configuration were not put in force, of a store that was opened.
pub fn rules_refused(error: &StoreError) -> Problem {
    let hint = match error {
        StoreError::Unavailable { .. } => "reload once more when the log says that the store answers again",
        StoreError::Corrupt { .. } => {
            "undo what the new configuration changes of `[filters]`, or restore a backup"
        }
        _ => return failed(error),
    };
    Problem::new(format!("the new rules are not in force: {error}"), hint)
}

/// What to do after the store failed with this reason.
pub fn after_failure(reason: &str) -> &'static str {
    if says_full(reason) {
        "free some space, then start: nothing is lost that was acknowledged"
    } else {
        "look at the disk, then start again: the store recovers automatically"
    }
}

fn refused(error: &OpenError) -> Problem {
    let what = error.to_string();
    match error {
        OpenError::Denied { path } | OpenError::Exposed { path } => {
            Problem::new(format!("{what}: {}", access::owner(path)), access::fix(path))
        }
        // They have said it all.
        OpenError::Full { .. }
        | OpenError::Broken { .. }
        | OpenError::Format { .. }
        | OpenError::Damaged { .. }
        | OpenError::RestoreUnfinished { .. } => Problem::new(what, ""),
        OpenError::Records(StoreError::Broken { cause, .. }) if says_full(cause) => {
            Problem::new(what, after_failure(cause))
        }
        _ => Problem::new(what, "`[store] path` names the data folder"),
    }
}
