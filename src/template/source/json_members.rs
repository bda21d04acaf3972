//! The members of one JSON object or array: their names, and each value still as its text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Names and values in order; the items of an array are numbered from 0. What is nested is not looked at,
/// however deep it is. `None` where the text is not JSON, or neither an object nor an array.
pub(crate) fn members(json: &str) -> Option<Vec<(String, &str)>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_any(Members).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
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
