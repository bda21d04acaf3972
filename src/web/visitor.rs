//! The browser behind a request: its first-party cookie, and what its headers say of it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::domain::click::ClickKind;
use crate::domain::ids::VisitorId;
use crate::ingest::landing::{Browser, CarriedPairs, LONGEST_AGENT, header_text};
use crate::web::request::ReceivedRequest;

/// The name of the visitor cookie.
pub const COOKIE: &str = "pbv";

/// How the visitor cookie is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieRule {
    /// Whether the cookie may be for https alone.
    pub transport: Transport,
    /// The longest time that any offer remembers a visitor's click.
    pub max_age_days: u32,
}

/// How visitors reach this: a cookie for other sites' pages needs https.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The visitor's connection is TLS, here or at a declared proxy.
    Https,
    /// It is not.
    Http,
}

impl CookieRule {
    /// The `Set-Cookie` that makes the browser known again; each visit begins its time anew.
    pub fn set(&self, visitor: &VisitorId) -> Option<HeaderValue> {
        let seconds = u64::from(self.max_age_days) * 86_400;
        let reach = match self.transport {
            Transport::Https => "SameSite=None; Secure; HttpOnly",
            // Browsers refuse SameSite=None without Secure.
            Transport::Http => "SameSite=Lax; HttpOnly",
        };
        HeaderValue::from_str(&format!("{COOKIE}={visitor}; Path=/; Max-Age={seconds}; {reach}")).ok()
    }
}

/// All cookies of a request.
pub fn cookies(headers: &HeaderMap) -> CarriedPairs<'_> {
    CarriedPairs::of_cookies(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes))
}

/// The visitor that the cookies name, if it is an id as they are minted here.
pub fn known(cookies: &CarriedPairs<'_>) -> Option<VisitorId> {
    cookies.get(COOKIE).and_then(|id| VisitorId::parse(&id).ok())
}

/// What a request says of the browser behind it.
pub fn browser(request: &ReceivedRequest<'_>) -> Browser {
    let user_agent = request.headers.get(header::USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
    Browser {
        ip: request.sender.address,
        user_agent: header_text(user_agent.get(..LONGEST_AGENT).unwrap_or(user_agent)),
        agent_bytes: user_agent.len(),
        asked: asked(&request.method, &request.headers),
    }
}

/// The address of the page that sent the request.
pub fn referrer(headers: &HeaderMap) -> Option<String> {
    headers.get(header::REFERER).and_then(|value| header_text(value.as_bytes()))
}

/// The headers by which browsers say that no one has clicked yet, the older ones too.
const PURPOSES: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

fn asked(method: &Method, headers: &HeaderMap) -> ClickKind {
    if method == Method::HEAD {
        return ClickKind::Head;
    }
    let ahead = |name: &HeaderName| {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            ["prefetch", "prerender", "preview"].iter().any(|word| value.starts_with(word.as_bytes()))
        })
    };
    if PURPOSES.iter().any(ahead) { ClickKind::Prefetch } else { ClickKind::Visit }
}
