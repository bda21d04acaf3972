//! Where the secrets of an account are kept outside of the program, by the name of their setting.

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
}

/// The secrets of one account that may change while the program runs.
pub trait SecretStore: Send + Sync {
    /// What is kept of a setting now; `None` where it cannot be read, or is in no file.
    fn read(&self, setting: &str) -> Option<String>;

    /// Keeps another value in place of the one that is there: whole, and durable when this returns.
    ///
    /// # Errors
    /// Nothing changed, as the error says.
    fn replace(&self, setting: &str, value: &str) -> Result<(), SecretNotKept>;
}

/// An account whose secrets are all written down where no one changes them.
pub struct FixedSecrets;

impl SecretStore for FixedSecrets {
    fn read(&self, _setting: &str) -> Option<String> {
        None
    }

    fn replace(&self, setting: &str, _value: &str) -> Result<(), SecretNotKept> {
        Err(SecretNotKept::NoFile { setting: setting.to_owned() })
    }
}
