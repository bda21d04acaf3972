//! A JSON body as parameters: nested objects become dotted names, numbers keep their text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::postback::Fault;
use crate::template::params::Reader;

/// Objects within objects, at most; deeper ones are not a postback.
const MAX_DEPTH: usize = 16;

/// Reads an object into `reader`: `{"customer":{"email":"a@b.c"}}` is `customer.email=a@b.c`, the
/// items of an array are numbered from 0 (`items.0.id`), null is absent, repeats of a key are kept.
///
/// # Errors
/// Broken JSON, anything but an object at the top, more than 16 levels, and the reader's own faults.
pub(crate) fn read(body: &[u8], reader: &mut Reader) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(body);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        reader.note("the JSON body was not UTF-8; unreadable bytes were replaced");
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('[') {
        return Err(Fault::new(
            "the body is a JSON array, and a postback is one event",
            "send one object for each event: `{\"transaction_id\": …}`",
        ));
    }
    if !text.starts_with('{') {
        return Err(Fault::new(
            "the body says it is JSON but is no object",
            "send one object: `{\"transaction_id\": …}`, or the content type of a form",
        ));
    }
    walk("", text, 0, reader)
}

/// Whether `body` is well-formed JSON.
pub(crate) fn check(body: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(body).is_ok()
}

/// One value under its dotted `name`, by its first character: a number's text is taken as it stands.
fn walk(name: &str, json: &str, depth: usize, reader: &mut Reader) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(
            format!("the JSON body is nested more than {MAX_DEPTH} levels deep, at `{name}`"),
            "send the parameters in one flat object",
        ));
    }
    match json.as_bytes().first() {
        Some(b'{' | b'[') => {
            for (key, value) in members(json)? {
                let inner = if name.is_empty() { key } else { format!("{name}.{key}") };
                walk(&inner, value, depth + 1, reader)?;
            }
            Ok(())
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(broken)?;
            let raw = text.clone().into_bytes();
            reader.add(name.to_owned(), text, raw)
        }
        Some(b'n') => Ok(()),
        _ => reader.add(name.to_owned(), json.to_owned(), json.as_bytes().to_vec()),
    }
}

fn broken(error: serde_json::Error) -> Fault {
    Fault::new(
        format!("the body is broken JSON: {error}"),
        "mend the body that the network sends; a macro without quotes is the usual cause",
    )
}

/// An object's or array's members in order, each value still as its JSON text.
fn members(json: &str) -> Result<Vec<(String, &str)>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = Members.deserialize(&mut deserializer).map_err(broken)?;
    deserializer.end().map_err(broken)?;
    Ok(members)
}

struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Vec<(String, &'de str)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            found.push((key, value.get()));
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
