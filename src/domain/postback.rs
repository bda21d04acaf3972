//! A request from a network as it was received, and what became of it. Every one leaves a record.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{ConversionId, Seq, SourceId};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::note::ReportNote;
use crate::domain::reporter::Reporter;
use crate::domain::time::Time;

/// The bytes that arrived, before anyone understood them. Secrets are masked: the first path
/// segment and the value of `api_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRequest {
    /// The request line without its line end, byte for byte: `GET /***/collect/my-network?s1=#s1# HTTP/1.1`.
    #[serde(with = "bytes_as_bytes")]
    pub line: Vec<u8>,
    /// The header as it was received.
    pub content_type: Option<String>,
    /// Inflated where that was possible: `encoded` says whether.
    #[serde(with = "bytes_as_bytes")]
    pub body: Vec<u8>,
    /// The sender's address: the peer's, or what a trusted proxy says.
    pub peer: Option<IpAddr>,
    /// How the body was encoded when it was received, where it was.
    pub encoded: Option<EncodedBody>,
    /// Set where it is a whole report that may count later: see [`Rejection::may_reopen`].
    pub reporter: Option<Box<Reporter>>,
}

/// A body that was received with a `Content-Encoding`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedBody {
    /// The header's value: `gzip`, `deflate`…
    pub encoding: String,
    /// How many bytes were received.
    pub bytes: u64,
    /// The SHA-256 of the bytes that were received.
    pub sha256: [u8; 32],
    /// Says in which form the body is kept.
    pub inflation: Inflation,
}

impl EncodedBody {
    /// Why the body cannot be read, where it cannot.
    pub fn problem(&self) -> Option<BodyProblem> {
        let encoding = self.encoding.clone();
        match self.inflation {
            Inflation::Inflated => None,
            Inflation::Unsupported => Some(BodyProblem::UnsupportedEncoding { encoding }),
            Inflation::Damaged => Some(BodyProblem::DamagedEncoding { encoding }),
        }
    }
}

/// What was made of an encoded body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inflation {
    /// The kept body is the inflated one.
    Inflated,
    /// The encoding is not known: the kept body is as it was received.
    Unsupported,
    /// The bytes are not in that encoding, or not all of them: kept as they were received.
    Damaged,
}

impl RawRequest {
    /// The raw bytes after the target's first `?`, up to the line's last space; empty without one.
    pub fn query(&self) -> &[u8] {
        let after = self
            .line
            .iter()
            .position(|b| *b == b'?')
            .map_or(&[][..], |at| self.line.get(at + 1..).unwrap_or(&[]));
        let end = after.iter().rposition(|b| *b == b' ').unwrap_or(after.len());
        after.get(..end).unwrap_or(&[])
    }
}

/// Serde writes a `Vec<u8>` element by element; this writes it as one run of bytes.
pub(crate) mod bytes_as_bytes {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// What became of a postback.
#[allow(missing_docs, reason = "`conversion` is the one that the variant's comment names")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// A conversion of its own.
    Accepted { conversion: ConversionId },
    /// A change to a conversion that was known.
    Updated { conversion: ConversionId },
    /// A repeat: same ids, nothing sent.
    Duplicate { conversion: ConversionId },
    /// Kept and understood to be wrong; it can be reprocessed.
    Quarantined(Rejection),
    /// Turned away: a bad key, an unknown source, or bytes that are no request. Not a postback.
    Refused(Rejection),
}

impl Verdict {
    /// The verdict without what it is about.
    pub fn name(&self) -> VerdictName {
        match self {
            Verdict::Accepted { .. } => VerdictName::Accepted,
            Verdict::Updated { .. } => VerdictName::Updated,
            Verdict::Duplicate { .. } => VerdictName::Duplicate,
            Verdict::Quarantined(_) => VerdictName::Quarantined,
            Verdict::Refused(_) => VerdictName::Refused,
        }
    }

    /// As API and pages write it.
    pub fn as_str(&self) -> &'static str {
        self.name().as_str()
    }

    /// Why it was quarantined or refused.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Verdict::Quarantined(rejection) | Verdict::Refused(rejection) => Some(rejection),
            Verdict::Accepted { .. } | Verdict::Updated { .. } | Verdict::Duplicate { .. } => None,
        }
    }

    /// The one that it made, changed or repeated; `None` where it was not taken.
    pub fn conversion(&self) -> Option<ConversionId> {
        match self {
            Verdict::Accepted { conversion }
            | Verdict::Updated { conversion }
            | Verdict::Duplicate { conversion } => Some(*conversion),
            Verdict::Quarantined(_) | Verdict::Refused(_) => None,
        }
    }
}

/// A [`Verdict`] without what it is about.
#[allow(missing_docs, reason = "each is the verdict of the same name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictName {
    Accepted,
    Updated,
    Duplicate,
    Quarantined,
    Refused,
}

impl VerdictName {
    /// Every verdict, those of a conversion first.
    pub const ALL: [VerdictName; 5] = [
        VerdictName::Accepted,
        VerdictName::Updated,
        VerdictName::Duplicate,
        VerdictName::Quarantined,
        VerdictName::Refused,
    ];

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictName::Accepted => "accepted",
            VerdictName::Updated => "updated",
            VerdictName::Duplicate => "duplicate",
            VerdictName::Quarantined => "quarantined",
            VerdictName::Refused => "refused",
        }
    }

    /// The verdict that is written so.
    pub fn parse(word: &str) -> Option<VerdictName> {
        VerdictName::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// Whether a conversion was made of it, changed by it or known before it.
    pub fn is_conversion(self) -> bool {
        matches!(self, VerdictName::Accepted | VerdictName::Updated | VerdictName::Duplicate)
    }
}

/// One record of the raw log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postback {
    /// Its place in the order of arrival, and the id by which it is looked up.
    pub seq: Seq,
    /// By this machine's clock.
    pub received_at: Time,
    /// Absent when the source is unknown or the request was refused before it was read.
    pub source: Option<SourceId>,
    /// Absent once `keep_postbacks_days` have passed.
    pub raw: Option<RawRequest>,
    /// As it was decided then: a later reprocessing is a record of its own.
    pub verdict: Verdict,
    /// What was odd but did not stop it: values left out, a differing click id, a missing identity.
    pub notes: Vec<ReportNote>,
    /// The earlier record that this one reprocesses with the current template.
    pub again: Option<Seq>,
}
