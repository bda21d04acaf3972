//! What a decision has to look up, so that the decision itself is pure.

use crate::domain::attribution::{EarlierClick, FoundClick};
use crate::domain::claim::Claim;
use crate::domain::conversion::Conversion;
use crate::domain::ids::{ConversionId, OfferId, Seq, VisitorId};
use crate::domain::suppression::{SuppressionHit, Traces};

/// The conversions of a transaction id besides its first: each was reported with another click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaterConversions {
    /// The postback that made the newest of them.
    pub newest: Seq,
    /// Which conversion of the transaction id the newest is, the first counted as 1.
    pub nth: u32,
    /// How many of them are kept still.
    pub kept: u32,
}

/// What a decision has to look up. A store answers from what it remembers; a preview knows no more
/// than a click.
pub trait Facts {
    /// Why a look-up failed.
    type Error;

    /// The conversion with this id, if it is known.
    fn conversion(&self, id: &ConversionId) -> Result<Option<Conversion>, Self::Error>;

    /// The conversion that this postback made, as it is now.
    fn made_by(&self, _postback: Seq) -> Result<Option<Conversion>, Self::Error> {
        Ok(None)
    }

    /// The further conversions of the transaction id whose first conversion has, or had, the id `first`.
    fn later(&self, _first: &ConversionId) -> Result<Option<LaterConversions>, Self::Error> {
        Ok(None)
    }

    /// The click that one of the readings of `given` names.
    fn click(&self, given: &str) -> Result<Option<FoundClick>, Self::Error>;

    /// The clicks of one browser.
    fn visits(&self, _visitor: &VisitorId) -> Result<Vec<EarlierClick>, Self::Error> {
        Ok(Vec::new())
    }

    /// The first conversion that counts for this claim, as it is now.
    fn first_of_click(&self, _claim: &Claim) -> Result<Option<Conversion>, Self::Error> {
        Ok(None)
    }

    /// How many conversions wait for a person as further sales of this claim.
    fn waiting_on_click(&self, _claim: &Claim) -> Result<usize, Self::Error> {
        Ok(0)
    }

    /// The suppression list that one of these traces is on.
    fn suppressed(&self, _traces: &Traces) -> Result<Option<SuppressionHit>, Self::Error> {
        Ok(None)
    }

    /// How many conversions of the offer were received on this day, scrubbed ones and `besides` left out. See
    /// [`crate::domain::offer::day_of`].
    fn conversions_on(
        &self,
        _offer: &OfferId,
        _day: i64,
        _besides: &ConversionId,
    ) -> Result<u64, Self::Error> {
        Ok(0)
    }
}
