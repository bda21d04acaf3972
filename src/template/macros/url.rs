//! A URL with macros: landing pages and outgoing postbacks. Every value is percent-encoded exactly once,
//! what is around it stays byte for byte, and no macro reaches scheme, host or port.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use url::Url;

use crate::domain::mask;
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::macros::grammar::{GRAMMARS, Grammar, is_name, is_name_part};
use crate::template::macros::names;

/// What may stand in an offer's landing URL, in single braces.
pub const LANDING_NAMES: &[&str] = &[
    "click_id",
    "campaign_id",
    "offer_id",
    "affiliate_id",
    "creative_id",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
];

/// What may stand in an outgoing postback.
pub const POSTBACK_NAMES: &[&str] = names::POSTBACK;

/// All that is not unreserved (RFC 3986, 2.3) is encoded, in paths and queries alike: `%20`, never `+`.
pub(in crate::template) const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fewer characters are no key, and masking so short a word wherever it is would spoil what is shown.
const SHORTEST_SECRET: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::template) enum UrlPiece {
    Text(String),
    Name(String),
}

/// A URL whose macros were found and are all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroUrl {
    written: String,
    pub(in crate::template) pieces: Vec<UrlPiece>,
    host: String,
    /// Names in its own query, which win over what is handed on.
    pub query_names: Vec<String>,
    secrets: Vec<String>,
    /// Whether a parameter of the query is left out where a macro in it has no value.
    leaves_out_absent: bool,
}

impl MacroUrl {
    /// Finds the macros of a URL.
    ///
    /// # Errors
    /// No http(s) address; a login in it; scheme, host or port from a macro; an unknown name, a macro
    /// that is not closed, one of another grammar; what a URL cannot hold unencoded.
    pub fn compile(url: &str, grammar: &Grammar, known: &[&str]) -> Result<MacroUrl, Problem> {
        let written = url.trim();
        check_characters(written)?;
        let pieces = pieces(written, grammar, known)?;
        let host = host(written, &pieces)?;
        check_marks(&pieces, grammar, known)?;
        let (query_names, secrets) = (query_names(&pieces), Vec::new());
        let leaves_out_absent = false;
        let written = written.to_owned();
        let url = MacroUrl { written, pieces, host, query_names, secrets, leaves_out_absent };
        let sample = url.render(&|_| Some("x".to_owned()));
        if let Err(cause) = Url::parse(&sample) {
            return Err(Problem::new(format!("`{}` is not a web address: {cause}", url.written), EXAMPLE));
        }
        if url.path_segments().any(is_dots) {
            let hint = "write the path as it is, without `.` and `..`";
            return Err(Problem::new(format!("the path of `{}` goes up or nowhere", url.written), hint));
        }
        Ok(url)
    }

    /// The same, to be shown by no one: each segment of its path and each value of its query that is
    /// in it as text is a secret.
    pub fn kept_secret(self) -> MacroUrl {
        let text = marked(&self.pieces);
        let (address, query) = split_query(&text);
        let behind = address.split_once("://").map_or("", |(_, rest)| rest);
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let parts = behind.split('/').skip(1).chain(values).flat_map(|part| part.split(MACRO));
        let plain = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut secrets: Vec<String> =
            parts.filter(|part| part.len() >= SHORTEST_SECRET).map(plain).collect();
        // The longest first: masked after one that it contains, its end would stay.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        MacroUrl { secrets, ..self }
    }

    /// The same, in which these texts are secret.
    #[must_use]
    pub(in crate::template) fn with_secrets(self, secrets: Vec<String>) -> MacroUrl {
        MacroUrl { secrets, ..self }
    }

    /// The same, of whose query a parameter is left out where a macro in it has no value.
    #[must_use]
    pub(in crate::template) fn leaving_out_absent(self) -> MacroUrl {
        MacroUrl { leaves_out_absent: true, ..self }
    }

    /// What of it is to be masked wherever it would be shown or stored.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The URL with its values, each percent-encoded exactly once; absent ones are empty. A value that
    /// would make a path segment `.` or `..` leaves the segment empty: no spelling of those two says
    /// anything but "here" and "up".
    pub fn render(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        self.render_passing(value, &[])
    }

