//! What the index needs of a conversion whose transaction id had one before.

use serde::{Deserialize, Serialize};

use crate::domain::conversion::Reuse;
use crate::domain::ids::{ConversionId, Seq};

/// A [`Reuse`], with the tag of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SketchedReuse {
    pub first: ConversionId,
    /// The postback that made the one before.
    pub previous: Option<u64>,
    pub nth: u32,
    pub source: u32,
}

impl SketchedReuse {
    pub fn of(reuse: &Reuse, source: u32) -> SketchedReuse {
        let previous = reuse.previous.map(Seq::get);
        SketchedReuse { first: reuse.first, previous, nth: reuse.nth, source }
    }
}
