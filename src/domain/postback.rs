//! A request from a network as it was received, and what became of it. Every one leaves a record.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::{ConversionId, Seq, SourceId};
use crate::domain::ignored::IgnoredReason;
use crate::domain::presented::KeptProof;
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
    /// Its headers, without credentials.
    pub headers: KeptHeaders,
    /// Inflated where that was possible: `encoded` says whether.
    #[serde(with = "bytes_as_bytes")]
    pub body: Vec<u8>,
    /// The sender's address: the peer's, or what a trusted proxy says.
    pub peer: Option<IpAddr>,
    /// How the body was encoded when it was received, where it was.
    pub encoded: Option<EncodedBody>,
    /// Set where it is a whole report that may count later: see [`Rejection::may_reopen`].
    pub reporter: Option<Box<Reporter>>,
    /// What its signature is verified by once more; `None` where nothing of it was verified.
    pub proof: Option<Box<KeptProof>>,
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
    /// The bytes of what was received, as far as they are kept.
    pub fn bytes(&self) -> usize {
        self.line.len() + self.headers.as_bytes().len() + self.body.len()
    }

    /// What the header says that the body is.
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.headers.get(CONTENT_TYPE).map(String::from_utf8_lossy)
    }

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

/// The header by which a body is read: where there is not room for all, it is kept before the others.
/// The header that says what a body is.
pub const CONTENT_TYPE: &str = "content-type";

/// The headers of a request as they are kept: in the order in which they were received, the values of a repeated name
/// together, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptHeaders {
    /// Each as `name: value` and a line feed: a name has no colon, and a value no line feed.
    #[serde(with = "bytes_as_bytes")]
    lines: Vec<u8>,
    left_out: u32,
}

impl KeptHeaders {
    /// The most bytes of a request's headers that are kept, names and values together.
    pub const MOST_BYTES: usize = 4096;

    /// None yet, with room for so many bytes of names and values of so many headers.
    pub fn with_room(headers: usize, bytes: usize) -> KeptHeaders {
        KeptHeaders { lines: Vec::with_capacity(bytes + 3 * headers), left_out: 0 }
    }

    /// Adds one behind the others; its name is in lower case.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        if value.contains(&b'\n') {
            return self.leave_out();
        }
        for part in [name.as_bytes(), b": ", value, b"\n"] {
            self.lines.extend_from_slice(part);
        }
    }

    /// Puts others in the place of those values for which `change`, by name and value, has one.
    pub fn map_values(&mut self, change: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) {
        let changed: Vec<Option<Vec<u8>>> = self.iter().map(|(name, value)| change(name, value)).collect();
        if changed.iter().all(Option::is_none) {
            return;
        }
        let mut headers =
            KeptHeaders { lines: Vec::with_capacity(self.lines.len()), left_out: self.left_out };
        for ((name, value), changed) in self.iter().zip(&changed) {
            headers.push(name, changed.as_deref().unwrap_or(value));
        }
        *self = headers;
    }

    /// Counts one that is not kept.
    pub fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }

    /// Keeps so many bytes of them: the content type and the `first` ones by name, then the others in their order, each
    /// whole or not at all.
    pub fn fit(&mut self, most_bytes: usize, first: &[String]) {
        if self.lines.len() <= most_bytes {
            return;
        }
        let is_first = |name: &str| name == CONTENT_TYPE || first.iter().any(|known| known == name);
        let mut lines: Vec<(&[u8], bool)> =
            self.lines.split_inclusive(|byte| *byte == b'\n').map(|line| (line, false)).collect();
        let mut room = most_bytes;
        for turn in [true, false] {
            for (line, is_kept) in &mut lines {
                let is_due = named(line).is_some_and(|(name, _)| is_first(name) == turn);
                if is_due && line.len() <= room {
                    room -= line.len();
                    *is_kept = true;
                }
            }
        }
        let left_out = lines.iter().filter(|(_, is_kept)| !is_kept).count();
        self.left_out = self.left_out.saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
        let kept = lines.iter().filter(|(_, is_kept)| *is_kept).flat_map(|(line, _)| *line);
        self.lines = kept.copied().collect();
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.split_inclusive(|byte| *byte == b'\n').filter_map(named)
    }

    /// The first value of a name in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All of them as they are kept: `name: value` and a line feed each.
    pub fn as_bytes(&self) -> &[u8] {
        &self.lines
    }

    /// How many were received and are not here: credentials, and what there was no room for.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }
}

/// A kept line's name and value.
fn named(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon).and_then(|name| std::str::from_utf8(name).ok())?;
    Some((name, line.get(colon + 2..line.len() - 1)?))
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

/// Which version of a template a postback was mapped by, with the source's settings that decide on it: the beginning of
/// a SHA-256, shown as 12 hexadecimal digits. No secret is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingVersion([u8; 6]);

impl MappingVersion {
    /// The version of these texts in this order, the template's first.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> MappingVersion {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let [a, b, c, d, e, f, ..] = <[u8; 32]>::from(hash.finalize());
        MappingVersion([a, b, c, d, e, f])
    }
}

impl fmt::Display for MappingVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
    /// Understood, and not a conversion. It can be reprocessed, with a template that says otherwise.
    Ignored(IgnoredReason),
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
            Verdict::Ignored(_) => VerdictName::Ignored,
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
            Verdict::Accepted { .. }
            | Verdict::Updated { .. }
            | Verdict::Duplicate { .. }
            | Verdict::Ignored(_) => None,
        }
    }

    /// The one that it made, changed or repeated; `None` where it was not taken.
    pub fn conversion(&self) -> Option<ConversionId> {
        match self {
            Verdict::Accepted { conversion }
            | Verdict::Updated { conversion }
            | Verdict::Duplicate { conversion } => Some(*conversion),
            Verdict::Quarantined(_) | Verdict::Refused(_) | Verdict::Ignored(_) => None,
        }
    }
}

/// A [`Verdict`] without what it is about.
#[allow(missing_docs, reason = "each is the verdict of the same name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VerdictName {
    Accepted,
    Updated,
    Duplicate,
    Quarantined,
    Refused,
    Ignored,
}

impl VerdictName {
    /// Every verdict, those of a conversion first.
    pub const ALL: [VerdictName; 6] = [
        VerdictName::Accepted,
        VerdictName::Updated,
        VerdictName::Duplicate,
        VerdictName::Ignored,
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
            VerdictName::Ignored => "ignored",
        }
    }

    /// The verdict that is written so.
    pub fn parse(word: &str) -> Option<VerdictName> {
        VerdictName::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// Whether its bytes can become a conversion by a template that reads them otherwise.
    pub fn may_be_reprocessed(self) -> bool {
        matches!(self, VerdictName::Quarantined | VerdictName::Ignored)
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
    /// What it was mapped by, also where that quarantined it; absent where a built-in endpoint received it, or it was
    /// refused.
    pub mapping: Option<MappingVersion>,
    /// As it was decided then: a later reprocessing is a record of its own.
    pub verdict: Verdict,
    /// What was odd but did not stop it: values left out, a differing click id, a missing identity.
    pub notes: Vec<ReportNote>,
    /// The earlier record that this one reprocesses with the current template.
    pub again: Option<Seq>,
}
