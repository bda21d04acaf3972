//! Why a postback is not reprocessed, for API, pages and log alike.

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::erasure::blank::postback_erased_at;
use crate::domain::ids::Seq;
use crate::domain::postback::{Postback, VerdictName};
use crate::domain::rejection::Rejection;

codes! {
    /// The codes of the refusals.
    ReprocessRefusedCode = "reprocess_refused" {
        Unknown = "not_found",
            "no postback with this id is kept", "postbacks are kept for `keep_conversions_days`; look for it in the list of postbacks";
        NotQuarantined = "not_quarantined",
            "only a quarantined or ignored postback can be reprocessed", "choose one of those in quarantine, or one that was ignored";
        Purged = "bytes_purged",
            "its bytes were purged after `keep_postbacks_days`", "have the sender send it again";
        Erased = "bytes_erased",
            "the data of its person was erased, and its bytes with it", "nothing: it was asked for";
        ReprocessedAlready = "reprocessed_already",
            "it was reprocessed already; once more would count it twice", "look at the postback that reprocessed it";
        SenderInformed = "sender_informed",
            "it was received by an endpoint of Postbridge's own; its sender was informed of what is wrong",
            "have the sender send it again";
        Closed = "route_closed",
            "a report like it is not taken now either", "do what the hint says and reload; a report that is taken then needs no one to reprocess it, unless the hint says so";
        NoSource = "source_not_configured",
            "its source is not configured any more", "configure the source again, reload, then reprocess it";
    }
}

/// A refusal with what it is about.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReprocessRefused {
    Unknown,
    /// What became of it.
    NotQuarantined(VerdictName),
    Purged,
    Erased,
    ReprocessedAlready {
        by: Seq,
    },
    /// The built-in source.
    SenderInformed(String),
    /// Why a report like it is not taken today.
    Closed(Rejection),
    /// `None`: it names none.
    NoSource(Option<String>),
}

impl CodedReason for ReprocessRefused {
    type Code = ReprocessRefusedCode;

    fn code(&self) -> ReprocessRefusedCode {
        match self {
            ReprocessRefused::Unknown => ReprocessRefusedCode::Unknown,
            ReprocessRefused::NotQuarantined(_) => ReprocessRefusedCode::NotQuarantined,
            ReprocessRefused::Purged => ReprocessRefusedCode::Purged,
            ReprocessRefused::Erased => ReprocessRefusedCode::Erased,
            ReprocessRefused::ReprocessedAlready { .. } => ReprocessRefusedCode::ReprocessedAlready,
            ReprocessRefused::SenderInformed(_) => ReprocessRefusedCode::SenderInformed,
            ReprocessRefused::Closed(_) => ReprocessRefusedCode::Closed,
            ReprocessRefused::NoSource(_) => ReprocessRefusedCode::NoSource,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            ReprocessRefused::NotQuarantined(_) => Some("status"),
            ReprocessRefused::Closed(rejection) => rejection.field(),
            _ => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            ReprocessRefused::NotQuarantined(verdict) => Some(verdict.as_str()),
            ReprocessRefused::Closed(rejection) => rejection.value(),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            ReprocessRefused::NotQuarantined(verdict) => {
                format!(
                    "only a quarantined or ignored postback can be reprocessed; this one is {}",
                    verdict.as_str()
                )
            }
            ReprocessRefused::ReprocessedAlready { by } => {
                format!("postback {by} has reprocessed it already; once more would count it twice")
            }
            ReprocessRefused::SenderInformed(source) => format!(
                "it was received by the built-in source `{source}`; its sender was informed of what is wrong"
            ),
            ReprocessRefused::Closed(rejection) => rejection.sentence(),
            ReprocessRefused::NoSource(Some(source)) => {
                format!("its source `{source}` is not configured any more")
            }
            ReprocessRefused::Unknown
            | ReprocessRefused::Purged
            | ReprocessRefused::Erased
            | ReprocessRefused::NoSource(None) => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            ReprocessRefused::Closed(rejection) => rejection.hint(),
            _ => self.code().fix().to_owned(),
        }
    }
}

impl ReprocessRefused {
    /// Of one whose bytes are not kept.
    pub fn without_bytes(postback: &Postback) -> ReprocessRefused {
        match postback_erased_at(postback) {
            Some(_) => ReprocessRefused::Erased,
            None => ReprocessRefused::Purged,
        }
    }
}
