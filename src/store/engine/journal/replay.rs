//! Goes through the commits of a journal in order.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;

use crate::store::engine::journal::changes;
use crate::store::engine::journal::frame::FrameHead;
use crate::store::engine::journal::manifest::SegmentEntry;
use crate::store::engine::journal::segment_reader::SegmentReader;
use crate::store::engine::kv::KvError;
use crate::store::engine::unreadable::UnreadableSpan;

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
        let mut reader = match SegmentReader::open(&folder.join(&entry.file)) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened.map_err(|error| KvError::Failed(format!("{}: {error}", entry.file)))?,
        };
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

/// Why the journal could not give what was looked for.
#[derive(Debug)]
pub struct UnreadJournal {
    /// In words, with the file.
    pub cause: String,
    /// Whether it cannot ever.
    pub is_lost: bool,
}

/// Sees a commit: its head, and the payload of its changes.
pub type WholeVisitor<'a> = &'a mut dyn FnMut(&FrameHead, &[u8]) -> Result<(), UnreadJournal>;

/// Shows the commits after `after` and up to `until`, which is durable, of these segments of a journal that is in use: all
/// that they have, or it fails.
///
/// # Errors
/// A place that cannot be read; or the visitor's.
pub fn replay_whole(
    folder: &Path,
    segments: &[SegmentEntry],
    (after, until): (u64, u64),
    visit: WholeVisitor<'_>,
) -> Result<(), UnreadJournal> {
    let mut last = after;
    for (number, entry) in segments.iter().enumerate() {
        let next = segments.get(number + 1);
        if next.is_some_and(|next| next.first <= after + 1) {
            continue;
        }
        if entry.first > until {
            break;
        }
        let failed = |cause: String, is_lost| {
            let cause = format!("{} of the journal: {cause}", entry.file);
            UnreadJournal { cause, is_lost }
        };
        // It may have been replaced meanwhile.
        let mut reader = SegmentReader::open(&folder.join(&entry.file))
            .map_err(|error| failed(error.to_string(), false))?;
        let mut frames = 0;
        while let Ok(head) = reader.next_frame() {
            (frames, last) = (frames + 1, last.max(head.lsn));
            if after < head.lsn && head.lsn <= until {
                let payload = reader.unpack(&head).map_err(|fault| failed(format!("{fault:?}"), false))?;
                visit(&head, payload).map_err(|unread| failed(unread.cause, unread.is_lost))?;
            }
        }
        let is_whole = match (&entry.finished, next) {
            (Some(finished), _) => {
                // A rewritten one may have lost its last commits to those who have taken their place.
                last = last.max(finished.last);
                finished.frames == frames
            }
            (None, Some(next)) => last + 1 == next.first,
            // Behind what is durable there are zeros, and a frame that is being written.
            (None, None) => last >= until,
        };
        if !is_whole {
            return Err(failed(format!("it is damaged at byte {}", reader.at()), true));
        }
    }
    Ok(())
}

/// What the journal says last of each key of a span: its value, or that it was removed; up to commit `until`. No more bytes
/// of it than given are kept.
///
/// # Errors
/// A place that cannot be read: it may have had one of them. Or more bytes.
pub fn values_within(
    folder: &Path,
    segments: &[SegmentEntry],
    until: u64,
    (span, most): (&UnreadableSpan, usize),
) -> Result<BTreeMap<Vec<u8>, Option<Bytes>>, UnreadJournal> {
    let (mut found, mut bytes) = (BTreeMap::new(), 0);
    replay_whole(folder, segments, (0, until), &mut |_, payload| {
        let read = changes::each(payload, |(key, value)| {
            if span.covers(key) {
                bytes += key.len() + value.map_or(0, <[u8]>::len);
                let before: Option<Option<Bytes>> =
                    found.insert(key.to_vec(), value.map(Bytes::copy_from_slice));
                bytes -= before.map_or(0, |before| key.len() + before.map_or(0, |value| value.len()));
            }
        });
        read.map_err(|cause| UnreadJournal { cause, is_lost: true })?;
        if bytes > most {
            let cause = format!("what the index cannot give has more than {most} bytes");
            return Err(UnreadJournal { cause, is_lost: true });
        }
        Ok(())
    })?;
    Ok(found)
}
