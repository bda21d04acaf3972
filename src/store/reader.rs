//! Reads records from the engine, and remembers when it failed.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Kv, KvError, Span};

/// Sees a key and its bytes, or why they cannot be read; breaks to end the scan.
pub type RecordVisitor<'a> = &'a mut dyn FnMut(&[u8], Result<&[u8], StoreError>) -> ControlFlow<()>;

/// The first byte of what the store knows of itself.
const OF_THE_STORE: &[u8] = b"M";

/// Reads stored bytes, and what they say, past every cache.
pub struct Reader {
    kv: Arc<dyn Kv>,
    failed: OnceLock<StoreError>,
}

impl Reader {
    pub fn new(kv: Arc<dyn Kv>) -> Reader {
        Reader { kv, failed: OnceLock::new() }
    }

    pub fn kv(&self) -> &dyn Kv {
        self.kv.as_ref()
    }

    /// The failure that ended this store, if one did.
    pub fn check(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Ends the store: every later operation fails as this one did.
    pub fn fail(&self, doing: &'static str, cause: impl ToString) -> StoreError {
        let broken = StoreError::Broken { doing, cause: cause.to_string() };
        self.failed.get_or_init(|| broken).clone()
    }

    /// What failed is that one record alone, or the whole store from now on.
    fn failed_read(&self, error: KvError) -> StoreError {
        match error {
            KvError::Damaged { key, cause } => {
                StoreError::Corrupt { key: key.escape_ascii().to_string(), cause }
            }
            KvError::Failed(cause) => self.fail("read", cause),
        }
    }

    /// Nothing of the commit was written, because what it is to change is damaged; or the whole store failed.
    pub fn failed_commit(&self, error: KvError) -> StoreError {
        match error {
            // What every commit writes cannot be written any more: opening names it, and says what helps.
            KvError::Damaged { key, cause } if key.starts_with(OF_THE_STORE) => {
                self.fail("write", format!("the record {} cannot be read: {cause}", key.escape_ascii()))
            }
            KvError::Damaged { .. } => self.failed_read(error),
            KvError::Failed(cause) => self.fail("write", cause),
        }
    }

    /// The record at `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.kv.get(key).map_err(|error| self.failed_read(error))
    }

    /// Visits values upwards or downwards, as [`Kv::scan`].
    pub fn scan(&self, span: Span<'_>, visit: RecordVisitor<'_>) -> Result<(), StoreError> {
        self.check()?;
        let mut read = |key: &[u8], bytes: Result<&[u8], &KvError>| {
            visit(key, bytes.map_err(|error| self.failed_read(error.clone())))
        };
        self.kv.scan(span, &mut read).map_err(|error| self.failed_read(error))
    }

    /// The small record at `key`, past every cache.
    pub fn record<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let read = |bytes: Vec<u8>| codec::read(&bytes).map_err(|error| corrupt(key, &error));
        self.get(key)?.map(read).transpose()
    }

    /// The body of the record at `key`, past every cache.
    pub fn body<B: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<B>, StoreError> {
        let body = |bytes: Vec<u8>| codec::body(&bytes).map_err(|error| corrupt(key, &error));
        self.get(key)?.map(body).transpose()
    }

    /// The head of the record at `key`, past every cache.
    pub fn head<H: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<H>, StoreError> {
        let head = |bytes: Vec<u8>| codec::head(&bytes).map_err(|error| corrupt(key, &error));
        self.get(key)?.map(head).transpose()
    }
}

/// A read whose panic fails it alone, as a damaged record does: a restart would meet the same bytes. What panicked,
/// and where, is in the log.
pub fn without_panic<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_logged| {
        let (key, cause) = ("that was looked for".to_owned(), "reading it panicked; see the log".to_owned());
        Err(StoreError::Corrupt { key, cause })
    })
}

/// What was found, or `None` where it cannot be read, which is logged as `what`: what is behind it is not left out for it.
///
/// # Errors
/// The store's other failures.
pub fn readable<T>(found: Result<T, StoreError>, what: &str) -> Result<Option<T>, StoreError> {
    found.map(Some).or_else(|error| match error {
        StoreError::Corrupt { .. } => {
            tracing::error!(%error, "{what} cannot be read");
            Ok(None)
        }
        error => Err(error),
    })
}
