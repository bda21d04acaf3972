//! Goes through the commits of a journal in order.

use std::path::Path;

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
    let mut last = after;
    for (entry, next) in segments.iter().zip(segments.iter().skip(1).map(Some).chain([None])) {
        if next.is_some_and(|next| next.first <= after + 1) {
            continue;
        }
        // What is missing was found, and named, when the journal was inspected.
        let Ok(mut reader) = SegmentReader::open(&folder.join(&entry.file)) else { continue };
        loop {
            match reader.next_frame() {
                Ok(head) if head.lsn <= last => {}
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