    /// The same, with further parameters at the end of the query; one that the URL names itself wins. They
    /// are bytes: what a link carries need not be UTF-8, and is handed on as it is.
    pub fn render_passing(
        &self,
        value: &dyn Fn(&str) -> Option<String>,
        passed: &[(&[u8], &[u8])],
    ) -> String {
        let mut url = String::with_capacity(self.written.len() + 64);
        for piece in &self.pieces {
            match piece {
                UrlPiece::Text(text) => url.push_str(text),
                UrlPiece::Name(name) => match value(name) {
                    None if self.leaves_out_absent => url.push(MACRO),
                    value => url.extend(utf8_percent_encode(&value.unwrap_or_default(), ENCODED)),
                },
            }
        }
        let url = without_dots(without_marked(url));
        let own = |name: &[u8]| self.query_names.iter().any(|known| known.as_bytes() == name);
        let new: Vec<_> = passed.iter().filter(|(name, _)| !own(name)).collect();
        if new.is_empty() { url } else { with_query(&url, &new) }
    }

    /// Each name once, in the order of the URL.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in &self.pieces {
            if let UrlPiece::Name(name) = piece
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    /// The host in lower case, with the port where the URL names one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// As it is written, macros and all; its secrets masked.
    pub fn shown(&self) -> String {
        let mask = |text: String, secret: &String| mask::without_secret(&text, secret).unwrap_or(text);
        self.secrets.iter().fold(self.written.clone(), mask)
    }

    /// Whether it has a part behind `#`, which no server is sent.
    pub fn has_fragment(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, UrlPiece::Text(text) if text.contains('#')))
    }

    fn path_segments(&self) -> impl Iterator<Item = &str> {
        let behind = self.written.split_once("://").map_or("", |(_, rest)| rest);
        let path = behind.split(['?', '#']).next().unwrap_or_default();
        path.split('/').skip(1)
    }
}

const EXAMPLE: &str = "write a whole address: \"https://tracker.example/pb?cid={click_id}\"";

fn check_characters(written: &str) -> Result<(), Problem> {
    match written.chars().find(|c| !c.is_ascii_graphic()) {
        None => Ok(()),
        Some(c) => {
            let encoded = utf8_percent_encode(c.encode_utf8(&mut [0; 4]), ENCODED).to_string();
            let what = format!("the URL `{}` holds {c:?} as it is", written.escape_debug());
            Err(Problem::new(what, format!("write `{encoded}` for it; a host in its ASCII form (xn--…)")))
        }
    }
}

/// Cuts the URL at its macros.
fn pieces(written: &str, grammar: &Grammar, known: &[&str]) -> Result<Vec<UrlPiece>, Problem> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = written;
    while let Some(at) = rest.find(grammar.before.as_str()) {
        let (front, open) = rest.split_at(at);
        text.push_str(front);
        let inner = open.strip_prefix(grammar.before.as_str()).unwrap_or_default();
        match read_macro(inner, grammar, known)? {
            Some((name, behind)) => {
                if !text.is_empty() {
                    pieces.push(UrlPiece::Text(std::mem::take(&mut text)));
                }
                pieces.push(UrlPiece::Name(name.to_owned()));
                rest = behind;
            }
            None => {
                // Every mark begins with one ASCII character.
                let (mark, behind) = open.split_at(1);
                text.push_str(mark);
                rest = behind;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(UrlPiece::Text(text));
    }
    Ok(pieces)
}

/// The macro that begins before `inner`, and what is behind it; `None` where it is only text.
fn read_macro<'a>(
    inner: &'a str,
    grammar: &Grammar,
    known: &[&str],
) -> Result<Option<(&'a str, &'a str)>, Problem> {
    let closed = inner.split_once(grammar.after.as_str());
    if let Some((name, behind)) = closed
        && known.contains(&name)
    {
        return Ok(Some((name, behind)));
    }
    let escape = grammar.before == "%" && is_hex_pair(inner);
    let Some((name, _)) = closed else {
        let word = inner.split(|c: char| !is_name_part(c)).next().unwrap_or_default();
        let must_close = grammar.is_plain_to_see() || grammar.before == "%" || known.contains(&word);
        return if must_close && !escape { Err(unclosed(word, grammar)) } else { Ok(None) };
    };
    match is_name(name) {
        // `%20` and `%C3` are text, whatever follows.
        _ if escape => Ok(None),
        true => Err(unknown(name, grammar, known)),
        false if grammar.is_plain_to_see() || grammar.before == "%" => Err(not_a_name(name, grammar)),
        false => Ok(None),
    }
}

