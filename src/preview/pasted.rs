//! A postback as a person has it: pasted from a network's settings, a log, a file.

use crate::domain::postback::{CONTENT_TYPE, KeptHeaders};

/// What is known of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct PastedRequest<'a> {
    /// A whole request line, a URL, a path, or the query itself.
    pub pasted: &'a str,
    /// Names in lower case. `None`: of headers nothing is known.
    pub headers: Option<&'a KeptHeaders>,
    /// What the body is, where no header says it.
    pub content_type: Option<&'a str>,
    /// Byte for byte, and not compressed.
    pub body: &'a [u8],
}

impl<'a> PastedRequest<'a> {
    /// Whether more of its URL is known than the query.
    pub(super) fn has_target(&self) -> bool {
        pasted_target(self.pasted).1
    }

    /// The request's target, as far as it was pasted.
    pub(super) fn target(&self) -> String {
        let (target, is_target) = pasted_target(self.pasted);
        if is_target { target.to_owned() } else { format!("/?{}", self.query()) }
    }

    pub(super) fn query(&self) -> &'a str {
        let (target, is_target) = pasted_target(self.pasted);
        match target.split_once('?') {
            Some((_, query)) if is_target => query,
            _ if is_target => "",
            _ => target.strip_prefix('?').unwrap_or(target),
        }
    }

    /// Those that were given, with the content type.
    pub(super) fn all_headers(&self) -> KeptHeaders {
        let mut headers = KeptHeaders::default();
        self.content_type.iter().for_each(|kind| headers.push(CONTENT_TYPE, kind.as_bytes()));
        let given = self.headers.into_iter().flat_map(KeptHeaders::iter);
        given.for_each(|(name, value)| headers.push(name, value));
        headers
    }
}

/// What was pasted, without the rest of a request line; whether it is a path or a URL, and no query alone.
fn pasted_target(pasted: &str) -> (&str, bool) {
    let pasted = pasted.trim();
    let line = pasted.strip_prefix("GET ").or_else(|| pasted.strip_prefix("POST "));
    let target = line.map_or(pasted, |rest| rest.split_once(" HTTP/1.").map_or(rest, |(target, _)| target));
    let is_target = line.is_some()
        || target.starts_with('/')
        || target.starts_with("http://")
        || target.starts_with("https://");
    (target, is_target)
}
