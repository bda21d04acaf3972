//! Every path of the pages, the methods each takes, and what sending its form needs.

use crate::web::auth::RequiredRight;
use crate::web::pages::engine;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum PageRoute {
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

impl PageRoute {
    pub fn of(path: &str, query: &[u8]) -> Option<PageRoute> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match parts.as_slice() {
            [""] if !is_tracking_link(query) => PageRoute::Home,
            ["sign-in"] => PageRoute::SignIn,
            ["sign-out"] => PageRoute::SignOut,
            ["conversions"] => PageRoute::Conversions,
            ["conversions", id] => PageRoute::Conversion(decoded(id)),
            ["conversions", id, "status"] => PageRoute::SetStatus(decoded(id)),
            ["clicks"] => PageRoute::Clicks,
            ["clicks", id] => PageRoute::Click(decoded(id)),
            ["deliveries"] => PageRoute::Deliveries,
            ["deliveries", id, "retry"] => PageRoute::Retry(decoded(id)),
            ["quarantine"] => PageRoute::Quarantine,
            ["postbacks", id, "reprocess"] => PageRoute::Reprocess(decoded(id)),
            ["dead-letters"] => PageRoute::DeadLetters,
            ["sources"] => PageRoute::Sources,
            ["destinations"] => PageRoute::Destinations,
            ["clock"] => PageRoute::Clock,
            ["offers"] => PageRoute::Offers,
            ["offers", id] => PageRoute::Offer(decoded(id)),
            ["campaigns"] => PageRoute::Campaigns,
            ["generate-link"] => PageRoute::GenerateLink,
            ["tag"] => PageRoute::Tag,
            ["suppression"] => PageRoute::Lists,
            ["suppression", list] => PageRoute::List(decoded(list)),
            ["suppression", list, "add"] => PageRoute::AddTo(decoded(list)),
            ["suppression", list, "take-off"] => PageRoute::TakeOff(decoded(list)),
            ["suppression", list, "remove"] => PageRoute::RemoveList(decoded(list)),
            [_] if path == engine::STYLE_PATH.as_str() => PageRoute::Style,
            _ => return None,
        })
    }

    /// The methods it takes, as the `Allow` header writes them.
    pub fn allowed(&self) -> &'static str {
        match self {
            PageRoute::SignIn | PageRoute::Sources | PageRoute::Lists | PageRoute::Clock => "GET, HEAD, POST",
            PageRoute::SignOut
            | PageRoute::Retry(_)
            | PageRoute::Reprocess(_)
            | PageRoute::SetStatus(_)
            | PageRoute::AddTo(_)
            | PageRoute::TakeOff(_)
            | PageRoute::RemoveList(_) => "POST",
            _ => "GET, HEAD",
        }
    }

    /// What sending its form needs: a preview only looks, and everyone may leave.
    pub fn needs(&self) -> Option<RequiredRight> {
        match self {
            PageRoute::SignOut => None,
            PageRoute::Sources => Some(RequiredRight::Look),
            _ => Some(RequiredRight::Change),
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
    let route = PageRoute::of(path, query.as_bytes()).filter(|route| route.allowed().starts_with("GET"));
    (plain && !matches!(route, None | Some(PageRoute::SignIn | PageRoute::Style))).then_some(text)
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