fn is_hex_pair(text: &str) -> bool {
    text.as_bytes().first_chunk::<2>().is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
}

fn unclosed(word: &str, grammar: &Grammar) -> Problem {
    let opened = format!("{}{word}", grammar.before);
    let name = if word.is_empty() { "click_id" } else { word };
    let hint = format!("macros are written `{}`; a mark that is meant as text, encoded", grammar.shown(name));
    Problem::new(format!("the macro that begins with `{opened}` is not closed"), hint)
}

fn not_a_name(found: &str, grammar: &Grammar) -> Problem {
    // What is behind the end of a parameter is no part of the name, and may be a key.
    let cut = found.find(['&', '=', '/', '?']).and_then(|at| found.get(..=at)).map(|name| format!("{name}…"));
    let inner = cut.as_deref().unwrap_or(found);
    let shown = grammar.shown(inner);
    let what = format!("`{shown}` is not a macro: `{inner}` is no name");
    let doubled = inner.is_empty() || grammar.before.chars().next() == inner.chars().next();
    let hint = match doubled {
        true => {
            "`macro` shows one more mark on each side of the name: `##{}##` for ##x##, `{{{}}}` for {{x}}"
                .to_owned()
        }
        false => format!("write a name alone: `{}`", grammar.shown("click_id")),
    };
    Problem::new(what, hint)
}

fn unknown(name: &str, grammar: &Grammar, known: &[&str]) -> Problem {
    let other_case = known.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    let hint = match other_case.or_else(|| did_you_mean(name, known.iter().copied())) {
        Some(near) => format!("did you mean `{}`?", grammar.shown(near)),
        None => format!("the names are {}", known.join(", ")),
    };
    Problem::new(format!("there is no macro `{}`", grammar.shown(name)), hint)
}

/// The host, which is all text. The URL parser is asked only about what no macro can change.
fn host(written: &str, pieces: &[UrlPiece]) -> Result<String, Problem> {
    let Some(UrlPiece::Text(first)) = pieces.first() else {
        return Err(Problem::new(format!("`{written}` begins with a macro"), EXAMPLE));
    };
    let Some((scheme, behind)) = first.split_once("://") else {
        return Err(Problem::new(format!("`{written}` is not an http or https address"), EXAMPLE));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Problem::new(format!("`{written}` is not an http or https address"), EXAMPLE));
    }
    let end = behind.find(['/', '?', '#', '\\']);
    if end.is_none() && pieces.len() > 1 {
        let what = format!("the host or port of `{written}` is a macro");
        return Err(Problem::new(what, "name the host itself, then a `/`; macros go into path and query"));
    }
    let authority = end.and_then(|end| behind.get(..end)).unwrap_or(behind);
    if authority.contains('@') {
        let hint = "a postback URL carries no login; leave out what is before the `@`";
        return Err(Problem::new(format!("the host of `{written}` has a login before it"), hint));
    }
    let parsed = Url::parse(&format!("{scheme}://{authority}/")).ok();
    let host = parsed.as_ref().filter(|_| !authority.is_empty()).and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    host.filter(|_| !behind.contains('\\'))
        .ok_or_else(|| Problem::new(format!("`{written}` is not a web address"), EXAMPLE))
}

