//! The target of a request, as its line has it: a path, a whole URL (RFC 9112 §3.2.2), or `*`.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;

use super::refusal::{HttpRefusal, part};

/// Where the parts of a target are, as offsets into its request line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// All of it.
    pub whole: Range<usize>,
    /// The host, and the port where there is one, of a whole URL.
    authority: Option<Range<usize>>,
    /// Up to the first `?`; empty in a URL that has no path.
    pub(super) path: Range<usize>,
    /// From the first `?` on; empty without one.
    query: Range<usize>,
}

impl Target {
    /// Reads the target that is there in a request line.
    ///
    /// # Errors
    /// It is none of these forms, or its host could be read in two ways: user information before an `@`
    /// is refused as RFC 9110 §4.2.4 advises.
    pub fn read(line: &[u8], whole: Range<usize>) -> Result<Target, HttpRefusal> {
        let target = part(line, whole.clone())?;
        let (authority, path) = if target.first() == Some(&b'/') || target == b"*" {
            (None, whole.start)
        } else {
            let start = scheme_length(target).ok_or(TARGET_FORM)?;
            let rest = part(target, start..)?;
            let length = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            if !is_host_and_port(part(rest, ..length)?) {
                return Err(AUTHORITY);
            }
            let start = whole.start + start;
            (Some(start..start + length), start + length)
        };
        let query = path + memchr(b'?', part(line, path..whole.end)?).unwrap_or(whole.end - path);
        Ok(Target { authority, path: path..query, query: query..whole.end, whole })
    }

    /// The host, and the port where there is one, that the whole URL in this line names.
    ///
    /// # Errors
    /// It is the target of another line; so of the others.
    pub fn authority<'a>(&self, line: &'a [u8]) -> Result<Option<&'a [u8]>, HttpRefusal> {
        self.authority.clone().map(|authority| part(line, authority)).transpose()
    }

    /// The path in this line, from its `/`: of `http://host?a=1` it is `/`. ASCII, as
    /// [`head::read`](super::head::read) has seen to.
    ///
    /// # Errors
    /// See [`Target::authority`].
    pub fn path<'a>(&self, line: &'a [u8]) -> Result<&'a str, HttpRefusal> {
        let path = str::from_utf8(part(line, self.path.clone())?).map_err(|_| HttpRefusal::MISCOUNTED)?;
        Ok(if path.is_empty() { "/" } else { path })
    }

    /// The query in this line, its `?` included; empty without one.
    ///
    /// # Errors
    /// See [`Target::authority`].
    pub fn query<'a>(&self, line: &'a [u8]) -> Result<&'a [u8], HttpRefusal> {
        part(line, self.query.clone())
    }
}

/// The request line of one request as it was received, given to the handler next to hyper's view of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawHead {
    /// The request's number on its connection, from 1.
    pub number: u64,
    /// The request line byte for byte, without its CRLF.
    pub line: Vec<u8>,
    path: String,
    query: Bytes,
    handed: Bytes,
}

impl RawHead {
    /// `repaired`: the target hyper is given, where it is not the line's.
    ///
    /// # Errors
    /// The target is one of another line.
    pub fn new(
        number: u64,
        line: &[u8],
        target: &Target,
        repaired: Option<String>,
    ) -> Result<RawHead, HttpRefusal> {
        let shared = Bytes::copy_from_slice(line);
        let query = target.query(&shared)?;
        let query = shared.slice_ref(query.strip_prefix(b"?").unwrap_or(query));
        let handed = match repaired {
            Some(repaired) => Bytes::from(repaired),
            None => shared.slice_ref(part(&shared, target.whole.clone())?),
        };
        let path = target.path(line)?.to_owned();
        Ok(RawHead { number, line: line.to_vec(), path, query, handed })
    }

    /// The path of the target; of a whole URL without its host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is behind the target's first `?`, byte for byte.
    pub fn query(&self) -> &[u8] {
        &self.query
    }

    /// The target hyper was given: path and query, percent-encoded behind the first `?` where it had to be.
    pub fn handed(&self) -> &[u8] {
        &self.handed
    }
}

/// The length of `http://` or `https://` in any letter case.
fn scheme_length(target: &[u8]) -> Option<usize> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let begins =
        |scheme: &&[u8]| target.get(..scheme.len()).is_some_and(|front| front.eq_ignore_ascii_case(scheme));
    schemes.iter().find(|scheme| begins(scheme)).map(|scheme| scheme.len())
}

/// `host`, `host:8080`, `[::1]:8080`. Only bytes that every reader takes for parts of a host.
fn is_host_and_port(authority: &[u8]) -> bool {
    if let Some(rest) = authority.strip_prefix(b"[") {
        let Some((address, behind)) = split_once(rest, b']') else { return false };
        let is_address = address.contains(&b':')
            && address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        return is_address && (behind.is_empty() || behind.strip_prefix(b":").is_some_and(is_port));
    }
    let (host, port) = match split_once(authority, b':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !host.is_empty() && host.iter().all(is_part) && port.is_none_or(is_port)
}

/// What is before the first `mark`, and what is behind it.
fn split_once(bytes: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(bytes.iter().position(|b| *b == mark)?)?;
    Some((before, rest.get(1..)?))
}

/// Digits; RFC 3986 also allows none behind the colon.
fn is_port(port: &[u8]) -> bool {
    port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

const TARGET_FORM: HttpRefusal = HttpRefusal::bad(
    "the request target is neither a path that begins with `/` nor an http URL",
    "send the path alone, and the host in the `Host` header",
);
const AUTHORITY: HttpRefusal = HttpRefusal::bad(
    "the host in the request target is not a plain host name with an optional port",
    "send the path alone, and the host in the `Host` header; a user name or password has no place there",
);
