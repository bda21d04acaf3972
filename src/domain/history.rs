//! The lines of a conversion's history.

use crate::domain::conversion::{Cause, Change, Conversion};
use crate::domain::time::Time;

/// Adds a change to a conversion's history.
pub fn push_change(conversion: &mut Conversion, at: Time, cause: Cause, what: Vec<String>) {
    let number = u32::try_from(conversion.history.len()).unwrap_or(u32::MAX).saturating_add(1);
    let status = conversion.status;
    conversion.history.push(Change { number, at, cause, what, status });
}
