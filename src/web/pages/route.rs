//! Every path of the pages, the methods each takes, and what sending its form needs.

use crate::web::auth::Need;
use crate::web::pages::engine;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Style,
    Home,
    SignIn,
    SignOut,
    Conversions,
    Conversion(String),
    SetStatus(String),
    Clicks,
    Click(String),
    Deliveries,
    Retry(String),
    Quarantine,
    Reprocess(String),
    DeadLetters,
    Sources,
    Destinations,
    /// Whether the clock is believed, and the button that says it is right.
    Clock,
    Offers,
    Offer(String),
    Campaigns,
    GenerateLink,
    Tag,
    Lists,
    List(String),
    /// Puts entries on a suppression list, or takes them off.
    AddTo(String),
    TakeOff(String),
    RemoveList(String),
}

impl Route {
    pub fn of(path: &str, query: &[u8]) -> Option<Route> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match parts.as_slice() {
            [""] if !is_tracking_link(query) => Route::Home,
            ["sign-in"] => Route::SignIn,
            ["sign-out"] => Route::SignOut,
            ["conversions"] => Route::Conversions,
            ["conversions", id] => Route::Conversion(decoded(id)),
            ["conversions", id, "status"] => Route::SetStatus(decoded(id)),
            ["clicks"] => Route::Clicks,
            ["clicks", id] => Route::Click(decoded(id)),
            ["deliveries"] => Route::Deliveries,
            ["deliveries", id, "retry"] => Route::Retry(decoded(id)),
            ["quarantine"] => Route::Quarantine,
            ["postbacks", id, "reprocess"] => Route::Reprocess(decoded(id)),
            ["dead-letters"] => Route::DeadLetters,
            ["sources"] => Route::Sources,
            ["destinations"] => Route::Destinations,
            ["clock"] => Route::Clock,
            ["offers"] => Route::Offers,
            ["offers", id] => Route::Offer(decoded(id)),
            ["campaigns"] => Route::Campaigns,
            ["generate-link"] => Route::GenerateLink,
            ["tag"] => Route::Tag,
            ["suppression"] => Route::Lists,
            ["suppression", list] => Route::List(decoded(list)),
            ["suppression", list, "add"] => Route::AddTo(decoded(list)),
            ["suppression", list, "take-off"] => Route::TakeOff(decoded(list)),
            ["suppression", list, "remove"] => Route::RemoveList(decoded(list)),
            [_] if path == engine::STYLE_PATH.as_str() => Route::Style,
            _ => return None,
        })
    }

    /// The methods it takes, as the `Allow` header writes them.
    pub fn allowed(&self) -> &'static str {
        match self {
            Route::SignIn | Route::Sources | Route::Lists | Route::Clock => "GET, HEAD, POST",
            Route::SignOut
            | Route::Retry(_)
            | Route::Reprocess(_)
            | Route::SetStatus(_)
            | Route::AddTo(_)
            | Route::TakeOff(_)
            | Route::RemoveList(_) => "POST",
            _ => "GET, HEAD",
        }
    }

    /// What sending its form needs: a preview only looks, and everyone may leave.
    pub fn needs(&self) -> Option<Need> {
        match self {
            Route::SignOut => None,
            Route::Sources => Some(Need::Look),
            _ => Some(Need::Change),
        }
    }
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
    let route = Route::of(path, query.as_bytes()).filter(|route| route.allowed().starts_with("GET"));
    (plain && !matches!(route, None | Some(Route::SignIn | Route::Style))).then_some(text)
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
