//! Where a pasted postback URL leads, held against where the source's postbacks are taken.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::domain::url_finding::UrlFinding;

/// Where the postbacks of a source are taken.
pub struct ExpectedAddress<'a> {
    /// `public_url`: scheme, host and perhaps a path.
    pub base: &'a str,
    /// Any of them opens the source. None is shown.
    pub keys: Vec<&'a str>,
    /// By which the network signs. None is shown.
    pub secrets: Vec<&'a str>,
    /// Whether a key that is none of them is a finding: one who sees that could guess keys.
    pub checks_key: bool,
    /// The source's id.
    pub source: &'a str,
}

/// A URL cut into its parts as it is written, nothing decoded.
pub(crate) struct PastedUrl<'a> {
    /// In lower case; `None` where there is no `://`.
    scheme: Option<String>,
    authority: &'a str,
    path: &'a str,
    /// Behind the first `?`: macros may hold what ends a query elsewhere.
    pub(crate) query: &'a str,
    /// From a `#` before the query on.
    pub(crate) fragment_before_query: &'a str,
}

/// In the place of a key that is not shown.
const MASK: &str = "***";

impl<'a> PastedUrl<'a> {
    pub(crate) fn read(text: &'a str) -> PastedUrl<'a> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (address, fragment) = address.split_at(address.find('#').unwrap_or(address.len()));
        let (scheme, behind) = match address.split_once("://") {
            Some((scheme, behind)) => (Some(scheme.to_ascii_lowercase()), behind),
            None => (None, address),
        };
        let (authority, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        PastedUrl { scheme, authority, path, query, fragment_before_query: fragment }
    }

    /// What is wrong before the query.
    pub(crate) fn check(&self, expected: &ExpectedAddress<'_>) -> Vec<UrlFinding> {
        let mut findings = Vec::new();
        let base = Url::parse(expected.base).ok();
        match self.scheme.as_deref() {
            Some("https") => {}
            Some("http") if base.as_ref().is_none_or(|base| base.scheme() == "http") => {}
            Some("http") => findings.push(UrlFinding::PlainHttp),
            _ => findings.push(UrlFinding::NotAnAddress),
        }
        let scheme = self.scheme.as_deref().unwrap_or("https");
        let host = |url: &Url| {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}{port}", url.host_str().unwrap_or_default())
        };
        let found = Url::parse(&format!("{scheme}://{}/", self.authority)).ok().as_ref().map(host);
        let wanted = base.as_ref().map(host).unwrap_or_default();
        if found.as_ref() != Some(&wanted) {
            let found = found.unwrap_or_else(|| self.authority.to_owned());
            findings.push(UrlFinding::OtherHost { found, wanted });
        }
        let (prefix, rest) = self.segments(expected);
        let is_whole = prefix.is_some();
        match rest.as_slice() {
            [key, collect, source] if is_whole && collect == "collect" && source == expected.source => {
                if expected.checks_key && !expected.keys.contains(&key.as_str()) {
                    findings.push(UrlFinding::OtherKey);
                }
            }
            _ => {
                let base = base.as_ref().map_or("", |base| base.path().trim_end_matches('/'));
                let wanted = format!("{base}/{MASK}/collect/{}", expected.source);
                findings.push(UrlFinding::OtherPath { found: self.masked_path(expected), wanted });
            }
        }
        findings
    }

    /// The URL with its key masked, and whatever else in its path may be one.
    pub(crate) fn masked(&self, expected: &ExpectedAddress<'_>, query: &str) -> String {
        let scheme = self.scheme.as_ref().map_or_else(String::new, |scheme| format!("{scheme}://"));
        // A login in front of the host is a secret too.
        let authority = self
            .authority
            .rsplit_once('@')
            .map_or(self.authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}{authority}{}{mark}{query}", self.masked_path(expected))
    }

    /// The path without its key: every part that is none of the address's other words.
    fn masked_path(&self, expected: &ExpectedAddress<'_>) -> String {
        let own = base_segments(expected.base);
        let is_shown =
            |part: &str| part == "collect" || part == expected.source || own.iter().any(|own| own == part);
        let parts = decoded_segments(self.path);
        let shown = parts.iter().map(|part| if is_shown(part) { part.as_str() } else { MASK });
        shown.fold(String::new(), |path, part| path + "/" + part)
    }

    /// The parts of the path behind those of the configured address; `None` in front where it does not begin so.
    fn segments(&self, expected: &ExpectedAddress<'_>) -> (Option<()>, Vec<String>) {
        let (own, found) = (base_segments(expected.base), decoded_segments(self.path));
        match found.strip_prefix(own.as_slice()) {
            Some(rest) => (Some(()), rest.to_vec()),
            None => (None, found),
        }
    }
}

fn base_segments(base: &str) -> Vec<String> {
    Url::parse(base).map(|base| decoded_segments(base.path())).unwrap_or_default()
}

/// As the relay reads a path: doubled slashes and one at the end do not count.
fn decoded_segments(path: &str) -> Vec<String> {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
