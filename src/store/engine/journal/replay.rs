//! Goes through the commits of a journal in order.

use std::path::Path;

use crate::store::engine::journal::changes;
use crate::store::engine::journal::frame::FrameHead;
use crate::store::engine::journal::manifest::SegmentEntry;
use crate::store::engine::journal::segment_reader::SegmentReader;
use crate::store::engine::kv::KvError;

/// Sees a commit: its head, and the payload of its changes.
pub type CommitVisitor<'a> = &'a mut dyn FnMut(&FrameHead, &[u8]) -> Result<(), KvError>;

/// Shows every whole commit after `after` of these segments of a journal, which was inspected: damaged places are left out.
/// Answers the last one.
///
/// # Errors
/// The visitor's.
pub fn replay(
    folder: &Path,
    segments: &[SegmentEntry],
    after: u64,
    visit: CommitVisitor<'_>,
) -> Result<u64, KvError> {
    replay_between(folder, segments, (after, u64::MAX), visit)
}

/// The same of the commits after the first and up to the second of these: what is behind them may be being written.
///
/// # Errors
/// The visitor's.
pub fn replay_between(
    folder: &Path,
    segments: &[SegmentEntry],
    (after, to): (u64, u64),
    visit: CommitVisitor<'_>,
) -> Result<u64, KvError> {
    let mut last = after;
    for (entry, next) in segments.iter().zip(segments.iter().skip(1).map(Some).chain([None])) {
        if next.is_some_and(|next| next.first <= after + 1) {
            continue;
        }
        // What is missing was found, and named, when the journal was inspected.
        let Ok(mut reader) = SegmentReader::open(&folder.join(&entry.file)) else { continue };
        loop {
            if last >= to {
                return Ok(last);
            }
            match reader.next_frame() {
                Ok(head) if head.lsn <= last => {}
                Ok(head) if head.lsn > to => return Ok(last),
                Ok(head) => {
                    let payload = reader.unpack(&head);
                    let payload =
                        payload.map_err(|fault| KvError::Failed(format!("{}: {fault:?}", entry.file)))?;
                    visit(&head, payload)?;
                    last = head.lsn;
                }
                Err(_fault) => match reader.find_next() {
                    Some(next) => reader.go_to(next),
                    None => break,
                },
            }
        }
    }
    Ok(last)
}

/// What the journal says last of a key: its value, or that it was removed; `None`: nothing. It is read from its end on, as
/// far as needed.
///
/// # Errors
/// A place that cannot be read, behind which the key may be.
pub fn last_value(
    folder: &Path,
    segments: &[SegmentEntry],
    wanted: &[u8],
) -> Result<Option<Option<Vec<u8>>>, KvError> {
    for (entry, is_open) in segments.iter().rev().zip([true].into_iter().chain(std::iter::repeat(false))) {
        let damaged = |cause: String| KvError::Damaged {
            key: wanted.to_vec(),
            cause: format!("{} of the journal: {cause}", entry.file),
        };
        let mut reader =
            SegmentReader::open(&folder.join(&entry.file)).map_err(|error| damaged(error.to_string()))?;
        let mut found = None;
        while let Ok(head) = reader.next_frame() {
            let payload = reader.unpack(&head).map_err(|fault| damaged(format!("{fault:?}")))?;
            let read = changes::each(payload, |(key, value)| {
                if key == wanted {
                    found = Some(value.map(<[u8]>::to_vec));
                }
            });
            read.map_err(damaged)?;
        }
        // Behind the end of the open one there are zeros, and a frame that is being written.
        if !is_open && reader.find_next().is_some() {
            return Err(damaged(format!("it is damaged at byte {}", reader.at())));
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
