//! Texts as the pages write them: how long ago, and a hint as a sentence. Pure.

use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// `3 min ago`, `in 4 h`, `now`: a distance a person can hold, rounded down.
pub fn distance(at: Time, now: Time) -> String {
    let millis = at.millis_since(now);
    let size = millis.abs();
    let text = match size {
        0..1_000 => return "now".to_owned(),
        1_000..60_000 => format!("{} s", size / 1_000),
        60_000..HOUR_MS => format!("{} min", size / 60_000),
        HOUR_MS..DAY_MS => format!("{} h", size / HOUR_MS),
        _ => format!("{} d", size / DAY_MS),
    };
    if millis < 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// A hint as a sentence of its own.
pub fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}
