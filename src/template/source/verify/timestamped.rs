//! A header with a time and signatures of that time and the body: `t=1492774577,v1=5257a8…,v0=6ffbb5…`.

use crate::domain::time::Time;

/// The most signatures of one header that are looked at: a sender signs by two secrets while one is being changed.
const MOST_SIGNATURES: usize = 8;

/// What such a header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TimedSignatures<'a> {
    /// The time as it is written, which is what is signed.
    pub(crate) stamp: &'a str,
    pub(crate) signed_at: Time,
    pub(crate) signatures: Vec<&'a str>,
}

/// Reads a header whose time is named `timestamp`, in seconds since 1970, and whose signatures are each named
/// `signature`; `None` without a time or a signature.
pub(crate) fn read<'a>(text: &'a str, timestamp: &str, signature: &str) -> Option<TimedSignatures<'a>> {
    let members = || text.split(',').filter_map(|member| member.trim().split_once('='));
    let mut stamps = members().filter(|(name, _)| *name == timestamp).map(|(_, value)| value);
    let stamp = stamps.next()?;
    let is_number = !stamp.is_empty() && stamp.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = stamp.parse().ok().filter(|_| is_number && stamps.next().is_none())?;
    let signed_at = Time::from_millis(seconds.checked_mul(1000)?)?;
    let signatures: Vec<&str> = members()
        .filter(|(name, _)| *name == signature)
        .map(|(_, value)| value)
        .take(MOST_SIGNATURES)
        .collect();
    (!signatures.is_empty()).then_some(TimedSignatures { stamp, signed_at, signatures })
}
