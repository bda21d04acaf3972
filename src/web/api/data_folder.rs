//! Backups and verifications of the whole store: begun by a call, and looked at until they have ended.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::code::ReasonCode;
use crate::domain::error_code::ErrorCode;
use crate::ops::store_work::NotBegun;
use crate::view::store_work::{BackupsView, VerificationsView};
use crate::web::api::{Api, Outcome, Refused, document};

/// Where a backup is to be, as its JSON body writes it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BackupWish")]
pub struct BackupBody {
    /// A folder, named from `[store] backup_dir` on.
    dir: String,
}

impl Api {
    /// `GET /api/v1/backups`.
    pub async fn backups(&self) -> Outcome {
        let known = self.ops.store_work.backups().await?;
        document(&BackupsView::of(&known, self.ops.store_work.backup().as_ref()))
    }

    /// `POST /api/v1/backups` with `{"dir"}`.
    pub async fn back_up(&self, body: &[u8]) -> Outcome {
        let bad = |message: String| {
            let hint = "send {\"dir\": \"nightly\"}".to_owned();
            Refused::Asked(StatusCode::BAD_REQUEST, ErrorCode::BadBody.as_str(), message, hint)
        };
        let members: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the body is not a JSON object: {error}")))?;
        let wanted: BackupBody = serde_path_to_error::deserialize(members)
            .map_err(|error| bad(format!("`{}`: {}", error.path(), error.inner())))?;
        self.ops.store_work.begin_backup(&wanted.dir)?;
        self.backups().await
    }

    /// `GET /api/v1/verifications`.
    pub fn verifications(&self) -> Outcome {
        document(&VerificationsView::of(self.ops.store_work.verification().as_ref()))
    }

    /// `POST /api/v1/verifications`.
    pub fn verify(&self) -> Outcome {
        self.ops.store_work.begin_verification()?;
        self.verifications()
    }
}

impl From<NotBegun> for Refused {
    fn from(refused: NotBegun) -> Refused {
        let (status, code, message) = match refused {
            NotBegun::Busy => {
                (StatusCode::CONFLICT, ErrorCode::StoreBusy, ErrorCode::StoreBusy.meaning().to_owned())
            }
            NotBegun::DirRefused(why) => (StatusCode::BAD_REQUEST, ErrorCode::BackupDirRefused, why),
        };
        Refused::Asked(status, code.as_str(), message, code.fix().to_owned())
    }
}
