//! Opening: rebuilds from the stored records what is kept in memory.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::ids::ClickId;
use crate::domain::postback::VerdictName;
use crate::store::chunk::Chunk;
use crate::store::clicks::lately::RecentClicks;
use crate::store::clicks::log;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::index::Index;
use crate::store::keeping::OperatorRecords;
use crate::store::layout::{LayoutError, NumberSequences, VERSION, key};
use crate::store::network::lists::Lists;
use crate::store::records::{Records, corrupt};

/// How many blocks are read at a time.
const BLOCKS: usize = 512;

/// Why a store cannot be opened. `Display` says what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "what each means is its message")]
pub enum OpenError {
    #[error(
        "another process has the data folder {} open: stop it first, or give this one its own folder",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "there is no room on the disk of the data folder {}: free some space, then start: nothing is lost",
        path.display()
    )]
    Full { path: PathBuf },
    #[error("{} in the data folder may not be read or written by this user", path.display())]
    Denied { path: PathBuf },
    #[error("{} can be read by other users, and this user may not change that", path.display())]
    Exposed { path: PathBuf },
    #[error("the data folder {} cannot be used: {cause}", path.display())]
    Folder { path: PathBuf, cause: String },
    #[error(
        "the data in {} cannot be opened: {cause}. Nothing was changed. Keep the folder as it is, and restore \
         a backup into another one",
        path.display()
    )]
    Broken { path: PathBuf, cause: String },
    #[error(
        "the data folder holds format {found}, and this program reads and writes format {VERSION} only. Nothing \
         was changed, and the data is whole: open it with the version that wrote it"
    )]
    Format { found: u8 },
    #[error("the stored data cannot be read: {0}")]
    Records(#[from] StoreError),
    #[error("the writer thread cannot be started: {0}")]
    Thread(String),
}

impl OpenError {
    /// What the system's refusal to use `path`, the folder or something in it, means.
    pub fn of_io(path: &Path, error: &io::Error) -> OpenError {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::PermissionDenied => OpenError::Denied { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { path },
            _ => OpenError::Folder { path, cause: error.to_string() },
        }
    }
}

/// What opening found.
pub struct Opened {
    /// What is unfinished, and by what everything is found.
    pub index: Index,
    /// What the click filters remember.
    pub lately: RecentClicks,
    /// The numbers that are given next.
    pub numbers: NumberSequences,
    /// Clicks whose waiting conversions were not all matched when the process ended.
    pub matching: Vec<ClickId>,
}

/// Reads everything that the index needs, and marks a new store with its format.
pub fn rebuild(records: &Records, dedup_mask: u64) -> Result<Opened, OpenError> {
    check_format(records)?;
    let mut index = Index::new(dedup_mask);
    index.lists = Arc::new(Lists::open(records)?);
    index.kept = Arc::new(OperatorRecords::open(records)?);
    let manual = HashSet::new();
    // What is purged of a record that was reprocessed is counted nowhere.
    let mut quarantined = HashSet::new();
    let mut next = 0;
    loop {
        let chunk = Chunk::read(records, next, u64::MAX, BLOCKS)?;
        let Some(end) = chunk.end() else { break };
        for (first, heads) in &chunk.blocks {
            index.add_block(*first, heads.len());
            for (number, head) in (*first..).zip(heads) {
                index.note_head(number, head, head.again.is_some_and(|of| quarantined.contains(&of.get())));
                if !head.gone && head.verdict == VerdictName::Quarantined {
                    quarantined.insert(number);
                }
                if let Some(sketch) = &head.sketch {
                    index.apply(number, None, Some(sketch), &manual);
                }
                if head.raw && !index.is_reprocessed(number) {
                    index.reversals.wait(number, &head.sales);
                }
            }
        }
        next = end;
    }
    let numbers = numbers(records, next)?;
    index.set_end(numbers.next_postback);
    let lately = RecentClicks::open(records, numbers.next_click)?;
    Ok(Opened { index, lately, numbers, matching: matching(records)? })
}

fn check_format(records: &Records) -> Result<(), OpenError> {
    match records.get(key::FORMAT)?.map(|bytes| bytes.first().copied()) {
        Some(Some(VERSION)) => Ok(()),
        Some(Some(found)) => Err(OpenError::Format { found }),
        Some(None) => Err(corrupt(key::FORMAT, &LayoutError::Short).into()),
        None => {
            let mut batch = Batch::default();
            batch.put(key::FORMAT.to_vec(), vec![VERSION]);
            Ok(records.kv().commit(batch, &mut |_| {}).map_err(|error| records.fail("write", error))?)
        }
    }
}

/// The next numbers: after everything stored, and after everything purged.
fn numbers(records: &Records, next_postback: u64) -> Result<NumberSequences, StoreError> {
    let mut numbers = NumberSequences {
        next_postback: next_postback.max(1),
        next_attempt: 1,
        next_click: log::end(records)?,
    };
    if let Some(kept) = records.head::<NumberSequences>(key::NUMBERS)? {
        numbers.next_postback = numbers.next_postback.max(kept.next_postback);
        numbers.next_attempt = numbers.next_attempt.max(kept.next_attempt);
        numbers.next_click = numbers.next_click.max(kept.next_click);
    }
    if let Some((first, block)) = records.attempt_block(u64::MAX - 1)? {
        numbers.next_attempt = numbers.next_attempt.max(first + block.len() as u64);
    }
    Ok(numbers)
}

fn matching(records: &Records) -> Result<Vec<ClickId>, StoreError> {
    let mut found = Vec::new();
    let span = Span { from: b"J", to: b"K", direction: Direction::Up };
    records.scan(span, &mut |key, _| {
        let id = key.get(1..).and_then(|id| std::str::from_utf8(id).ok());
        found.extend(id.and_then(|id| ClickId::parse(id).ok()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
