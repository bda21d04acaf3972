//! A JSON body as parameters: nested objects become dotted names, numbers keep their digits.

use std::fmt::{self, Write};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::domain::money::without_exponent;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::body::BodyProblem;
use crate::template::source::charset::DAMAGE;
use crate::template::source::reader::ParamsReader;

/// Objects within objects that are walked whatever is in them; deeper only to what is read.
const MAX_DEPTH: usize = 16;

/// Reads an object into `reader`: `{"customer":{"email":"a@b.c"}}` is `customer.email=a@b.c`, the
/// items of an array are numbered from 0 (`items.0.id`), null is absent, repeats of a key are kept.
/// What no one reads is not copied once there is much of it, and not descended into where it is deep.
///
/// # Errors
/// Broken JSON, anything but an object at the top, and the reader's own faults; more than 16 levels
/// where everything is read.
pub(crate) fn read(text: &str, reader: &mut ParamsReader<'_>) -> Result<(), Rejection> {
    if text.starts_with('[') {
        return Err(BodyProblem::JsonArray.into());
    }
    if !text.starts_with('{') {
        return Err(BodyProblem::NotAnObject.into());
    }
    let mut walk = JsonWalk { reader, path: String::new(), depth: 0, rejection: None };
    walk.value(text)
}

/// Whether `body` is well-formed JSON.
pub fn check(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The object in a body that was written as JSON twice: a JSON text that holds one.
pub fn written_twice(body: &[u8]) -> Option<String> {
    let inner: String = serde_json::from_slice(body).ok()?;
    inner.trim_start().starts_with('{').then(|| inner.trim().to_owned())
}

/// Whether a body is JSON without any parameter in it, one bare word, or has neither a letter nor a digit:
/// `null`, `[]`, `""`, `false`, `{}`, `[[], {}]`, `[""]`, `7`, `undefined`, `''`, and the `[object Object]` of a
/// script that sends an object as a text.
pub(crate) fn holds_nothing(body: &[u8]) -> bool {
    match body.first() {
        Some(b'[') if is_object_as_text(body) => true,
        // `{` and `[` alone are the beginning of JSON that was cut off.
        Some(first) if !matches!(first, b'{' | b'[') && body.len() <= 64 && !has_letter_or_digit(body) => {
            true
        }
        Some(b'{' | b'[') => {
            // A list of empty things is short; a long body is not read twice for this.
            body.len() <= 256
                && serde_json::from_slice(body)
                    .is_ok_and(|value| is_hollow(&value) || is_list_of_nothing(&value))
        }
        Some(b'"') => body.len() > 1 && check(body),
        _ => {
            body.len() <= 64
                && (body.iter().all(u8::is_ascii_alphabetic)
                    || check(body) && body.iter().all(|b| *b != b'='))
        }
    }
}

/// What JavaScript makes of an object that is given as a text: `[object Object]`, `[object FormData]`.
fn is_object_as_text(body: &[u8]) -> bool {
    let class = body.strip_prefix(b"[object ").and_then(|rest| rest.strip_suffix(b"]"));
    class.is_some_and(|class| class.iter().all(u8::is_ascii_alphabetic))
}

/// Bytes that are not ASCII may be letters of any charset; the mark and the spaces that senders leave alone
/// are none.
fn has_letter_or_digit(body: &[u8]) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == DAMAGE;
    String::from_utf8_lossy(body).chars().any(is_letter)
}

fn is_hollow(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Array(items) => items.iter().all(is_hollow),
        serde_json::Value::Object(members) => members.values().all(is_hollow),
        serde_json::Value::Null => true,
        _ => false,
    }
}

/// A list of nothing but what is empty: `["", false, null]`.
fn is_list_of_nothing(value: &serde_json::Value) -> bool {
    let is_empty = |item: &serde_json::Value| {
        is_hollow(item) || item.as_str() == Some("") || item.as_bool() == Some(false)
    };
    value.as_array().is_some_and(|items| items.iter().all(is_empty))
}