/// Refuses what looks like a macro and would be sent as it is.
fn check_marks(pieces: &[UrlPiece], grammar: &Grammar, known: &[&str]) -> Result<(), Problem> {
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            UrlPiece::Text(text) => check_other_grammars(text, grammar, known)?,
            UrlPiece::Name(name) => {
                let text = |at: Option<usize>| match at.and_then(|at| pieces.get(at)) {
                    Some(UrlPiece::Text(text)) => text.as_str(),
                    _ => "",
                };
                let before = grammar.before.get(..1).unwrap_or_default();
                let after = grammar.after.get(grammar.after.len() - 1..).unwrap_or_default();
                let (left, right) = (text(at.checked_sub(1)), text(Some(at + 1)));
                if left.ends_with(before) && right.starts_with(after) {
                    return Err(not_a_name(&format!("{before}{name}{after}"), grammar));
                }
            }
        }
    }
    Ok(())
}

fn check_other_grammars(text: &str, grammar: &Grammar, known: &[&str]) -> Result<(), Problem> {
    for known_grammar in GRAMMARS {
        let written = known_grammar.written();
        // One with marks that no URL of ours may have.
        let Ok(other) = Grammar::parse(&written) else { continue };
        if other == *grammar || !text.contains(&other.before) {
            continue;
        }
        let found = known.iter().find(|name| text.contains(&other.shown(name)));
        if let Some(name) = found {
            let what = format!("`{}` is no macro here and would be sent as it is", other.shown(name));
            let hint = format!("write `{}`, or `macro = \"{written}\"`", grammar.shown(name));
            return Err(Problem::new(what, hint));
        }
    }
    Ok(())
}

/// Marks where a macro was: a control character cannot stand in the text of a URL.
const MACRO: char = '\u{1}';

/// The URL without the parameters that hold a mark; in its path the mark alone is taken out.
fn without_marked(url: String) -> String {
    if !url.contains(MACRO) {
        return url;
    }
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.contains(MACRO)).collect();
    let mark = if pairs.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", address.replace(MACRO, ""), pairs.join("&"))
}

/// The URL with a mark in the place of each macro.
fn marked(pieces: &[UrlPiece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            UrlPiece::Text(part) => text.push_str(part),
            UrlPiece::Name(_) => text.push(MACRO),
        }
    }
    text
}

/// What is before the query, and the query.
fn split_query(url: &str) -> (&str, &str) {
    let without_fragment = url.split('#').next().unwrap_or_default();
    without_fragment.split_once('?').unwrap_or((without_fragment, ""))
}

/// The names in the query; one that holds a macro is no one's.
fn query_names(pieces: &[UrlPiece]) -> Vec<String> {
    let text = marked(pieces);
    let pairs = form_urlencoded::parse(split_query(&text).1.as_bytes());
    pairs.map(|(name, _)| name.into_owned()).filter(|name| !name.contains(MACRO)).collect()
}

/// Whether a path segment means "here" or "up", in whatever spelling.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// A compiled URL has no segment of dots, so the values made those that are there now.
fn without_dots(url: String) -> String {
    let Some(path_at) = url.find("://").and_then(|at| url.get(at + 3..)?.find('/').map(|to| at + 3 + to))
    else {
        return url;
    };
    let (origin, behind) = url.split_at(path_at);
    let (path, query) = behind.split_at(behind.find(['?', '#']).unwrap_or(behind.len()));
    if !path.split('/').any(is_dots) {
        return url;
    }
    let kept: Vec<&str> = path.split('/').map(|part| if is_dots(part) { "" } else { part }).collect();
    format!("{origin}{}{query}", kept.join("/"))
}

fn with_query(url: &str, pairs: &[&(&[u8], &[u8])]) -> String {
    let (whole, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let mut with = whole.to_owned();
    for (name, value) in pairs {
        let mark = match with.as_bytes().last() {
            Some(b'?' | b'&') => "",
            _ if with.contains('?') => "&",
            _ => "?",
        };
        let (name, value) = (percent_encode(name, ENCODED), percent_encode(value, ENCODED));
        with.push_str(&format!("{mark}{name}={value}"));
    }
    with + fragment
}
