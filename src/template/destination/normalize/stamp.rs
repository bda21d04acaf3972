//! First-party cookies that stamp a click: `{platform}.{number}.{milliseconds}.{id}`, with perhaps one part behind it.

use std::ops::RangeInclusive;

use crate::domain::time::Time;

/// 2005-01-01T00:00:00Z. A time before it is not in milliseconds, or not a time.
const FIRST_MS: i64 = 1_104_537_600_000;
/// The longest part that a platform's own library appends, with room for a later one.
const MAX_APPENDIX: usize = 16;

/// What may stand in the last part of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StampId {
    /// Letters, digits, `-` and `_`, as click ids are written.
    Token,
    Digits,
}

/// The times that a stamp may bear, in milliseconds: none before platforms had such cookies, none to come.
pub(crate) fn times(now: Time) -> RangeInclusive<i64> {
    FIRST_MS..=now.as_millis()
}

/// The id in a well-formed stamp of this platform; `None` where any part of it is not as it must be.
pub(crate) fn id_of<'c>(cookie: &'c str, platform: &str, kind: StampId, now: Time) -> Option<&'c str> {
    let mut parts = cookie.split('.');
    let (first, index, millis, id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (appendix, behind) = (parts.next(), parts.next());
    let sound = first == platform
        && (1..=2).contains(&index.len())
        && is_digits(index)
        && is_digits(millis)
        && times(now).contains(&millis.parse().ok()?)
        && appendix.is_none_or(|text| text.len() <= MAX_APPENDIX && is_token(text))
        && behind.is_none();
    let fits = match kind {
        StampId::Token => is_token(id),
        StampId::Digits => is_digits(id),
    };
    (sound && fits).then_some(id)
}

/// Whether a text can be a click id: letters, digits, `-` and `_`, and none of the words for nothing.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !text.is_empty() && text.bytes().all(allowed) && !super::is_skeleton(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
