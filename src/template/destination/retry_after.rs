//! What a `Retry-After` header asks for, in milliseconds from now.

use std::time::UNIX_EPOCH;

use crate::domain::time::{DAY_MS, Time};

/// Reads whole seconds or an HTTP date. Held within 0 and 24 hours; `None` for anything else.
pub fn parse(header: &str, now: Time) -> Option<i64> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are longer than any wait that is kept.
        let seconds = header.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1000).min(DAY_MS));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
    let wait = i64::try_from(since_epoch).unwrap_or(i64::MAX).saturating_sub(now.as_millis());
    Some(wait.clamp(0, DAY_MS))
}
