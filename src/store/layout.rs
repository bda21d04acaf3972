//! Every key and record of the embedded store, format 7. Written once, here.
//!
//! One prefix byte, then the key proper; numbers are big-endian, so that keys sort as numbers do.
//!
//! | key | record | written |
//! |---|---|---|
//! | `A` first attempt number | up to 16 attempts; each names its delivery and the delivery's attempt before it | once; attempts of purged conversions are blanked |
//! | `B` first postback number | up to 16 postbacks in order of arrival, each with the conversion it made | once; stripped and removed by purging |
//! | `C` postback number | a conversion that changed, whole, with all its deliveries: overrides `B`, `H` and `X` | at each change |
//! | `D` UTC day, offer | how many clicks on the offer counted on that day | with each such click |
//! | `G` first click number | up to 64 clicks in order of recording: id, time, and by what a repeat is known | once; purged clicks are blanked |
//! | `H` first postback number | for each entry of the block `B`: time, verdict, the conversion's id and its first deliveries | with its block |
//! | `J` click id | a click whose waiting conversions are not all matched yet | with the click; removed when done |
//! | `K` click id | a click | when recorded or filled |
//! | `L` list, 0, kind and value | an entry of a suppression list | when it is put on; removed when taken off |
//! | `M` name | what the store knows of itself | rarely |
//! | `N` list | a suppression list: when it changed, how much of what is on it | with its entries |
//! | `S` length, kind and value, list | nothing: that the value is on the list | with its `L` |
//! | `T` name | a text that is kept permanently | once |
//! | `V` visitor | in its head what a browser's visitor answered about consent; the newest 64 of its clicks | with each of them |
//! | `X` first postback number | where the deliveries of a block stand, if no longer as in the block | at each attempt |
//! | `Y` click id | what a visitor answered about consent on a page whose click is not recorded, and when that was received, also by the marks of age in `M` | when it is received; removed by purging |
//!
//! The order serves two readers: opening walks `H`, `C` and `X` side by side by number, and a list
//! walks the same backwards. Many small facts share a key because the engine's cost is by the key; `H`
//! is apart from `B` so that a million conversions are indexed without reading one of them.
//!
//! A record is: version (1 byte) · length of the head (u32) · head (postcard) · body (lz4 block of postcard, preceded by
//! its plain length). Either may be empty. How long a value may be is the engine's business.

pub(crate) mod key;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::attribution::{Attribution, candidates};
use crate::domain::claim::Claim;
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::ids::{ClickId, ConversionId, Seq};
use crate::domain::postback::{Postback, VerdictName};
use crate::domain::time::Time;
use crate::store::network::line::ReportLine;
use crate::store::transactions::SketchedReuse;

/// The format that this program writes.
pub const VERSION: u8 = 7;
/// The most arrivals, or attempts, in one record.
pub const BLOCK_ENTRIES: usize = 16;
/// The most plain bytes that go together into one block; a longer entry has a block of its own.
pub const BLOCK_BYTES: usize = 20 * 1024;
/// Version, head length.
const PREAMBLE: usize = 5;
/// No record unpacks to more than this.
const MAX_PLAIN: u32 = 256 * 1024 * 1024;

/// Why stored bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("it has format {0}; this program reads and writes format {VERSION} only")]
    Version(u8),
    #[error("it ends too early")]
    Short,
    /// Written down all the same, another number would be there.
    #[error("its {what} is {number}, more than the record has room for")]
    TooGreat { what: &'static str, number: u64 },
    /// A record refers to something that another one does not have.
    #[error("it names {what} {number}, which there is not")]
    Dangling { what: &'static str, number: u64 },
    /// The index or another record says that it is there.
    #[error("it is missing")]
    Missing,
    #[error("{0}")]
    Content(String),
}

/// A conversion's deliveries as they stand, with the number of each one's latest attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStates {
    pub deliveries: Vec<Delivery>,
    /// As long as `deliveries`.
    pub last_attempts: Vec<Option<u64>>,
}

impl DeliveryStates {
    pub fn new(deliveries: Vec<Delivery>) -> DeliveryStates {
        let last_attempts = vec![None; deliveries.len()];
        DeliveryStates { deliveries, last_attempts }
    }

    /// Takes a later plan: the same deliveries in the same order, perhaps more.
    pub fn replan(&mut self, deliveries: Vec<Delivery>) {
        self.last_attempts.resize(deliveries.len(), None);
        self.deliveries = deliveries;
    }

    pub fn is_unfinished(&self) -> bool {
        self.deliveries.iter().any(|delivery| delivery.state.is_unfinished())
    }
}

/// What the index needs of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    pub id: ConversionId,
    /// Hashes of the click ids it waits for; empty when it is matched or names none.
    pub waits_for: Vec<u64>,
    /// Low halves of the hashes of transaction id and click id, to pass over a record unread.
    pub transaction: Option<u32>,
    pub click: Option<u32>,
    pub standing: DeliveryStates,
    /// Its line in reports, where it is of an offer.
    pub report: Option<ReportLine>,
    /// When its status changes automatically.
    pub disposition: Option<Time>,
    /// Where its transaction id had a conversion before.
    pub reuse: Option<SketchedReuse>,
    /// See [`claim_hash`].
    pub claim: Option<u64>,
}

