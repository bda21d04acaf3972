//! The numbers operators watch: names, buckets, and what is read only when they are asked for.

pub mod stored;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::app::measure::stored::StoredNumbers;
use crate::clock::Clock;
use crate::domain::code::ReasonCode;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::reporter::BuiltInSource;
use crate::ingest::submit::ReportCounters;
use crate::store::writer::{CommitReport, Watch};
use crate::template::diagnostic::Problem;
use crate::web::health::ProcessHealth;
use crate::web::health::RenderMetrics;

/// Renders what was counted.
pub type Recorder = PrometheusHandle;

const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0, 3600.0];
const GROUP: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// The process's one recorder, installed at first use.
///
/// # Errors
/// When another recorder was installed before.
pub fn recorder() -> Result<Recorder, Problem> {
    static RECORDER: OnceLock<Result<Recorder, String>> = OnceLock::new();
    RECORDER
        .get_or_init(install)
        .clone()
        .map_err(|error| Problem::new(error, "start the relay once per process"))
}

fn install() -> Result<Recorder, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &GROUP))
        .map_err(|error| error.to_string())?
        .install_recorder()
        .map_err(|error| error.to_string())?;
    describe();
    Ok(handle)
}

/// What each counter counts.
const COUNTERS: [(&str, &str); 13] = [
    ("postbridge_purged_total", "Records that were deleted because they were past their days, by kind"),
    ("postbridge_clicks_total", "Visitors' clicks, by where they were sent; those of the click pixel apart"),
    ("postbridge_unrecorded_clicks_total", "Visitors' clicks of which no record is kept, by reason"),
    ("postbridge_postbacks_total", "Postbacks with a valid key, by source and verdict"),
    ("postbridge_quarantined_total", "Postbacks that were quarantined, by source and reason code"),
    ("postbridge_refused_total", "Requests turned away, by reason: bad_key, unknown_source, guessing…"),
    (
        "postbridge_failed_sign_ins_total",
        "Wrong tokens, tokens without the right, and requests of addresses with too many wrong ones",
    ),
    ("postbridge_attempts_total", "Attempts, by destination and class"),
    ("postbridge_late_attempts_total", "Attempts that were recorded when another had their delivery"),
    ("postbridge_store_repairs_total", "What was put right in the data folder at the start"),
    ("postbridge_dead_total", "Deliveries that died, by destination and reason"),
    ("postbridge_skipped_total", "Deliveries that were skipped at their turn, by destination and reason"),
    (
        "postbridge_connections_closed_total",
        "Connections closed for others: idle ones when all were taken or their address had its share, new ones beyond the share, and where none was idle those halfway through a request",
    ),
];

/// What each gauge shows; those that the store counts are in [`stored`].
const GAUGES: [(&str, &str); 11] = [
    ("postbridge_store_bytes", "Bytes of the files of the data folder: journal and index"),
    (
        "postbridge_oldest_record_seconds",
        "Age of the oldest record of a kind, when all that was past its days had last been deleted",
    ),
    (
        "postbridge_retention_behind_seconds",
        "By how much what is deleted now is past its days; 0 while nothing is left to delete",
    ),
    ("postbridge_disk_free_bytes", "Free space on the data folder's disk"),
    (
        "postbridge_store_torn_commit",
        "1 where the journal ended in the middle of a commit at the last start that may have been answered, else 0",
    ),
    (
        "postbridge_disk_reserve_bytes",
        "Free space below which visitors are redirected without a record, and below half of which postbacks are answered 503",
    ),
    (
        "postbridge_retention_paused",
        "1 while nothing is deleted because the clock is not believed, else 0; see `postbridge confirm-clock`",
    ),
    ("postbridge_in_flight", "Attempts under way, by destination"),
    ("postbridge_parked", "1 while the destination is parked by a refusal that a person must fix, else 0"),
    (
        "postbridge_breaker_open",
        "1 while the destination rests after failures, but for a trial now and then; else 0",
    ),
    (
        "postbridge_on_hold",
        "1 while the destination is left alone for as long as the platform asked; else 0. Of `outgoing:*` how many hosts",
    ),
];

/// What each histogram measures.
const HISTOGRAMS: [(&str, Unit, &str); 6] = [
    ("postbridge_ack_seconds", Unit::Seconds, "From the whole request to its durable answer, by source"),
    ("postbridge_commit_seconds", Unit::Seconds, "One group commit, its fdatasync included"),
    ("postbridge_fsync_seconds", Unit::Seconds, "The fdatasync of one group commit"),
    ("postbridge_commit_group_size", Unit::Count, "Operations made durable by one commit"),
    (
        "postbridge_attempt_seconds",
        Unit::Seconds,
        "One attempt, from its request to its answer, by destination",
    ),
    (
        "postbridge_delivery_seconds",
        Unit::Seconds,
        "From acceptance to delivery, by destination; first tries and retries apart",
    ),
];

fn describe() {
    // They are at 0 before the first one, so that the first one raises them.
    for source in BuiltInSource::ALL {
        let _at_zero = ReportCounters::of(source.as_str());
    }
    for code in [RejectionCode::BadKey, RejectionCode::UnknownSource] {
        metrics::counter!("postbridge_refused_total", "reason_code" => code.as_str()).increment(0);
    }
    for which in ["idle", "halfway", "new"] {
        metrics::counter!("postbridge_connections_closed_total", "which" => which).increment(0);
    }
    for (name, text) in COUNTERS {
        metrics::describe_counter!(name, text);
    }
    for (name, text) in GAUGES {
        metrics::describe_gauge!(name, text);
    }
    for (name, unit, text) in HISTOGRAMS {
        metrics::describe_histogram!(name, unit, text);
    }
}

/// What the store reports of each commit, counted; where one does not end, the process does.
pub fn commits(health: &Arc<ProcessHealth>) -> Watch {
    let commit = metrics::histogram!("postbridge_commit_seconds");
    let fsync = metrics::histogram!("postbridge_fsync_seconds");
    let group = metrics::histogram!("postbridge_commit_group_size");
    let report = move |report: CommitReport| {
        commit.record(report.took);
        fsync.record(report.sync);
        #[allow(clippy::cast_precision_loss)] // A group is far smaller than 2^52.
        group.record(report.commands as f64);
    };
    let health = Arc::clone(health);
    Watch {
        clock: Clock::system().monotonic(),
        report: Arc::new(report),
        stuck: Arc::new(move |error| health.store_failed(error)),
    }
}

/// Folds what was recorded into its buckets now and then: unfolded samples would pile up. `flush` writes what
/// the log has held back.
pub async fn drain(recorder: Recorder, flush: impl Fn()) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        recorder.run_upkeep();
        flush();
    }
}

/// Renders all numbers, those of the store as it counts them now.
pub fn renderer(recorder: Recorder, clock: Clock, stored: StoredNumbers) -> RenderMetrics {
    let stored = Arc::new(stored);
    Arc::new(move || {
        let (recorder, clock, stored) = (recorder.clone(), clock.clone(), Arc::clone(&stored));
        Box::pin(async move {
            let stored = stored.text().await;
            let paused = if clock.doubt().is_some() { 1.0 } else { 0.0 };
            metrics::gauge!("postbridge_retention_paused").set(paused);
            recorder.render() + &stored
        })
    })
}
