//! Makes the keys of records, as the table of [`crate::store::layout`] has them.

use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::store::network::lists::SuppressionKey;

/// The name under `M` where the format is named.
pub const FORMAT: &[u8] = b"Mformat";
/// The name under `M` of the numbers that must not be given twice.
pub const NUMBERS: &[u8] = b"Mnumbers";
/// The name under `M` of the clock by which retention goes.
pub const CLOCK: &[u8] = b"Mclock";
/// The name under `M` of where the times of clicks go back.
pub const CLICK_RUNS: &[u8] = b"Mclickruns";
/// The name under `M` of the destinations that are no longer configured.
pub const REMOVED: &[u8] = b"Mremoved";
/// The name under `M` that a readiness probe writes.
pub const PROBE: &[u8] = b"Mprobe";
/// The name under `M` of the key by which suppressed e-mail addresses and phone numbers are hashed.
pub const HASH_KEY: &[u8] = b"Mhashkey";

fn numbered(prefix: u8, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(prefix);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub fn attempts(first: u64) -> Vec<u8> {
    numbered(b'A', first)
}

pub fn block(first: u64) -> Vec<u8> {
    numbered(b'B', first)
}

pub fn heads(first: u64) -> Vec<u8> {
    numbered(b'H', first)
}

pub fn overlay(seq: u64) -> Vec<u8> {
    numbered(b'C', seq)
}

pub fn marks(first: u64) -> Vec<u8> {
    numbered(b'X', first)
}

pub fn click(id: &ClickId) -> Vec<u8> {
    [b"K", id.as_str().as_bytes()].concat()
}

/// The log of clicks.
pub fn log(first: u64) -> Vec<u8> {
    numbered(b'G', first)
}

/// Days sort as they follow one another; without an offer, what is before every offer's.
pub fn day(day: i64, offer: Option<&OfferId>) -> Vec<u8> {
    let sorted = (day ^ i64::MIN).to_be_bytes();
    [b"D", &sorted[..], offer.map_or("", OfferId::as_str).as_bytes()].concat()
}

pub fn visitor(id: &VisitorId) -> Vec<u8> {
    [b"V", id.as_str().as_bytes()].concat()
}

/// Answers about a click that is not recorded.
pub fn answers(click: &ClickId) -> Vec<u8> {
    [b"Y", click.as_str().as_bytes()].concat()
}

/// Before the keys of all answers.
pub const ANSWERS: &[u8] = b"Y";

/// Behind the keys of all answers.
pub fn after_answers() -> Vec<u8> {
    b"Z".to_vec()
}

pub fn text(name: &str) -> Vec<u8> {
    [b"T", name.as_bytes()].concat()
}

pub fn matching(id: &ClickId) -> Vec<u8> {
    [b"J", id.as_str().as_bytes()].concat()
}

pub fn list(list: &str) -> Vec<u8> {
    [b"N", list.as_bytes()].concat()
}

pub fn listed(list: &str, token: &SuppressionKey) -> Vec<u8> {
    [b"L", list.as_bytes(), &[0], token.as_bytes()].concat()
}

/// Where a list's entries lie. A list's name has no control characters.
pub fn list_span(list: &str) -> (Vec<u8>, Vec<u8>) {
    ([b"L", list.as_bytes(), &[0]].concat(), [b"L", list.as_bytes(), &[1]].concat())
}

/// The lists of a value are adjacent, by name; no value begins another, as the length is first.
pub fn suppressed(token: &SuppressionKey, list: &str) -> Vec<u8> {
    let length = (token.as_bytes().len() as u64).to_be_bytes();
    [b"S", &length[..], token.as_bytes(), list.as_bytes()].concat()
}

/// The number in a key of `A`, `B`, `C`, `G`, `H` or `X`.
pub fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}
