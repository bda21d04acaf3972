//! Postbacks: in blocks in order of arrival, each with the conversion that it made.

use serde::{Deserialize, Serialize};

use crate::domain::attribution::Attribution;
use crate::domain::conversion::Conversion;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::postback::{Postback, RawRequest, VerdictName};
use crate::domain::time::Time;
use crate::store::codec::{self, BLOCK_BYTES, BLOCK_ENTRIES, LayoutError, corrupt, tag};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::delivery::Marks;

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
    /// What is kept of postback `seq`.
    pub fn entry(&self, seq: u64) -> Option<(&EntryHead, &BlockEntry)> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        Some((self.heads.get(at)?, self.entries.get(at)?.as_ref()?))
    }

    /// Whether nothing of it is kept any more.
    pub fn is_gone(&self) -> bool {
        self.heads.iter().all(|head| head.gone)
    }
}

/// The entries of the block that begins at `first`.
fn block_key(first: u64) -> Vec<u8> {
    codec::numbered(b'B', first)
}

/// Their heads.
pub fn heads_key(first: u64) -> Vec<u8> {
    codec::numbered(b'H', first)
}

impl Reader {
    /// The block as stored, past the cache.
    pub fn block_afresh(&self, first: u64) -> Result<Option<Block>, StoreError> {
        let Some(heads) = self.head(&heads_key(first))? else { return Ok(None) };
        let Some(entries) = self.body(&block_key(first))? else { return Ok(None) };
        Ok(Some(Block { first, heads, entries }))
    }
}

/// Conversion `seq` of a block under the marks next to it; an overlay is not looked for.
pub fn record_in(block: &Block, marks: &Marks, seq: u64) -> Result<Option<Record>, LayoutError> {
    let Some((head, entry)) = block.entry(seq) else { return Ok(None) };
    let Some(conversion) = entry.conversion.clone() else { return Ok(None) };
    let Some(sketch) = &head.sketch else { return Ok(None) };
    let standing = sketch.standing.under(marks, seq - block.first)?;
    Ok(Some(Record { conversion, standing, overlay: false }))
}

/// Puts a new block into a batch.
pub fn add_block(batch: &mut Batch, block: &Block) -> Result<(), StoreError> {
    let (entries, heads) = pack_block(block)?;
    batch.add(block_key(block.first), entries);
    batch.add(heads_key(block.first), heads);
    Ok(())
}

/// Puts a block over what was kept of it; one of which nothing is kept any more is removed.
pub fn put_block(batch: &mut Batch, block: &Block) -> Result<(), StoreError> {
    if block.is_gone() {
        batch.remove(block_key(block.first));
        batch.remove(heads_key(block.first));
        return Ok(());
    }
    let (entries, heads) = pack_block(block)?;
    batch.put(block_key(block.first), entries);
    batch.put(heads_key(block.first), heads);
    Ok(())
}

/// The two records of a block: its entries, and their heads.
fn pack_block(block: &Block) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let entries = codec::pack(&(), &block.entries).map_err(|e| corrupt(&block_key(block.first), &e))?;
    let heads = codec::pack(&block.heads, &()).map_err(|e| corrupt(&heads_key(block.first), &e))?;
    Ok((entries, heads))
}

/// Cuts new postbacks, of which the first has number `first`, into blocks of bounded number and size.
pub fn blocks_of(mut first: u64, postbacks: impl IntoIterator<Item = (EntryHead, BlockEntry)>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let empty = |first| Block { first, heads: Vec::new(), entries: Vec::new() };
    let (mut block, mut bytes) = (empty(first), 0);
    for (head, entry) in postbacks {
        let size = plain_size(&entry);
        if block.heads.len() == BLOCK_ENTRIES || (bytes + size > BLOCK_BYTES && !block.heads.is_empty()) {
            first += block.heads.len() as u64;
            blocks.push(std::mem::replace(&mut block, empty(first)));
            bytes = 0;
        }
        bytes += size;
        block.heads.push(head);
        block.entries.push(Some(entry));
    }
    blocks.extend(Some(block).filter(|block| !block.heads.is_empty()));
    blocks
}

impl EntryHead {
    /// Of a new postback, with the conversion that it makes, and the sales that it takes back and no one knows.
    pub fn of(postback: &Postback, sketch: Option<Sketch>, sales: Vec<ConversionId>) -> EntryHead {
        EntryHead {
            at: postback.received_at,
            source: postback.source.as_ref().map(|source| tag(source.as_str())),
            verdict: postback.verdict.name(),
            again: postback.again,
            raw: postback.raw.is_some(),
            gone: false,
            sketch,
            sales,
        }
    }
}

/// About how many bytes an entry brings to its block.
fn plain_size(entry: &BlockEntry) -> usize {
    let raw = entry.postback.raw.as_ref().map_or(0, RawRequest::bytes);
    let pairs = entry.conversion.as_ref().map_or(0, |conversion| {
        let given = conversion.attribution.given().map_or(0, str::len);
        let matched = matches!(conversion.attribution, Attribution::Matched { .. });
        let params: usize = conversion.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        let traits: usize = conversion.traits.0.values().map(String::len).sum();
        128 + params + traits + given * if matched { 2 } else { 1 }
    });
    96 + raw + pairs
}
