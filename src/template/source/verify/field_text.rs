//! The text that a signature over fields is over: which fields, in which order, and how they are joined.

use crate::domain::rejection::Rejection;
use crate::template::source::params::Param;
use crate::template::source::verify::request::SignedRequest;

/// No sender signs more fields than this; each is compared with all others.
pub(crate) const MOST_FIELDS: usize = 1024;

/// Which fields are signed, and how they are written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldText {
    pub(crate) pick: PickedFields,
    /// What is between name and value; `None`: the value alone.
    pub(crate) pair: Option<String>,
    /// What is between two fields, and between them and the secret.
    pub(crate) separator: String,
    /// Fields without a value are left out.
    pub(crate) skip_empty: bool,
    /// The most fields that are read of one request.
    pub(crate) most: usize,
}

/// Which fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PickedFields {
    /// These, in this order; one that was not received is empty.
    Named(Vec<String>),
    /// All but the signature's own and these, by the bytes of their names; arrays, with `[` in their name, are none.
    Sorted { skip: Vec<String> },
}

/// Where the secret is in the text that is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretPosition {
    Last,
    First,
    AfterEach,
    BeforeEach,
}

impl SecretPosition {
    pub(crate) const NAMES: [(&'static str, SecretPosition); 4] = [
        ("last", SecretPosition::Last),
        ("first", SecretPosition::First),
        ("after_each", SecretPosition::AfterEach),
        ("before_each", SecretPosition::BeforeEach),
    ];
}

impl FieldText {
    /// Each field as it is written down; `own` is the signature's name.
    ///
    /// # Errors
    /// The body cannot be read, or has too many fields.
    pub(crate) fn fields(&self, request: &SignedRequest<'_>, own: &str) -> Result<Vec<Vec<u8>>, Rejection> {
        let fields = match &self.pick {
            PickedFields::Named(names) => named(request, names)?,
            PickedFields::Sorted { skip } => sorted(request, (own, skip), self.most)?,
        };
        let kept = fields.into_iter().filter(|(_, value)| !(self.skip_empty && value.is_empty()));
        let written = kept.map(|(name, value)| match &self.pair {
            Some(mark) => [name.as_bytes(), mark.as_bytes(), &value].concat(),
            None => value,
        });
        Ok(written.collect())
    }

    /// The whole text without a secret.
    pub(crate) fn join(&self, fields: &[Vec<u8>]) -> Vec<u8> {
        fields.join(self.separator.as_bytes())
    }

    /// The whole text with the secret in its place.
    pub(crate) fn with_secret(&self, fields: &[Vec<u8>], secret: &str, position: SecretPosition) -> Vec<u8> {
        let secret = secret.as_bytes();
        let parts: Vec<Vec<u8>> = match position {
            SecretPosition::Last => [fields, &[secret.to_vec()]].concat(),
            SecretPosition::First => [&[secret.to_vec()], fields].concat(),
            SecretPosition::AfterEach => fields.iter().map(|field| [field, secret].concat()).collect(),
            SecretPosition::BeforeEach => fields.iter().map(|field| [secret, field].concat()).collect(),
        };
        self.join(&parts)
    }
}

type NameAndValue = (String, Vec<u8>);

/// A value as its sender signs it: text in UTF-8; what could not be read as text as the bytes that were sent.
fn signed_value(param: &Param) -> Vec<u8> {
    if !param.is_damaged() {
        return param.value.clone().into_bytes();
    }
    let spaced: Vec<u8> = param.raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    // In a multipart form the bytes are not encoded.
    if String::from_utf8_lossy(&decoded) == param.value { decoded } else { param.raw.clone() }
}

fn named(request: &SignedRequest<'_>, names: &[String]) -> Result<Vec<NameAndValue>, Rejection> {
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let read = request.named(&wanted)?;
    let value = |name: &str| read.get(name).map(signed_value).unwrap_or_default();
    Ok(names.iter().map(|name| (name.clone(), value(name))).collect())
}

fn sorted(
    request: &SignedRequest<'_>,
    (own, skip): (&str, &[String]),
    most: usize,
) -> Result<Vec<NameAndValue>, Rejection> {
    let is_signed = |name: &str| {
        !name.contains('[') && !name.eq_ignore_ascii_case(own) && !skip.iter().any(|skipped| skipped == name)
    };
    let params = request.every(most)?.pairs;
    let mut fields: Vec<NameAndValue> = params
        .into_iter()
        .filter(|param| is_signed(&param.name))
        .map(|param| (param.name.clone(), signed_value(&param)))
        .collect();
    fields.sort_unstable_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    Ok(fields)
}
