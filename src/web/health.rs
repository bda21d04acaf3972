//! Is it alive, is it ready, and its numbers: `/livez`, `/readyz`, `/metrics`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout_at;
use tracing::error;

use crate::clock::{Clock, stopwatch};
use crate::domain::disk::DiskSpace;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::Outage;
use crate::web::answer::{self, Answer};

/// What the process knows of its own state.
pub struct ProcessHealth {
    /// What [`Clock::running_ms`] was at the end of the maintenance loop's last step; 0 before the first.
    pub heartbeat: Arc<AtomicI64>,
    stopping: AtomicBool,
    /// A [`DiskSpace`], by its number: every request that would be recorded reads it.
    disk: AtomicU8,
    /// Set once, with the reason, when the store failed: the process must end.
    failure: watch::Sender<Option<String>>,
    outage: Outage,
    /// What readiness says in addition, from the start of the process on.
    notice: OnceLock<String>,
    /// When the last probe ended, and whether it had become durable.
    probed: Mutex<Option<(Time, bool)>>,
    /// How long readiness waits for a probe.
    pub probe_limit: Duration,
}

/// Makes the text of `/metrics`.
pub type RenderMetrics = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// `/metrics`: Prometheus text, of which one scrape at a time is made, since the store is asked for it.
#[derive(Clone)]
pub struct MetricsPage {
    render: RenderMetrics,
    turn: Arc<Mutex<()>>,
}

impl MetricsPage {
    /// A page of what `render` answers, which may take its time.
    pub fn new(render: RenderMetrics) -> MetricsPage {
        MetricsPage { render, turn: Arc::default() }
    }

    /// All numbers as they are now.
    pub async fn answer(&self) -> Answer {
        let (render, turn) = (Arc::clone(&self.render), Arc::clone(&self.turn).lock_owned().await);
        let rendering = tokio::spawn(async move {
            let text = render().await;
            drop(turn);
            text
        });
        match rendering.await {
            Ok(text) => answer::body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => {
                error!(%error, "the metrics could not be rendered");
                let message = "the metrics could not be rendered";
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, message, "see the log")
            }
        }
    }
}

/// How long the loops may be silent before the process counts as stuck.
const SILENCE_MS: i64 = 30_000;
/// A probe's answer is good for this long: readiness writes at most once a second.
const PROBE_EVERY_MS: i64 = 1_000;
/// The usual [`ProcessHealth::probe_limit`]: while a commit takes longer, the store refuses what else is to be written.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

impl Default for ProcessHealth {
    fn default() -> ProcessHealth {
        ProcessHealth {
            heartbeat: Arc::new(AtomicI64::new(0)),
            stopping: AtomicBool::new(false),
            disk: AtomicU8::new(DiskSpace::Enough as u8),
            failure: watch::Sender::new(None),
            outage: Outage::default(),
            notice: OnceLock::new(),
            probed: Mutex::new(None),
            probe_limit: PROBE_LIMIT,
        }
    }
}

