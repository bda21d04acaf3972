//! Postbacks: what the index needs of each, what became of it with the conversion that it made, and its raw bytes, which
//! are kept for other days than the rest. The engine packs them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::conversion::Conversion;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::postback::{Postback, RawRequest, VerdictName};
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt, tag};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::conversion::Sketch;
use crate::store::table::day::day;

/// The first bytes of its keys: what the index needs, the postback and its conversion, the raw bytes.
pub const HEAD_PREFIX: u8 = b'H';
pub const BODY_PREFIX: u8 = b'B';
pub const RAW_PREFIX: u8 = b'P';

/// How many records [`add_postback`] adds at most.
pub const POSTBACK_RECORDS: usize = 3;

/// What the index needs of a postback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostbackHead {
    pub at: Time,
    /// The [`tag`] of its source, where it has one.
    pub source: Option<u32>,
    pub verdict: VerdictName,
    pub again: Option<Seq>,
    /// The conversion that this postback made, as it was then.
    pub sketch: Option<Sketch>,
    /// Where it is quarantined because it takes back a sale that is not known: the ids that the sale may
    /// have.
    pub sales: Vec<ConversionId>,
}

impl PostbackHead {
    /// Of a new postback, with the conversion that it makes, and the sales that it takes back and no one knows.
    pub fn of(postback: &Postback, sketch: Option<Sketch>, sales: Vec<ConversionId>) -> PostbackHead {
        PostbackHead {
            at: postback.received_at,
            source: postback.source.as_ref().map(|source| tag(source.as_str())),
            verdict: postback.verdict.name(),
            again: postback.again,
            sketch,
            sales,
        }
    }
}

/// A postback, whose raw bytes are apart, and the conversion that it made, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostbackBody {
    pub postback: Postback,
    pub conversion: Option<Conversion>,
}

/// The raw bytes of a postback, with what they age by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPostback<'a> {
    pub at: Time,
    pub again: Option<Seq>,
    pub raw: Cow<'a, RawRequest>,
}

/// The beginning of a [`RawPostback`]: what it ages by.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RawAge {
    pub at: Time,
    pub again: Option<Seq>,
}

/// The beginning of a [`PostbackHead`]: what it ages by.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct HeadAge {
    pub at: Time,
    _source: Option<u32>,
    _verdict: VerdictName,
    pub again: Option<Seq>,
}

/// What the index needs of postback `number`.
pub fn head_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(HEAD_PREFIX, day, number)
}

/// Postback `number` itself.
pub fn body_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(BODY_PREFIX, day, number)
}

/// Its raw bytes.
pub fn raw_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(RAW_PREFIX, day, number)
}

impl Reader {
    /// What the index needs of a postback.
    pub fn head_of(&self, day: i32, number: u64) -> Result<Option<PostbackHead>, StoreError> {
        self.record(&head_key(day, number))
    }

    /// A postback and the conversion that it made, without the raw bytes.
    pub fn body_of(&self, day: i32, number: u64) -> Result<Option<PostbackBody>, StoreError> {
        self.record(&body_key(day, number))
    }

    /// A postback, with its raw bytes while they are kept.
    pub fn postback(&self, day: i32, number: u64) -> Result<Option<Postback>, StoreError> {
        let Some(PostbackBody { mut postback, .. }) = self.body_of(day, number)? else { return Ok(None) };
        postback.raw =
            self.record::<RawPostback<'_>>(&raw_key(day, number))?.map(|kept| kept.raw.into_owned());
        Ok(Some(postback))
    }

    /// The raw bytes of a postback, while they are kept.
    pub fn raw_of(&self, day: i32, number: u64) -> Result<Option<RawPostback<'static>>, StoreError> {
        self.record(&raw_key(day, number))
    }

    /// Whether the raw bytes of a postback are still kept.
    pub fn has_raw(&self, day: i32, number: u64) -> Result<bool, StoreError> {
        Ok(self.get(&raw_key(day, number))?.is_some())
    }
}

/// Puts a new postback into a batch, with its raw bytes.
pub fn add_postback(
    batch: &mut Batch,
    head: &PostbackHead,
    body: &PostbackBody,
    raw: &RawRequest,
) -> Result<(), StoreError> {
    let (day, number) = (day(head.at), body.postback.seq.get());
    let key = raw_key(day, number);
    let kept = RawPostback { at: head.at, again: head.again, raw: Cow::Borrowed(raw) };
    let record = codec::record(&kept).map_err(|error| corrupt(&key, &error))?;
    batch.add(key, record);
    let (key, record) = head_record(day, number, head)?;
    batch.add(key, record);
    let (key, record) = body_record(day, number, body)?;
    batch.add(key, record);
    Ok(())
}

/// Puts what is left of a postback over what was kept of it.
pub fn put_postback(
    batch: &mut Batch,
    number: u64,
    head: &PostbackHead,
    body: &PostbackBody,
) -> Result<(), StoreError> {
    let (key, record) = head_record(day(head.at), number, head)?;
    batch.put(key, record);
    let (key, record) = body_record(day(head.at), number, body)?;
    batch.put(key, record);
    Ok(())
}

/// Puts what is left of a postback's raw bytes over what was kept of them.
pub fn put_raw(
    batch: &mut Batch,
    (day, number): (i32, u64),
    raw: &RawPostback<'_>,
) -> Result<(), StoreError> {
    let key = raw_key(day, number);
    let record = codec::record(raw).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// Takes a postback out. Its raw bytes are taken out apart.
pub fn remove_postback(batch: &mut Batch, day: i32, number: u64) {
    batch.remove(head_key(day, number));
    batch.remove(body_key(day, number));
}

type KeyAndRecord = (Vec<u8>, Vec<u8>);

fn head_record(day: i32, number: u64, head: &PostbackHead) -> Result<KeyAndRecord, StoreError> {
    let key = head_key(day, number);
    let record = codec::record(head).map_err(|error| corrupt(&key, &error))?;
    Ok((key, record))
}

fn body_record(day: i32, number: u64, body: &PostbackBody) -> Result<KeyAndRecord, StoreError> {
    let key = body_key(day, number);
    let record = codec::record(body).map_err(|error| corrupt(&key, &error))?;
    Ok((key, record))
}
