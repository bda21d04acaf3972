//! Watching the free space of the data folder's disk: measured once a second, never for a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::clock::stopwatch;
use crate::config::configuration::Config;
use crate::domain::disk::{DiskReserve, DiskSpace};
use crate::maintenance::FolderSpace;
use crate::store::engine::data_folder::{INDEX, JOURNAL};
use crate::store::engine::folder::size_of;
use crate::web::health::ProcessHealth;

const EVERY: Duration = Duration::from_secs(1);
/// How often the files of the data folder are added up.
const SIZE_EVERY: Duration = Duration::from_secs(60);
/// While there is too little, a line is logged this often.
const REMIND: Duration = Duration::from_secs(60);

/// What is watched.
pub struct DiskWatch {
    path: PathBuf,
    reserve_mb: u32,
    health: Arc<ProcessHealth>,
    /// When there was too little, and was said so, last.
    reminded: Option<Instant>,
    /// The disk could not be measured, and that was said.
    blind: bool,
    /// How much room the data folder takes.
    space: Arc<FolderSpace>,
    /// When that was measured last.
    sized: Option<Instant>,
}

impl DiskWatch {
    /// Measures once: what is answered first goes by it.
    pub fn start(config: &Config, health: &Arc<ProcessHealth>) -> DiskWatch {
        let mut watch = DiskWatch {
            path: config.store.path.clone(),
            reserve_mb: config.store.reserve_mb,
            health: Arc::clone(health),
            reminded: None,
            blind: false,
            space: Arc::default(),
            sized: None,
        };
        watch.note(measure(&watch.path));
        watch
    }

    /// How much room the data folder takes, as it is measured.
    pub fn space(&self) -> Arc<FolderSpace> {
        Arc::clone(&self.space)
    }

    /// Measures as long as the process runs.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let path = self.path.clone();
            // A disk that hangs must hold up no one else.
            if let Ok(measured) = tokio::task::spawn_blocking(move || measure(&path)).await {
                self.note(measured);
            }
            self.size().await;
        }
    }

    /// Adds up the files of the data folder, now and then.
    async fn size(&mut self) {
        let now = stopwatch();
        if self.sized.is_some_and(|sized| now.saturating_duration_since(sized) < SIZE_EVERY) {
            return;
        }
        self.sized = Some(now);
        for (part, name, bytes) in
            [("journal", JOURNAL, &self.space.journal), ("index", INDEX, &self.space.index)]
        {
            let path = self.path.join(name);
            let sized = tokio::task::spawn_blocking(move || size_of(&path)).await;
            if let Ok(Ok(size)) = sized {
                bytes.store(size, Ordering::Relaxed);
                #[allow(clippy::cast_precision_loss)] // For a graph.
                metrics::gauge!("postbridge_store_bytes", "part" => part).set(size as f64);
            }
        }
    }

    fn note(&mut self, measured: std::io::Result<MeasuredSpace>) {
        let MeasuredSpace { free, total } = match measured {
            Ok(measured) => measured,
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    warn!(%error, "the free space of the data folder's disk cannot be measured");
                }
                return;
            }
        };
        self.blind = false;
        self.space.free.store(free, Ordering::Relaxed);
        let reserve = DiskReserve::new(self.reserve_mb, total);
        let before = self.health.disk_space();
        let space = reserve.space(free, before);
        self.health.set_disk_space(space);
        #[allow(clippy::cast_precision_loss)] // For a graph.
        {
            metrics::gauge!("postbridge_disk_free_bytes").set(free as f64);
            metrics::gauge!("postbridge_disk_reserve_bytes").set(reserve.bytes() as f64);
        }
        self.log((before, space), free, reserve);
    }

    fn log(&mut self, (before, space): (DiskSpace, DiskSpace), free: u64, reserve: DiskReserve) {
        let now = stopwatch();
        let is_due = self.reminded.is_none_or(|reminded| now.saturating_duration_since(reminded) >= REMIND);
        if space == before && !(is_due && space != DiskSpace::Enough) {
            return;
        }
        let (free_mb, reserve_mb) = (free >> 20, reserve.bytes() >> 20);
        self.reminded = Some(now);
        match space {
            DiskSpace::Enough => {
                self.reminded = None;
                info!(free_mb, reserve_mb, "there is enough free disk space again: everything is recorded");
            }
            DiskSpace::Low => warn!(
                free_mb,
                reserve_mb,
                "free disk space is below [store] reserve_mb: visitors are redirected without a record, \
                 conversion pixels and the tag are answered 503; free some space"
            ),
            DiskSpace::VeryLow => warn!(
                free_mb,
                reserve_mb,
                "free disk space is below half of [store] reserve_mb: postbacks and recorded clicks are \
                 answered 503 too, deliveries go on; free some space"
            ),
        }
    }
}

struct MeasuredSpace {
    free: u64,
    total: u64,
}

/// How many bytes of the data folder's disk are kept in reserve.
pub fn reserve(config: &Config) -> u64 {
    let path = &config.store.path;
    // A folder that is not there yet is made on the disk of the one that it is made in.
    let nearest = path.ancestors().find(|place| place.exists()).unwrap_or(path);
    let total = measure(nearest).map_or(u64::MAX, |disk| disk.total);
    DiskReserve::new(config.store.reserve_mb, total).bytes()
}

/// What this user may still write on the disk of `path`, in bytes, and the size of the whole.
fn measure(path: &Path) -> std::io::Result<MeasuredSpace> {
    let disk = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(MeasuredSpace { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
}
