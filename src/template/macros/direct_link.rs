//! The address of a landing page for visitors who go there directly, without a redirect that fills it in.

use percent_encoding::utf8_percent_encode;

use crate::template::diagnostic::Problem;
use crate::template::macros::url::{ENCODED, MacroUrl, UrlPiece};

/// Stand around the name of a macro that only a click fills in: no URL holds them as they are.
const OPEN: &str = "\u{1}";
const CLOSE: &str = "\u{2}";

impl MacroUrl {
    /// The address with the macros filled in that `value` knows, and `added` at the end of its query. A
    /// parameter with any other macro is left out: only a click that is recorded before the page is shown
    /// could fill it in. So is one that `added` says again.
    ///
    /// # Errors
    /// Where such a macro is outside of the query, or the address has a parameter of its own with a name
    /// of `added`, in any case, and another value: the page would read the wrong one.
    pub fn direct(
        &self,
        value: &dyn Fn(&str) -> Option<String>,
        added: &[(&str, &str)],
    ) -> Result<String, Problem> {
        let text = self.filled(value);
        let (text, fragment) = text.split_at(text.find('#').unwrap_or(text.len()));
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        if let Some(name) = open_macro(address).or_else(|| open_macro(fragment)) {
            let shown = self.shown();
            let what =
                format!("`{shown}` holds `{{{name}}}` outside of its query, and only a click fills it in");
            return Err(Problem::new(what, HINT));
        }
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty() && open_macro(pair).is_none()) {
            let parsed = form_urlencoded::parse(pair.as_bytes()).next().unwrap_or_default();
            match added.iter().find(|(name, _)| name.eq_ignore_ascii_case(&parsed.0)) {
                Some((_, value)) if *value == parsed.1 => {}
                Some((name, _)) => return Err(self.has_its_own(name)),
                None => pairs.push(pair.to_owned()),
            }
        }
        let encoded =
            |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, ENCODED));
        pairs.extend(added.iter().map(encoded));
        Ok(format!("{address}?{}{fragment}", pairs.join("&")))
    }

    fn filled(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                UrlPiece::Text(part) => text.push_str(part),
                UrlPiece::Name(name) => match value(name) {
                    Some(value) => text.extend(utf8_percent_encode(&value, ENCODED)),
                    None => text.extend([OPEN, name, CLOSE]),
                },
            }
        }
        text
    }

    fn has_its_own(&self, name: &str) -> Problem {
        let shown = self.shown();
        let what = format!("`{shown}` has a parameter `{name}` of its own, which a direct link needs");
        Problem::new(what, HINT)
    }
}

const HINT: &str = "give the creative a `url` without it: a `[[creative]]` may have one of its own";

/// The first macro in a part of the address that is not filled in.
fn open_macro(part: &str) -> Option<&str> {
    let (_, behind) = part.split_once(OPEN)?;
    behind.split_once(CLOSE).map(|(name, _)| name)
}
