//! What is done with a whole data folder: backups and verification while it is open; verification, restore and salvage of one
//! that no one has open.

use std::path::Path;
use std::sync::Arc;

use crate::store::contract::StoreFolder;
use crate::store::contract::copies::{CopyError, CopyReport, ProgressOf, RestoreReport, SalvageReport};
use crate::store::contract::error::StoreError;
use crate::store::contract::verification::{StoreFinding, StoreVerification};
use crate::store::embedded::Embedded;
use crate::store::embedded::erasure_copies::ErasureCopies;
use crate::store::engine::backup::backup;
use crate::store::engine::data_folder::FolderContents;
use crate::store::engine::error::OpenError;
use crate::store::engine::journaled::Journaled;
use crate::store::engine::kv::Kv;
use crate::store::engine::restore::{self, RestoreSource};
use crate::store::engine::verify_live::verify_live;
use crate::store::engine::{salvage, verify};
use crate::store::query::{recount, references};
use crate::store::reader::Reader;
use crate::store::rebuild::check_converted;
use crate::store::records::StoreShared;
use crate::store::table::PACKED;

/// The data folder of a store that is open.
pub struct OpenDataFolder {
    folder: Arc<Journaled>,
    shared: Arc<StoreShared>,
    erasures: Option<Arc<ErasureCopies>>,
}

impl Embedded {
    /// Its data folder, where it has one.
    pub fn data_folder(&self) -> Option<OpenDataFolder> {
        let (shared, erasures) = (Arc::clone(&self.shared), self.erasing.copies());
        self.folder.as_ref().map(|folder| OpenDataFolder { folder: Arc::clone(folder), shared, erasures })
    }
}

impl StoreFolder for OpenDataFolder {
    fn backup(&self, target: &Path, progress: ProgressOf<'_>) -> Result<CopyReport, CopyError> {
        let report = backup(self.folder.journal(), target, progress)?;
        let failed = |error: StoreError| CopyError::Folder(error.to_string());
        let target = target.to_owned();
        if let Some(copies) = &self.erasures {
            let unreached =
                copies.write(&self.shared.reader, std::slice::from_ref(&target)).map_err(failed)?;
            if !unreached.is_empty() {
                let cause = "the file of erasures cannot be written there".to_owned();
                return Err(CopyError::Io { path: target, cause });
            }
        }
        Ok(report)
    }

    fn verify(&self, progress: ProgressOf<'_>) -> Result<StoreVerification, CopyError> {
        let failed = |error: OpenError| CopyError::Folder(error.to_string());
        self.folder.bring_up_index();
        let of = (self.folder.journal(), &self.folder.unhealed() as &dyn Kv);
        let verified = verify_live(of, PACKED, &check_records, progress);
        let mut verification = verified.map_err(failed)?;
        if self.folder.is_damaged() {
            let cause = "it could not give or take something since the start: that is read from the journal, and the next \
                         start makes the index anew";
            verification.add(StoreFinding::IndexWrong(cause.to_owned()));
        }
        Ok(verification)
    }

    fn tidy(&self) -> Result<(), CopyError> {
        // An index that is being made keeps the journal's files as they are.
        let renew = || self.folder.renew_index_now(&|| Ok(()));
        // Where it cannot be made, for want of room, the journal is tidied all the same; it is tried again after that.
        let _ = renew();
        let tidied = self.folder.tidy_now(&[]).and_then(|()| renew());
        tidied.map_err(|error| CopyError::Folder(error.to_string()))
    }
}

/// Verifies a data folder that no one has open, and changes nothing.
///
/// # Errors
/// What keeps it from being looked at.
pub fn verify_closed(path: &Path, progress: ProgressOf<'_>) -> Result<StoreVerification, OpenError> {
    verify::verify_folder(path, PACKED, &check_records, progress)
}

/// Follows every reference of one record to another, and recounts what is counted.
fn check_records(records: Arc<dyn Kv>, verification: &mut StoreVerification) -> Result<(), OpenError> {
    let reader = Reader::new(records);
    references::check(&reader, verification)?;
    recount::check(&reader, verification)?;
    Ok(())
}

/// Takes a backup back into a data folder that has nothing.
///
/// # Errors
/// Why not. A data folder that has anything is as it was.
pub fn restore_folder(
    backup: &Path,
    data: &Path,
    progress: ProgressOf<'_>,
) -> Result<RestoreReport, CopyError> {
    restore_in_place_of(RestoreSource { backup, replaced: None }, data, progress)
}

/// The same; what was erased in the data folder that it takes the place of is erased again.
///
/// # Errors
/// As [`restore_folder`].
pub fn restore_in_place_of(
    source: RestoreSource<'_>,
    data: &Path,
    progress: ProgressOf<'_>,
) -> Result<RestoreReport, CopyError> {
    restore::restore(source, data, PACKED, progress)
}

/// Makes the index of a data folder that no one has open anew from its journal.
///
/// # Errors
/// Why it is as it was.
pub fn renew_index(path: &Path) -> Result<(), OpenError> {
    verify::renew_index(path, PACKED)
}

/// Reads what can be read out of a damaged data folder, or backup, into a new folder.
///
/// # Errors
/// Why nothing was salvaged.
pub fn salvage_folder(from: &Path, to: &Path, progress: ProgressOf<'_>) -> Result<SalvageReport, CopyError> {
    let contents = FolderContents { tables: PACKED, check: &check_converted };
    salvage::salvage(from, to, contents, progress)
}
