//! Where the secrets of an account are kept outside of the program, by the name of their setting.

use crate::domain::code::{CodedReason, codes};

codes! {
    /// Why another refresh token that a platform gives cannot be kept.
    SecretNotKeptCode = "token_not_kept" {
        NoFile = "token_in_no_file",
            "the platform gives another refresh token again and again, and the setting is in no file of its own, which alone \
             can be written",
            "keep it in a file that postbridge may write: `{ file = \"refresh-token\" }`";
        Unwritable = "token_file_unwritable",
            "the platform gives another refresh token again and again, and the setting's file cannot be replaced",
            "have postbridge own the file's folder, or keep the setting in another one that it may write: \
             `{ file = \"refresh-token\" }`";
        Mounted = "token_file_mounted",
            "the platform gives another refresh token again and again, and the setting's file is mounted alone, so no other \
             takes its place",
            "mount the folder that holds it, where postbridge may write, and not the file alone";
    }
}

/// A secret could not be kept in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretNotKept {
    /// It is from the environment or written in the configuration, which the program does not change.
    #[error("the setting `{setting}` is in no file of its own, which alone can be written")]
    NoFile {
        /// Its name.
        setting: String,
    },
    /// The file could not be written, in the system's words.
    #[error("the file of the setting `{setting}` cannot be written: {cause}")]
    Unwritable {
        /// Its name.
        setting: String,
        /// Why, without the path's content.
        cause: String,
    },
    /// The file is a mount point of its own, as containers have them: no other file takes the place of such a one.
    #[error("the file of the setting `{setting}` is mounted alone, so no other takes its place")]
    Mounted {
        /// The setting's name.
        setting: String,
    },
}

impl CodedReason for SecretNotKept {
    type Code = SecretNotKeptCode;

    fn code(&self) -> SecretNotKeptCode {
        match self {
            SecretNotKept::NoFile { .. } => SecretNotKeptCode::NoFile,
            SecretNotKept::Unwritable { .. } => SecretNotKeptCode::Unwritable,
            SecretNotKept::Mounted { .. } => SecretNotKeptCode::Mounted,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            SecretNotKept::NoFile { setting }
            | SecretNotKept::Unwritable { setting, .. }
            | SecretNotKept::Mounted { setting } => Some(setting),
        }
    }

    fn sentence(&self) -> String {
        format!("the platform gives another refresh token again and again, and {self}")
    }
}

/// The secrets of one account that may change while the program runs.
pub trait SecretStore: Send + Sync {
    /// What is kept of a setting now: of a value that was staged and the one that it is to replace, the former; `None` where
    /// it cannot be read, or is in no file.
    fn read(&self, setting: &str) -> Option<String>;

    /// Keeps another value next to the one that is there: whole, and durable when this returns. From then on it is what
    /// is read, also after a crash, until a person writes another.
    ///
    /// # Errors
    /// It is not kept, as the error says. So it is also where there is none yet that it could replace.
    fn stage(&self, setting: &str, value: &str) -> Result<(), SecretNotKept>;

    /// Puts the value that was staged in the place of the one that it is to replace, if that is there still.
    ///
    /// # Errors
    /// It is staged still.
    fn adopt(&self, setting: &str) -> Result<(), SecretNotKept>;

    /// Keeps another value in place of the one that is there: whole, and durable when this returns.
    ///
    /// # Errors
    /// What is not kept, or not in its place yet.
    fn replace(&self, setting: &str, value: &str) -> Result<(), SecretNotKept> {
        self.stage(setting, value)?;
        self.adopt(setting)
    }
}

/// An account whose secrets are all written down where no one changes them.
pub struct FixedSecrets;

impl SecretStore for FixedSecrets {
    fn read(&self, _setting: &str) -> Option<String> {
        None
    }

    fn stage(&self, setting: &str, _value: &str) -> Result<(), SecretNotKept> {
        Err(SecretNotKept::NoFile { setting: setting.to_owned() })
    }

    fn adopt(&self, setting: &str) -> Result<(), SecretNotKept> {
        Err(SecretNotKept::NoFile { setting: setting.to_owned() })
    }
}