impl Sketch {
    pub fn of(conversion: &Conversion, standing: DeliveryStates) -> Sketch {
        let waits_for = match &conversion.attribution {
            Attribution::Unmatched { given } => {
                candidates(given).iter().map(|(id, _)| hash(id.as_str())).collect()
            }
            _ => Vec::new(),
        };
        let click = conversion.attribution.click().map(ClickId::as_str).or(conversion.attribution.given());
        let source = tag(conversion.source.as_str());
        Sketch {
            id: conversion.id,
            waits_for,
            transaction: conversion.transaction_id.as_deref().map(tag),
            click: click.map(tag),
            standing,
            report: ReportLine::of(conversion),
            disposition: conversion.disposition.map(|(due, _)| due),
            reuse: conversion.reuse.as_ref().map(|reuse| SketchedReuse::of(reuse, source)),
            claim: claim_hash(conversion),
        }
    }
}

/// The hash by which it is found among those that count, or wait, for its claim on its click; `None` where it has
/// none: see [`Claim`].
pub fn claim_hash(conversion: &Conversion) -> Option<u64> {
    Claim::held_by(conversion).map(|(claim, role)| hash(&claim.text(role)))
}

/// FNV-1a, 64 bits. It is stored, so it never changes.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The half of [`hash`] that a [`Sketch`] keeps.
pub fn tag(text: &str) -> u32 {
    let [_, _, _, _, low @ ..] = hash(text.trim()).to_be_bytes();
    u32::from_be_bytes(low)
}

/// Head of one entry of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryHead {
    pub at: Time,
    /// The [`tag`] of its source, where it has one.
    pub source: Option<u32>,
    pub verdict: VerdictName,
    pub again: Option<Seq>,
    /// Whether the raw bytes are still kept.
    pub raw: bool,
    /// Nothing of the entry is kept any more.
    pub gone: bool,
    /// The conversion that this postback made, as it was then.
    pub sketch: Option<Sketch>,
    /// Where it is quarantined because it takes back a sale that is not known: the ids that the sale may
    /// have.
    pub sales: Vec<ConversionId>,
}

/// Body of one entry of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    pub postback: Postback,
    pub conversion: Option<Conversion>,
}

/// A block, unpacked. Entry `i` is postback `first + i`; `None` is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub first: u64,
    pub heads: Vec<EntryHead>,
    pub entries: Vec<Option<BlockEntry>>,
}

impl Block {
    pub fn entry(&self, seq: u64) -> Option<(&EntryHead, &BlockEntry)> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        Some((self.heads.get(at)?, self.entries.get(at)?.as_ref()?))
    }
}

/// The state of one delivery of a block now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryMark {
    pub entry: u16,
    pub delivery: u32,
    pub state: DeliveryState,
    pub expires_at: Option<Time>,
    pub attempts: u32,
    pub last_attempt: Option<u64>,
}

/// The marks next to a block, by entry and delivery.
pub type Marks = Vec<DeliveryMark>;

/// One attempt as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAttempt {
    /// The postback number of the conversion, and the delivery's place in it.
    pub seq: u64,
    pub delivery: u32,
    /// The attempt before this one at the same delivery.
    pub previous: Option<u64>,
    pub attempt: Attempt,
}

/// A block of attempts; a purged one is `None`.
pub type Attempts = Vec<Option<StoredAttempt>>;

/// Numbers that go on even when everything that bore them is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberSequences {
    pub next_postback: u64,
    pub next_attempt: u64,
    pub next_click: u64,
}

/// Head of a click's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickHead {
    pub recorded_at: Time,
}

impl ClickHead {
    pub fn of(click: &Click) -> ClickHead {
        ClickHead { recorded_at: click.recorded_at }
    }
}

/// The bytes as postcard reads them.
fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, LayoutError> {
    postcard::from_bytes(bytes).map_err(|error| LayoutError::Content(error.to_string()))
}

/// Packs a record.
///
/// # Errors
/// A value that cannot be written down.
pub fn pack<H: Serialize, B: Serialize>(head: &H, body: &B) -> Result<Vec<u8>, LayoutError> {
    let content = |error: postcard::Error| LayoutError::Content(error.to_string());
    let head = postcard::to_extend(head, Vec::with_capacity(1024)).map_err(content)?;
    let body = postcard::to_extend(body, Vec::with_capacity(BLOCK_BYTES)).map_err(content)?;
    let body = lz4_flex::compress_prepend_size(&body);
    let head_length = u32::try_from(head.len()).map_err(|_| LayoutError::Short)?;
    let mut bytes = Vec::with_capacity(PREAMBLE + head.len() + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&head_length.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The head of a record.
pub fn head<H: DeserializeOwned>(bytes: &[u8]) -> Result<H, LayoutError> {
    let (length, rest) = split(bytes)?;
    plain(rest.get(..length).ok_or(LayoutError::Short)?)
}

/// The body of a record.
pub fn body<B: DeserializeOwned>(bytes: &[u8]) -> Result<B, LayoutError> {
    let (length, rest) = split(bytes)?;
    let packed = rest.get(length..).ok_or(LayoutError::Short)?;
    let plain_length =
        packed.first_chunk().map(|size| u32::from_le_bytes(*size)).ok_or(LayoutError::Short)?;
    if plain_length > MAX_PLAIN {
        return Err(LayoutError::Content(format!("it claims {plain_length} bytes")));
    }
    let unpacked = lz4_flex::decompress_size_prepended(packed)
        .map_err(|error| LayoutError::Content(error.to_string()))?;
    plain(&unpacked)
}

/// The length of the head, and all that follows its length.
fn split(bytes: &[u8]) -> Result<(usize, &[u8]), LayoutError> {
    match bytes {
        [VERSION, a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            Ok((usize::try_from(length).map_err(|_| LayoutError::Short)?, rest))
        }
        [] | [VERSION, ..] => Err(LayoutError::Short),
        [version, ..] => Err(LayoutError::Version(*version)),
    }
}
