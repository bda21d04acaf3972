//! Which click earned a conversion. Pure: the caller looks the candidates up.

use serde::{Deserialize, Serialize};

use crate::domain::ids::ClickId;

/// How the click id that came was read before it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// Just as it came, decoded once as every parameter is.
    Exact,
    /// After taking white space off its ends: networks append it to an empty macro.
    Trimmed,
    /// After one more percent-decoding: the sender encoded it twice.
    Decoded,
}

impl Reading {
    /// A word for API and pages.
    pub fn word(self) -> &'static str {
        match self {
            Reading::Exact => "exact",
            Reading::Trimmed => "trimmed",
            Reading::Decoded => "decoded twice",
        }
    }
}

/// What is known of the click behind a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribution {
    /// The postback carried no usable click id.
    NoClickId,
    /// It carried `given`, and no such click is recorded (yet).
    Unmatched { given: String },
    /// The click, and how the id was read.
    Matched { given: String, click: ClickId, reading: Reading },
}

impl Attribution {
    pub fn click(&self) -> Option<&ClickId> {
        match self {
            Attribution::Matched { click, .. } => Some(click),
            _ => None,
        }
    }

    /// The click id as the postback told it.
    pub fn given(&self) -> Option<&str> {
        match self {
            Attribution::NoClickId => None,
            Attribution::Unmatched { given } | Attribution::Matched { given, .. } => Some(given),
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Attribution::Matched { .. } => "matched",
            _ => "unmatched",
        }
    }
}

/// The click ids that `given` may mean, likeliest first, without repeats. Only ids that can exist
/// are named: a reading that is no click id is left out. A `+` that became a space needs no reading
/// of its own inside an id, which cannot hold one; at an id's ends it is trimmed.
pub fn candidates(given: &str) -> Vec<(ClickId, Reading)> {
    let mut found: Vec<(ClickId, Reading)> = Vec::with_capacity(1);
    let mut add = |text: &str, reading| {
        if let Ok(id) = ClickId::parse(text)
            && !found.iter().any(|(known, _)| *known == id)
        {
            found.push((id, reading));
        }
    };
    add(given, Reading::Exact);
    let trimmed = given.trim();
    add(trimmed, Reading::Trimmed);
    if trimmed.contains('%') {
        let decoded = percent_encoding::percent_decode_str(trimmed).decode_utf8_lossy();
        add(decoded.trim(), Reading::Decoded);
    }
    found
}