impl ProcessHealth {
    /// Notes that the store failed. Everything after is answered 503, and the process will end. A
    /// record that cannot be read fails only the request that needs it: a restart would not fix it. Nor would it
    /// bring back a store that does not answer now.
    pub fn store_failed(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable { .. } => {
                self.outage.note::<()>(&Err(error.clone()));
                return;
            }
            StoreError::Corrupt { .. }
            | StoreError::Cursor(_)
            | StoreError::ReprocessedAlready { .. }
            | StoreError::Surplus(_) => {
                error!(%error, "a request failed; the rest of the store goes on");
                return;
            }
            StoreError::Broken { .. } | StoreError::Closed => {}
        }
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| error.to_string());
            first
        });
        if first {
            error!(%error, "the store failed; nothing more is accepted and the process will end");
        }
    }

    /// As [`ProcessHealth::store_failed`], with the 503 for what was to be kept.
    pub fn not_kept(&self, error: &StoreError) -> Answer {
        self.store_failed(error);
        answer::not_kept(error)
    }

    /// Resolves, with the reason, when the store has failed.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Turns readiness off: the process is about to stop.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Has readiness say this too.
    pub fn set_notice(&self, notice: String) {
        self.notice.get_or_init(|| notice);
    }

    /// What readiness says, with what it says in addition.
    fn ready(&self, text: &str) -> Answer {
        match self.notice.get() {
            Some(notice) => answer::text(StatusCode::OK, format!("{text}{notice}\n")),
            None => answer::text(StatusCode::OK, text.to_owned()),
        }
    }

    /// Notes how much room the disk has.
    pub fn set_disk_space(&self, space: DiskSpace) {
        self.disk.store(space as u8, Ordering::Relaxed);
    }

    /// How much room the disk had when it was last measured.
    pub fn disk_space(&self) -> DiskSpace {
        let number = self.disk.load(Ordering::Relaxed);
        let named = [DiskSpace::Low, DiskSpace::VeryLow].into_iter().find(|space| *space as u8 == number);
        named.unwrap_or(DiskSpace::Enough)
    }

    /// Whether the disk has room for what visitors' browsers send; a request that is refused for want of it is counted.
    pub fn admits_visitor(&self) -> bool {
        counted(self.disk_space().records_visitors())
    }

    /// Whether the disk has room for what networks and servers report; a request that is refused for want of it is
    /// counted.
    pub fn admits_postback(&self) -> bool {
        counted(self.disk_space().records_postbacks())
    }

    /// `/livez`: whether the loops tick.
    pub fn livez(&self, clock: &Clock) -> Answer {
        let last = self.heartbeat.load(Ordering::Relaxed);
        let silent = clock.running_ms() - last;
        if last == 0 || silent < SILENCE_MS {
            return answer::text(StatusCode::OK, "ok\n");
        }
        answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the maintenance loop has been silent for {silent} ms\n"),
        )
    }

    /// `/readyz`: whether a write can be made durable now, and a postback would be. Answers within
    /// [`ProcessHealth::probe_limit`].
    pub async fn readyz(&self, store: &dyn Store, clock: &Clock) -> Answer {
        if self.stopping.load(Ordering::SeqCst) {
            return answer::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        if self.failure.borrow().is_some() {
            return answer::text(StatusCode::SERVICE_UNAVAILABLE, "the store failed\n");
        }
        if self.disk_space() == DiskSpace::VeryLow {
            return answer::text(StatusCode::SERVICE_UNAVAILABLE, VERY_LOW);
        }
        match (self.is_durable(store, clock).await, self.disk_space()) {
            (false, _) => {
                answer::text(StatusCode::SERVICE_UNAVAILABLE, "a write could not be made durable\n")
            }
            (true, DiskSpace::Enough) => self.ready("ready\n"),
            (true, _) => self.ready(LOW),
        }
    }

    /// Whether a write becomes durable in time. Those who ask while a probe is made have its answer.
    async fn is_durable(&self, store: &dyn Store, clock: &Clock) -> bool {
        let until = (stopwatch() + self.probe_limit).into();
        let Ok(mut probed) = timeout_at(until, self.probed.lock()).await else { return false };
        let now = clock.now();
        let fresh = probed.filter(|(at, _)| (0..PROBE_EVERY_MS).contains(&now.millis_since(*at)));
        if let Some((_, durable)) = fresh {
            return durable;
        }
        let durable = match timeout_at(until, store.probe()).await {
            Ok(result) => {
                self.outage.note(&result);
                if let Err(error) = &result {
                    self.store_failed(error);
                }
                result.is_ok()
            }
            Err(_too_late) => false,
        };
        *probed = Some((clock.now(), durable));
        durable
    }
}

const LOW: &str = "ready; free disk space is below the reserve: visitors are redirected without a record, conversion pixels and the tag are answered 503\n";
const VERY_LOW: &str = "free disk space is below half of the reserve: postbacks, /api/v1/clicks and the network's API are answered 503\n";

fn counted(has_room: bool) -> bool {
    if !has_room {
        metrics::counter!("postbridge_refused_total", "reason_code" => "disk").increment(1);
    }
    has_room
}
