//! The parameters of a URL's query, and which macros are in each.

use crate::template::macros::url::{MacroUrl, UrlPiece};

impl MacroUrl {
    /// The parameters of its query, `?name` each, with the names of the macros in it.
    pub fn parameters(&self) -> Vec<(String, Vec<String>)> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                UrlPiece::Text(part) => text.push_str(part),
                UrlPiece::Name(name) => {
                    let place = parameter_at_end(&text).map(|parameter| format!("?{parameter}"));
                    match (place, found.last_mut()) {
                        (Some(place), Some((last, names))) if place == *last => names.push(name.clone()),
                        (Some(place), _) => found.push((place, vec![name.clone()])),
                        (None, _) => {}
                    }
                }
            }
        }
        found
    }
}

/// The name of the query's parameter whose value an address that is cut off is in.
pub(in crate::template) fn parameter_at_end(begun: &str) -> Option<&str> {
    let (_, query) = begun.split_once('?')?;
    let (name, _) = query.rsplit('&').next()?.split_once('=')?;
    Some(name)
}