/// The way through a document: the dotted name so far, and the reader of what is found.
struct JsonWalk<'w, 'r> {
    reader: &'w mut ParamsReader<'r>,
    path: String,
    depth: usize,
    /// What the reader refuses, carried past serde.
    rejection: Option<Rejection>,
}

impl JsonWalk<'_, '_> {
    /// One value under the path, by its first character: a number's text is taken as it is, but
    /// that an exponent is applied.
    fn value(&mut self, json: &str) -> Result<(), Rejection> {
        match json.as_bytes().first() {
            Some(b'{' | b'[') => self.container(json),
            Some(b'n') => Ok(()),
            _ if self.reader.is_passed_over(&self.path) => Ok(()),
            Some(b'"') => {
                // The document is well-formed: what cannot be a text is one half of a surrogate pair, which
                // a sender leaves that cuts a text by 16-bit units.
                let text: String = serde_json::from_str(json).unwrap_or_else(|_| DAMAGE.to_string());
                let raw = text.clone().into_bytes();
                self.reader.add(self.path.clone(), text, raw)
            }
            _ => {
                let text = without_exponent(json).unwrap_or_else(|| json.to_owned());
                self.reader.add(self.path.clone(), text, json.as_bytes().to_vec())
            }
        }
    }

    fn container(&mut self, json: &str) -> Result<(), Rejection> {
        if self.depth > 0 && (self.depth > MAX_DEPTH || self.reader.is_full()) {
            if !self.reader.reads_within(&self.path) {
                return Ok(());
            }
            if self.depth > MAX_DEPTH && self.reader.reads_all() {
                return Err(
                    BodyProblem::JsonTooDeep { field: self.path.clone(), most: MAX_DEPTH as u64 }.into()
                );
            }
        }
        self.depth += 1;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let walked = JsonMembers(self).deserialize(&mut deserializer);
        if let Some(rejection) = self.rejection.take() {
            return Err(rejection);
        }
        walked.and_then(|()| deserializer.end()).map_err(broken)?;
        self.depth -= 1;
        Ok(())
    }

    /// One member: its key behind the path, then its value. `None` once something is refused.
    fn member(&mut self, key: impl fmt::Display, value: &str) -> Option<()> {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{dot}{key}");
        let walked = self.value(value);
        self.path.truncate(length);
        self.rejection = walked.err();
        self.rejection.is_none().then_some(())
    }
}

fn broken(error: serde_json::Error) -> Rejection {
    BodyProblem::BrokenJson { error: error.to_string() }.into()
}

/// An object's or array's members in order, each value still as its JSON text.
struct JsonMembers<'m, 'w, 'r>(&'m mut JsonWalk<'w, 'r>);

impl<'de> DeserializeSeed<'de> for JsonMembers<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Never shown: what was refused is reported instead.
const STOPPED: &str = "stopped";

impl<'de> Visitor<'de> for JsonMembers<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = map.next_entry::<Name, &'de RawValue>()? {
            self.0.member(name, value.get()).ok_or_else(|| A::Error::custom(STOPPED))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            self.0.member(index, value.get()).ok_or_else(|| A::Error::custom(STOPPED))?;
            index += 1;
        }
        Ok(())
    }
}

/// Names and values in order; the items of an array are numbered from 0. What is nested is not looked at,
/// however deep it is. `None` where the text is not JSON, or neither an object nor an array.
pub(crate) fn members(json: &str) -> Option<Vec<(String, &str)>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_any(MemberTexts).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

struct MemberTexts;

impl<'de> Visitor<'de> for MemberTexts {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name, &'de RawValue>()? {
            found.push((name, value.get()));
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            found.push((found.len().to_string(), value.get()));
        }
        Ok(found)
    }
}

/// A member's name. One half of a surrogate pair, which a sender leaves that cuts a text by 16-bit units, is
/// damage of this name and does not break the document.
pub(crate) struct Name(pub(crate) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        // Asked for bytes, serde_json does not insist on whole pairs.
        deserializer.deserialize_bytes(NameBytes)
    }
}

struct NameBytes;

impl Visitor<'_> for NameBytes {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name, E> {
        Ok(Name(String::from_utf8_lossy(name).into_owned()))
    }
}
