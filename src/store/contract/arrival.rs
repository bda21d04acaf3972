//! What is received: postbacks and reports, clicks, answers about consent; and what became of each.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::consent::ConsentRecord;
use crate::domain::conversion::Draft;
use crate::domain::ids::{ClickId, Seq, SourceId, VisitorId};
use crate::domain::ignored::IgnoredReason;
use crate::domain::postback::{MappingVersion, RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::time::Time;

/// What one arrival is known by, where a store is asked for it again: it has nothing to do with what was sent. No two
/// arrivals have the same, not even of two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrivalId(u128);

impl ArrivalId {
    /// Of 128 bits that are given once; their lower half is spread as random bits are.
    pub fn new(bits: u128) -> ArrivalId {
        ArrivalId(bits)
    }

    /// The bits.
    pub fn get(self) -> u128 {
        self.0
    }
}

/// Something that arrived on a postback URL.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its own. Who does not know what became of it asks again with the same, and is answered that.
    pub id: ArrivalId,
    /// Kept as it is for `keep_postbacks_days`.
    pub raw: RawRequest,
    /// When the request was read whole; of one that is reprocessed, when it was first received.
    pub received_at: Time,
    /// Whose conversion it would be; `None` where the path names no configured source.
    pub source: Option<SourceId>,
    /// What it was mapped by; `None` where no configured source's template read it.
    pub mapping: Option<MappingVersion>,
    /// What was made of it before the commit, which decides what it counts for.
    pub finding: Finding,
    /// Set when an earlier arrival is reprocessed.
    pub again: Option<Reprocess>,
}

/// A quarantined or ignored record is reprocessed: the arrival keeps the time at which it was received, what it causes
/// counts from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reprocess {
    /// The record.
    pub of: Seq,
    /// From when holds and due times of what it causes are counted.
    pub now: Time,
}

/// What the template made of an arrival.
#[derive(Debug, Clone)]
pub enum Finding {
    /// It was understood, as this conversion, before it is known whose it is: the commit decides whether it is new, a
    /// change or a repeat. It goes by the click as it is then, and by the ruleset of
    /// [`Store::change_rules`](crate::store::contract::Store::change_rules).
    Mapped(Box<Draft>),
    /// Its sender may report, and it cannot be used: it is kept whole and can be reprocessed.
    Quarantined(Rejection),
    /// It was understood, and is not a conversion: it is kept whole and can be reprocessed.
    Ignored {
        /// Why it counts for nothing.
        reason: IgnoredReason,
        /// What was odd about it.
        notes: Vec<ReportNote>,
    },
    /// Turned away: a bad key, an unknown source, too large or too fast. It cannot be reprocessed.
    Refused(Rejection),
}

/// What became of an arrival, after it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the new record, also where it reprocesses an earlier one.
    pub postback: Seq,
    /// What it counts for, by the decision of the commit.
    pub verdict: Verdict,
    /// Whether a click earned the conversion. `None` without a conversion.
    pub matched: Option<bool>,
    /// What was repaired or left out, and did not stop it.
    pub notes: Vec<ReportNote>,
}

/// A click that arrived.
#[derive(Debug, Clone)]
pub struct ClickArrival {
    /// Its id may be that of a known click: then what that one lacks is filled from it.
    pub click: Click,
    /// Who reports it decides: visitors' clicks are looked at, an own server's are not.
    pub screening: Screening,
}

/// Whether the click filters of the ruleset look at a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screening {
    /// They do, at the commit; the verdicts are kept with the click and answered.
    Filters,
    /// They do not: an own server reported the click.
    None,
}

/// What became of a recorded click, after it is durable.
#[derive(Debug, Clone)]
pub struct ClickReceipt {
    /// Whether it was new or added to a known one.
    pub recorded: ClickRecorded,
    /// The click as it is kept now, with its verdicts.
    pub click: Arc<Click>,
}

/// What became of a recorded click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickRecorded {
    /// No click had the id. Conversions that waited for it are matched now.
    New,
    /// The id was known; absent fields were filled from what was received.
    Filled,
    /// The id was known and nothing new was received.
    Known,
}

/// What a visitor answered to the question of consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentArrival {
    /// The click of the page on which the answer was given.
    pub click: ClickId,
    /// Whom the browser is known as, where it is known.
    pub visitor: Option<VisitorId>,
    /// Each answer with the time it was given; the later one counts, whenever it is received.
    pub consent: ConsentRecord,
    /// When it was received, for its age in retention. It does not say which answer is the later one.
    pub received_at: Time,
}
