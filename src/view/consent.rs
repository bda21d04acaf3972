//! What a visitor answered.

use crate::domain::consent::Consent;

/// The answers; `None` where nothing was answered.
pub fn answered(consent: Consent) -> Option<Consent> {
    (consent != Consent::default()).then_some(consent)
}
