//! The line in the log of a postback that was quarantined: one a minute and source.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::code::ReasonCode;
use crate::domain::ids::{Seq, SourceId};
use crate::domain::rejection::code::RejectionCode;
use crate::domain::time::{LineLimit, Time};

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
