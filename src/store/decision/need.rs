//! What a decision needs of what is stored, named, so that it can be fetched for a whole group at once.

use crate::domain::ids::{ClickId, ConversionId, DestinationId, OfferId, Seq, VisitorId};
use crate::domain::time::Time;
use crate::store::contract::arrival::ArrivalId;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::LeaseToken;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::suppression::SuppressionKey;

/// One thing that is stored. Each is an answer of [`StoredFacts`](crate::store::decision::stored::StoredFacts).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Whether an arrival was received before.
    Arrived(ArrivalId),
    /// Which postbacks may have made the conversion with this id.
    Candidates(ConversionId),
    /// The conversion that postback `.0` made.
    Conversion(u64),
    /// What is kept of a transaction id besides its first conversion.
    Later(ConversionId),
    /// Conversions that may have the claim with this hash, after a number.
    Claimants { claim: u64, after: u64 },
    /// Conversions that may wait for a click, after a number.
    WaitingFor { click: ClickId, after: u64 },
    /// How many conversions count on an offer and a day.
    ConversionsOn(OfferId, i64),
    /// Whether a postback was reprocessed, and by which its bytes became a conversion.
    Chain(Seq),
    /// A postback.
    Postback(u64),
    /// A click.
    Click(ClickId),
    /// Answers about consent that were received ahead of a click.
    AnswersAhead(ClickId),
    /// A browser's clicks and its visitor's answers.
    Visits(VisitorId),
    /// How many clicks have counted on an offer and a day.
    ClicksOn(i64, OfferId),
    /// The latest click of a likeness within the window before a time.
    EarlierClick(u64, Time),
    /// What an attempt meant that was recorded by a lease, among those of a conversion that end with a number.
    AttemptBy { lease: LeaseToken, conversion: u64, last: Option<u64> },
    /// Whether a lease holds.
    Lease(LeaseToken),
    /// Who has a delivery in hand, or had it too long.
    Delivery(DeliverySlot),
    /// Deliveries that wait past their last moment.
    Expired(Time),
    /// Conversions with a hold that has ended.
    EndedHolds(Time),
    /// Conversions whose status falls due.
    DueDispositions(Time),
    /// Unfinished deliveries of a destination.
    Unfinished(DestinationId),
    /// Whether a value is on a list.
    OnList(String, SuppressionKey),
    /// The lists that a value is on.
    ListsOf(SuppressionKey),
    /// Entries of a list, so many.
    ListEntries(String, usize),
    /// Whether a text is kept.
    Text(String),
}

/// Why something was not decided.
#[derive(Debug)]
pub enum Undecided {
    /// These are not at hand: once they are fetched it is decided again.
    Missing(Vec<Need>),
    /// It cannot be.
    Failed(StoreError),
}

impl From<StoreError> for Undecided {
    fn from(error: StoreError) -> Undecided {
        Undecided::Failed(error)
    }
}

/// What is known of something, or why it is not.
pub type Known<T> = Result<T, Undecided>;

/// All of them; where some are missing, all that are.
pub fn all<T>(looked_up: impl IntoIterator<Item = Known<T>>) -> Known<Vec<T>> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for known in looked_up {
        match known {
            Ok(known) => found.push(known),
            Err(Undecided::Missing(needs)) => missing.extend(needs),
            Err(failed) => return Err(failed),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Undecided::Missing(missing)) }
}

/// What is known, or `None` where it cannot be read, which is logged as `what`: it stops no one else.
pub fn unless_damaged<T>(known: Known<T>, what: &str) -> Known<Option<T>> {
    known.map(Some).or_else(|undecided| match undecided {
        Undecided::Failed(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "{what} cannot be read and is left out");
            Ok(None)
        }
        undecided => Err(undecided),
    })
}
