//! An answer to the question of consent, as the store is given it.

use crate::domain::consent::ConsentRecord;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::time::Time;

/// What a visitor answered to the question of consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentArrival {
    /// The click of the page on which the answer was given.
    pub click: ClickId,
    /// Whom the browser is known as, where it is known.
    pub visitor: Option<VisitorId>,
    pub consent: ConsentRecord,
    pub received_at: Time,
}
