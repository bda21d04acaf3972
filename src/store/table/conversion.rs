//! Conversions: what the index needs of one, and the whole of one that changed.

use serde::{Deserialize, Serialize};

use crate::domain::attribution::{Attribution, candidates};
use crate::domain::claim::Claim;
use crate::domain::conversion::{Conversion, Reuse};
use crate::domain::ids::{ClickId, ConversionId, Seq};
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt, hash, tag};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::report_line::ReportLine;

/// The first byte of its keys.
pub const PREFIX: u8 = b'C';

/// A conversion as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub conversion: Conversion,
    pub standing: DeliveryStates,
    /// Whether it has an overlay.
    pub overlay: bool,
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

/// A [`Reuse`], with the tag of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SketchedReuse {
    /// The conversion that had the transaction id first.
    pub first: ConversionId,
    /// The postback that made the one before.
    pub previous: Option<u64>,
    /// Which conversion of its transaction id it is, from 2.
    pub nth: u32,
    /// The tag of the source.
    pub source: u32,
}

impl Sketch {
    /// Of a conversion with its deliveries as they are.
    pub fn of(conversion: &Conversion, standing: DeliveryStates) -> Sketch {
        let source = tag(conversion.source.as_str());
        Sketch {
            id: conversion.id,
            waits_for: waits_for(conversion),
            transaction: conversion.transaction_id.as_deref().map(tag),
            click: named_click(conversion),
            standing,
            report: ReportLine::of(conversion),
            disposition: conversion.disposition.map(|(due, _)| due),
            reuse: conversion.reuse.as_ref().map(|reuse| SketchedReuse::of(reuse, source)),
            claim: claim_hash(conversion),
        }
    }
}

impl SketchedReuse {
    /// As the index keeps it.
    pub fn of(reuse: &Reuse, source: u32) -> SketchedReuse {
        let previous = reuse.previous.map(Seq::get);
        SketchedReuse { first: reuse.first, previous, nth: reuse.nth, source }
    }
}

/// Hashes of the click ids that it waits for; none when it is matched or names none.
pub fn waits_for(conversion: &Conversion) -> Vec<u64> {
    match &conversion.attribution {
        Attribution::Unmatched { given } => {
            candidates(given).iter().map(|(id, _)| hash(id.as_str())).collect()
        }
        _ => Vec::new(),
    }
}

/// The tag of the click that it has, or names.
pub fn named_click(conversion: &Conversion) -> Option<u32> {
    let attribution = &conversion.attribution;
    attribution.click().map(ClickId::as_str).or(attribution.given()).map(tag)
}

/// The hash by which it is found among those that count, or wait, for its claim on its click; `None` where it has
/// none: see [`Claim`].
pub fn claim_hash(conversion: &Conversion) -> Option<u64> {
    Claim::held_by(conversion).map(|(claim, role)| hash(&claim.text(role)))
}

/// The conversion that postback `number` made, once it has changed.
fn overlay_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(PREFIX, day, number)
}

/// From the first to behind the last of these numbers, of one day or of several.
pub fn overlay_span(from: (i32, u64), to: (i32, u64)) -> (Vec<u8>, Vec<u8>) {
    (overlay_key(from.0, from.1), overlay_key(to.0, to.1))
}

impl Reader {
    /// What the index needs of what replaced the conversion that a postback made.
    pub fn overlay_sketch(&self, day: i32, number: u64) -> Result<Option<Sketch>, StoreError> {
        self.head(&overlay_key(day, number))
    }

    /// What replaced the conversion that a postback made.
    pub fn overlay(&self, day: i32, number: u64) -> Result<Option<Record>, StoreError> {
        let key = overlay_key(day, number);
        let Some(bytes) = self.get(&key)? else { return Ok(None) };
        let unpack = || {
            let sketch: Sketch = codec::head(&bytes)?;
            Ok(Record { conversion: codec::body(&bytes)?, standing: sketch.standing, overlay: true })
        };
        unpack().map(Some).map_err(|error| corrupt(&key, &error))
    }
}

/// Puts a conversion that changed into a batch, over an earlier change.
pub fn put_overlay(batch: &mut Batch, day: i32, number: u64, record: &Record) -> Result<(), StoreError> {
    let key = overlay_key(day, number);
    let sketch = Sketch::of(&record.conversion, record.standing.clone());
    let packed = codec::pack(&sketch, &record.conversion).map_err(|error| corrupt(&key, &error))?;
    if record.overlay {
        batch.put(key, packed);
    } else {
        batch.add(key, packed);
    }
    Ok(())
}

/// Takes what replaced a conversion out.
pub fn remove_overlay(batch: &mut Batch, day: i32, number: u64) {
    batch.remove(overlay_key(day, number));
}
