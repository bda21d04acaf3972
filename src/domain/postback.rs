//! A request from a network as it was received, and what became of it, with the codes
//! of rejections. Every one leaves a record.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{ConversionId, Seq, SourceId};
use crate::domain::reporter::Reporter;
use crate::domain::time::Time;

/// The bytes that arrived, before anyone understood them. Secrets are masked: the first path
/// segment and the value of `api_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRequest {
    /// The request line without its line end, byte for byte: `GET /***/collect/my-network?s1=#s1# HTTP/1.1`.
    #[serde(with = "bytes_as_bytes")]
    pub line: Vec<u8>,
    pub content_type: Option<String>,
    #[serde(with = "bytes_as_bytes")]
    pub body: Vec<u8>,
    /// The sender's address: the peer's, or what a trusted proxy says.
    pub peer: Option<IpAddr>,
    /// How the body was encoded when it was received, where it was.
    pub encoded: Option<EncodedBody>,
    /// Set where it is a whole report that may count later: see [`RejectionCode::may_reopen`].
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
    pub inflation: Inflation,
}

impl EncodedBody {
    /// Why the body cannot be read, where it cannot.
    pub fn fault(&self) -> Option<Fault> {
        let encoding = &self.encoding;
        match self.inflation {
            Inflation::Inflated => None,
            Inflation::Unsupported => Some(
                Fault::new(
                    format!("the body has the content encoding `{encoding}`, which is not read"),
                    "send the body as it is, or with `Content-Encoding: gzip` or `deflate`",
                )
                .coded(RejectionCode::UnsupportedEncoding, None),
            ),
            Inflation::Damaged => Some(
                Fault::new(
                    format!("the body says that its content encoding is `{encoding}`, and cannot be inflated"),
                    "send the whole compressed body, or leave the `Content-Encoding` header out where it is not compressed",
                )
                .coded(RejectionCode::DamagedEncoding, None),
            ),
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

/// Why something was not taken as it was received, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What programs compare.
    pub code: Option<RejectionCode>,
    /// The parameter or field it is about, where it is about one.
    pub field: Option<String>,
    /// A sentence for a person.
    pub reason: String,
    /// A sentence for a person: how to fix it.
    pub hint: String,
}

impl Fault {
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { code: None, field: None, reason: reason.into(), hint: hint.into() }
    }

    /// What is wrong and how to fix it, for a person; the code first, where there is one.
    pub fn sentence(&self) -> String {
        let code = self.code.map(|code| format!("{}: ", code.as_str())).unwrap_or_default();
        format!("{code}{}; {}", self.reason, self.hint)
    }

    /// The same with further hints behind its own.
    pub fn with_hints(mut self, hints: Option<&[String]>) -> Fault {
        for hint in hints.unwrap_or_default() {
            self.hint = format!("{}; {hint}", self.hint);
        }
        self
    }

    /// Whether it is a report that may count later as it was received.
    pub fn may_reopen(&self) -> bool {
        self.code.is_some_and(RejectionCode::may_reopen)
    }

    /// The same with its code, and the field it is about.
    pub fn coded(self, code: RejectionCode, field: Option<&str>) -> Fault {
        Fault { code: Some(code), field: field.map(str::to_owned), ..self }
    }
}

/// What became of a postback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// A conversion of its own.
    Accepted { conversion: ConversionId },
    /// A change to a conversion that was known.
    Updated { conversion: ConversionId },
    /// A repeat: same ids, nothing sent.
    Duplicate { conversion: ConversionId },
    /// Kept and understood to be wrong; it can be reprocessed.
    Quarantined(Fault),
    /// Turned away: a bad key, an unknown source, or bytes that are no request. Not a postback.
    Refused(Fault),
}

impl Verdict {
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
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Verdict::Quarantined(fault) | Verdict::Refused(fault) => Some(fault),
            Verdict::Accepted { .. } | Verdict::Updated { .. } | Verdict::Duplicate { .. } => None,
        }
    }

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictName {
    Accepted,
    Updated,
    Duplicate,
    Quarantined,
    Refused,
}

impl VerdictName {
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
    pub seq: Seq,
    pub received_at: Time,
    /// Absent when the source is unknown or the request was refused before it was read.
    pub source: Option<SourceId>,
    /// Absent once `keep_postbacks_days` have passed.
    pub raw: Option<RawRequest>,
    pub verdict: Verdict,
    /// What was odd but did not stop it: values left out, a differing click id, a missing identity.
    pub note: Option<String>,
    /// The earlier record that this one reprocesses with the current template.
    pub again: Option<Seq>,
}

/// The reason of a quarantine or a refusal. What it is about is [`Fault::field`].
///
/// [`Fault::field`]: crate::domain::postback::Fault::field
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RejectionCode {
    /// The body has a `Content-Encoding` that is not read here.
    UnsupportedEncoding,
    /// An id that dedup or attribution needs holds bytes that are no text in the declared charset.
    UnreadableBytes,
    /// It takes back, or repeats without a click id, a transaction id that several conversions have.
    AmbiguousTransaction,
    /// It takes back a transaction that no conversion has (yet).
    UnknownTransaction,
    /// The body is not what its `Content-Encoding` says: it cannot be inflated.
    DamagedEncoding,
    /// The offer takes no reports by this route, from this address or of this event.
    EndpointClosed,
    /// The offer takes reports only from the addresses it names, and a proxy hides whose this one is.
    SenderBehindProxy,
    /// As many further sales of its click, offer and event wait for a person as may: see
    /// [`crate::domain::once::MOST_WAITING`].
    TooManyFurtherSales,
}

impl RejectionCode {
    /// Whether a report that fails for this alone may count later as it was received: once the configuration
    /// allows it, or a person has made room for it.
    pub fn may_reopen(self) -> bool {
        use RejectionCode::{EndpointClosed, SenderBehindProxy, TooManyFurtherSales};
        matches!(self, EndpointClosed | SenderBehindProxy | TooManyFurtherSales)
    }

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectionCode::UnsupportedEncoding => "unsupported_encoding",
            RejectionCode::UnreadableBytes => "unreadable_bytes",
            RejectionCode::AmbiguousTransaction => "ambiguous_transaction",
            RejectionCode::UnknownTransaction => "unknown_transaction",
            RejectionCode::DamagedEncoding => "damaged_encoding",
            RejectionCode::EndpointClosed => "endpoint_closed",
            RejectionCode::SenderBehindProxy => "sender_behind_proxy",
            RejectionCode::TooManyFurtherSales => "too_many_further_sales",
        }
    }
}
