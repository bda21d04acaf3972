//! Which page a path is, and paths that lead from one page to another.

use crate::web::pages::engine;
use crate::web::routes::{self, Endpoint, PageCall, PathRows};
use http::Method;

/// The rows of a page's path with the id in it; `None` of every other path.
pub fn page(path: &str, query: &[u8]) -> Option<(&'static PathRows, String)> {
    if path == engine::STYLE_PATH.as_str() {
        return Some((routes::style(), String::new()));
    }
    let found = routes::find(path)?;
    let is_page = matches!(found.rows.first()?.endpoint, Endpoint::Page(_));
    (is_page && !(path == "/" && is_tracking_link(query))).then(|| (found.rows, found.id()))
}

/// `/` with both `a` and `c` is a tracking link of the network's side, not a page.
fn is_tracking_link(query: &[u8]) -> bool {
    let has = |wanted: &str| form_urlencoded::parse(query).any(|(name, _)| name == wanted);
    has("a") && has("c")
}

/// The text, if it is the path of one of the pages here: nothing leads a visitor elsewhere.
pub fn own_path(text: &str) -> Option<&str> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let shown = page(path, query.as_bytes()).and_then(|(rows, _)| rows.row(&Method::GET)?.page());
    (plain && !matches!(shown, None | Some(PageCall::SignIn | PageCall::Style))).then_some(text)
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
