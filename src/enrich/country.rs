//! The country of an address, from a file in MaxMind's format that the user gives. No file: no country.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{Reader, path};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CountryFault {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is not in MaxMind's format.
    #[error("it is not a file in MaxMind's format: {0}")]
    Format(#[from] maxminddb::MaxMindDbError),
}

/// What knows the countries of addresses.
#[derive(Default)]
pub struct Countries(Option<Reader<Vec<u8>>>);

impl Countries {
    /// Reads the file whole: it may be replaced on the disk while this is in use.
    ///
    /// # Errors
    /// When it cannot be read or is in another format.
    pub fn open(file: &Path) -> Result<Countries, CountryFault> {
        Countries::from_bytes(std::fs::read(file)?)
    }

    /// # Errors
    /// When the bytes are in another format.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Countries, CountryFault> {
        Ok(Countries(Some(Reader::from_source(bytes)?)))
    }

    /// The ISO 3166 code in two capital letters. `None` without a file, or where the file does not know.
    pub fn of(&self, address: IpAddr) -> Option<String> {
        let found = self.0.as_ref()?.lookup(address.to_canonical());
        // A damaged record is as good as none: no visitor waits for the file to be fixed.
        let code: Option<String> = found.and_then(|at| at.decode_path(&path!["country", "iso_code"])).ok()?;
        code.filter(|code| code.len() == 2).map(|code| code.to_ascii_uppercase())
    }
}
