//! Backups and verifications of the store that runs: one at a time, on a thread of their own.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::store::contract::copies::{CopyError, KnownBackup};
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::ToKeep;
use crate::store::contract::upkeep::{Upkeep, UpkeepOutcome, UpkeepState};
use crate::store::contract::{Store, StoreFolder};

/// Why work is not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotBegun {
    /// Other work goes on.
    Busy,
    /// No backup may be written there.
    DirRefused(String),
}

/// The work on one store. Outlives a reload.
#[derive(Clone)]
pub struct StoreWork {
    store: Arc<dyn Store>,
    clock: Clock,
    backup_dir: Option<PathBuf>,
    /// The latest of each kind.
    known: Arc<Mutex<LatestWork>>,
}

#[derive(Default)]
struct LatestWork {
    backup: Option<UpkeepState>,
    verification: Option<UpkeepState>,
}

impl LatestWork {
    fn of(&mut self, upkeep: &Upkeep) -> &mut Option<UpkeepState> {
        match upkeep {
            Upkeep::Backup(_) => &mut self.backup,
            Upkeep::Verification => &mut self.verification,
        }
    }
}

impl StoreWork {
    /// The work on this store. Backups are written below `backup_dir` alone; `None`: nowhere.
    pub fn new(store: Arc<dyn Store>, clock: Clock, backup_dir: Option<PathBuf>) -> StoreWork {
        // The store remembers whole paths. One that cannot be made whole is refused when it is used.
        let backup_dir = backup_dir.map(|dir| std::path::absolute(&dir).unwrap_or(dir));
        StoreWork { store, clock, backup_dir, known: Arc::default() }
    }

    /// The latest backup of this process.
    pub fn backup(&self) -> Option<UpkeepState> {
        self.known.lock().backup.clone()
    }

    /// The latest verification of this process.
    pub fn verification(&self) -> Option<UpkeepState> {
        self.known.lock().verification.clone()
    }

    /// The backups that the store knows of, the newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn backups(&self) -> Result<Vec<KnownBackup>, StoreError> {
        let mut known = self.store.operator_facts().await?.backups;
        known.reverse();
        Ok(known)
    }

    /// Begins a backup into a folder that is named from `[store] backup_dir` on.
    ///
    /// # Errors
    /// Other work goes on, or no backup may be written there.
    pub fn begin_backup(&self, dir: &str) -> Result<(), NotBegun> {
        let target = self.target(dir).map_err(NotBegun::DirRefused)?;
        self.begin(Upkeep::Backup(target))
    }

    /// Begins to verify the store.
    ///
    /// # Errors
    /// Other work goes on.
    pub fn begin_verification(&self) -> Result<(), NotBegun> {
        self.begin(Upkeep::Verification)
    }

    /// A token must not be able to write just anywhere: only below the folder that the configuration names.
    fn target(&self, dir: &str) -> Result<PathBuf, String> {
        let base = self.backup_dir.as_ref().ok_or("`[store] backup_dir` is not set")?;
        let wanted = Path::new(dir);
        let relative = wanted.strip_prefix(base).unwrap_or(wanted);
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if dir.contains('\0') || relative.as_os_str().is_empty() || !is_plain {
            return Err(format!("`{dir}` is not the name of a folder below {}", base.display()));
        }
        // A link in there may lead elsewhere.
        let mut path = base.clone();
        for part in relative.components() {
            path.push(part);
            if path.is_symlink() {
                return Err(format!("{} is a link", path.display()));
            }
        }
        Ok(path)
    }

    fn begin(&self, upkeep: Upkeep) -> Result<(), NotBegun> {
        let mut known = self.known.lock();
        let goes_on = |state: &Option<UpkeepState>| state.as_ref().is_some_and(|state| state.ended.is_none());
        if goes_on(&known.backup) || goes_on(&known.verification) {
            return Err(NotBegun::Busy);
        }
        let state =
            UpkeepState { upkeep: upkeep.clone(), began: self.clock.now(), ended: None, done: 0, all: 0 };
        *known.of(&upkeep) = Some(state);
        drop(known);
        let work = self.clone();
        // It ends with the process; a backup that is cut off leaves the one before.
        tokio::spawn(async move { work.carry_out(upkeep).await });
        Ok(())
    }

    async fn carry_out(&self, upkeep: Upkeep) {
        let (work, doing) = (self.clone(), upkeep.clone());
        let began = self.clock.now();
        let done = tokio::task::spawn_blocking(move || {
            let folder = work.store.folder().ok_or(CopyError::NoFolder)?;
            work.act(&doing, folder.as_ref())
        });
        let mut outcome = match done.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => UpkeepOutcome::Failed(error),
            Err(_panicked) => {
                UpkeepOutcome::Failed(CopyError::Folder("it ended by a panic; see the log".to_owned()))
            }
        };
        let ended = self.clock.now();
        if let (Upkeep::Backup(dir), UpkeepOutcome::BackedUp(report)) = (&upkeep, &outcome) {
            let known = KnownBackup { dir: dir.clone(), began, ended, last: report.last };
            if let Err(error) = self.store.keep(ToKeep::Backup(known)).await {
                outcome = UpkeepOutcome::Failed(CopyError::Folder(error.to_string()));
            }
        }
        match &outcome {
            UpkeepOutcome::BackedUp(report) => {
                tracing::info!(
                    copied = report.copied,
                    bytes = report.bytes,
                    last = report.last,
                    "a backup was made"
                );
            }
            UpkeepOutcome::Verified(verification) if verification.is_fine() => {
                tracing::info!(records = verification.records, "the store was verified, and is whole");
            }
            UpkeepOutcome::Verified(verification) => {
                let first = verification.findings.first().map(|finding| finding.sentence());
                let findings = verification.findings.len() as u64 + verification.more;
                tracing::error!(findings, first, "the store was verified, and is not whole");
            }
            UpkeepOutcome::Failed(error) => tracing::error!(%error, "the work on the store was not done"),
        }
        if let Some(state) = self.known.lock().of(&upkeep) {
            state.ended = Some((ended, outcome));
        }
    }

    fn act(&self, upkeep: &Upkeep, folder: &dyn StoreFolder) -> Result<UpkeepOutcome, CopyError> {
        let progress = |done: u64, all: u64| {
            if let Some(state) = self.known.lock().of(upkeep) {
                (state.done, state.all) = (done, all);
            }
        };
        match upkeep {
            Upkeep::Backup(dir) => folder.backup(dir, &progress).map(UpkeepOutcome::BackedUp),
            Upkeep::Verification => folder.verify(&progress).map(UpkeepOutcome::Verified),
        }
    }
}
