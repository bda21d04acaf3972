//! What is counted of every source: its open quarantine, and when its latest postback was received. Made of
//! the heads of the records at open, moved on by each commit.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::code::ReasonCode;
use crate::domain::ids::{Seq, SourceId};
use crate::domain::postback::VerdictName;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::time::{LineLimit, Time};
use crate::store::contract::operator::SourceTally;
use crate::store::layout::EntryHead;

/// The log lines about quarantined postbacks, by source: once a minute each.
#[derive(Debug, Default)]
pub struct QuarantineLines(HashMap<SourceId, LineLimit>);

impl QuarantineLines {
    /// How many lines were left out before one that may be written now, if it may.
    fn admit(&mut self, source: &SourceId, now: Time) -> Option<u64> {
        self.0.entry(source.clone()).or_default().admit(now)
    }
}

/// A postback that was quarantined. Of the rejection only its code: the rest may hold personal data.
pub struct QuarantineLine {
    pub source: SourceId,
    pub code: RejectionCode,
    pub postback: Seq,
    pub received_at: Time,
}

impl QuarantineLine {
    /// Writes it once the record is durable, unless there was one of its source lately.
    pub fn write(self, lines: &Mutex<QuarantineLines>) {
        let QuarantineLine { source, code, postback, received_at } = self;
        let labels = [("source", source.to_string()), ("reason_code", code.as_str().to_owned())];
        metrics::counter!("postbridge_quarantined_total", &labels).increment(1);
        let Some(left_out) = lines.lock().admit(&source, received_at) else { return };
        tracing::warn!(
            %source,
            %postback,
            reason_code = code.as_str(),
            left_out,
            "a postback was quarantined: see Quarantine, fix what its reason names, then reprocess it"
        );
    }
}

/// By the tag of the source.
#[derive(Debug, Default)]
pub struct SourceIndex(HashMap<u32, SourceTally>);

impl SourceIndex {
    pub fn get(&self, source: u32) -> SourceTally {
        self.0.get(&source).copied().unwrap_or_default()
    }

    /// Takes note of a record. What reprocesses an earlier one bears the time of that one.
    pub fn note(&mut self, head: &EntryHead) {
        let Some(source) = head.source.filter(|_| !head.gone) else { return };
        if head.verdict == VerdictName::Refused {
            return;
        }
        let tally = self.0.entry(source).or_default();
        if head.again.is_none() {
            tally.last = Some(head.at);
        }
        tally.open_quarantine += u64::from(head.verdict == VerdictName::Quarantined);
    }

    /// A quarantined record of this source was reprocessed, or is gone.
    pub fn close(&mut self, source: u32) {
        if let Some(tally) = self.0.get_mut(&source) {
            tally.open_quarantine = tally.open_quarantine.saturating_sub(1);
        }
    }
}
