//! A text that many share, read from what is stored without a copy of it in between.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a text. For `#[serde(deserialize_with)]`: the ids in a record are read each time when the record is.
pub fn shared_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    deserializer.deserialize_str(SharedText)
}

struct SharedText;

impl Visitor<'_> for SharedText {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(Arc::from(text))
    }
}
