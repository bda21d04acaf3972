//! Backups and verifications, as API and command line show them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::time::Time;
use crate::store::contract::copies::KnownBackup;
use crate::store::contract::upkeep::{Upkeep, UpkeepOutcome, UpkeepState};
use crate::store::contract::verification::StoreVerification;
use crate::view::schema::TimeText;

/// The latest backups.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Backups")]
pub struct BackupsView {
    /// Those that the store knows of, the newest first: of each folder the latest.
    items: Vec<KnownBackupView>,
    /// The one that was begun last since the start.
    work: Option<BackupWorkView>,
}

/// A backup that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KnownBackup")]
pub struct KnownBackupView {
    /// Its folder.
    dir: String,
    /// What was acknowledged before is in it.
    #[schemars(with = "TimeText")]
    began: Time,
    /// When it was whole.
    #[schemars(with = "TimeText")]
    ended: Time,
    /// The number of the last commit that is in it.
    last_commit: u64,
}

/// A backup that is being made, or was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BackupWork")]
pub struct BackupWorkView {
    /// Its folder.
    dir: String,
    #[serde(flatten)]
    progress: WorkProgress,
    /// Segments of the journal that were copied.
    segments_copied: Option<u64>,
    /// Segments that were there already.
    segments_already_there: Option<u64>,
    /// Bytes that were written.
    bytes_copied: Option<u64>,
    /// The number of the last commit that is in it.
    last_commit: Option<u64>,
}

/// The latest verification since the start.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verifications")]
pub struct VerificationsView {
    work: Option<VerificationWorkView>,
}

/// A verification that goes on, or ended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VerificationWork")]
pub struct VerificationWorkView {
    #[serde(flatten)]
    progress: WorkProgress,
    /// What it found, once it has ended.
    found: Option<VerificationView>,
}

/// How far work on the store is.
#[derive(Serialize, JsonSchema)]
pub struct WorkProgress {
    /// `running`, `done` or `failed`.
    state: &'static str,
    #[schemars(with = "TimeText")]
    began: Time,
    #[schemars(with = "Option<TimeText>")]
    ended: Option<Time>,
    /// How much is done, of `all`.
    done: u64,
    /// 0 where that is not known yet.
    all: u64,
    /// Why it failed, and what to do.
    reason: Option<String>,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verification")]
pub struct VerificationView {
    /// Whether everything is as it should be.
    ok: bool,
    /// Segments of the journal that were read.
    segments: u64,
    /// The number of the last commit.
    last_commit: u64,
    /// Records that were compared between journal and index.
    records: u64,
    /// References between records that were followed.
    references: u64,
    /// Lines of totals, reports and caps that were recounted.
    counts: u64,
    /// What is not as it should be, at most 200 of it.
    findings: Vec<FindingView>,
    /// How many more there are.
    more: u64,
}

/// Something that is not as it should be.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct FindingView {
    code: &'static str,
    /// What and where it is.
    reason: String,
}

impl BackupsView {
    /// Of what the store knows, and of the latest work.
    pub fn of(known: &[KnownBackup], work: Option<&UpkeepState>) -> BackupsView {
        let items = known.iter().map(|backup| KnownBackupView {
            dir: backup.dir.display().to_string(),
            began: backup.began,
            ended: backup.ended,
            last_commit: backup.last,
        });
        BackupsView { items: items.collect(), work: work.map(BackupWorkView::of) }
    }
}

impl BackupWorkView {
    fn of(state: &UpkeepState) -> BackupWorkView {
        let dir = match &state.upkeep {
            Upkeep::Backup(dir) => dir.display().to_string(),
            Upkeep::Verification => String::new(),
        };
        let report = match &state.ended {
            Some((_, UpkeepOutcome::BackedUp(report))) => Some(report),
            _ => None,
        };
        BackupWorkView {
            dir,
            progress: WorkProgress::of(state),
            segments_copied: report.map(|report| report.copied),
            segments_already_there: report.map(|report| report.already_there),
            bytes_copied: report.map(|report| report.bytes),
            last_commit: report.map(|report| report.last),
        }
    }
}

impl VerificationsView {
    /// Of the latest work.
    pub fn of(work: Option<&UpkeepState>) -> VerificationsView {
        let view = |state: &UpkeepState| VerificationWorkView {
            progress: WorkProgress::of(state),
            found: match &state.ended {
                Some((_, UpkeepOutcome::Verified(verification))) => Some(VerificationView::of(verification)),
                _ => None,
            },
        };
        VerificationsView { work: work.map(view) }
    }
}

impl WorkProgress {
    fn of(state: &UpkeepState) -> WorkProgress {
        let (word, reason) = match &state.ended {
            None => ("running", None),
            Some((_, UpkeepOutcome::Failed(error))) => ("failed", Some(error.to_string())),
            Some(_) => ("done", None),
        };
        let ended = state.ended.as_ref().map(|(at, _)| *at);
        WorkProgress { state: word, began: state.began, ended, done: state.done, all: state.all, reason }
    }
}

impl VerificationView {
    /// Of what was found.
    pub fn of(verification: &StoreVerification) -> VerificationView {
        let finding = |finding: &crate::store::contract::verification::StoreFinding| FindingView {
            code: finding.code(),
            reason: finding.sentence(),
        };
        VerificationView {
            ok: verification.is_fine(),
            segments: verification.segments,
            last_commit: verification.last,
            records: verification.records,
            references: verification.references,
            counts: verification.counts,
            findings: verification.findings.iter().map(finding).collect(),
            more: verification.more,
        }
    }
}
