//! The forms of a request target: a path, a whole URL (RFC 9112 §3.2.2), or `*`.

use std::ops::Range;

use super::fault::{Fault, part};

/// Where the parts of a target are, as offsets into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`, or `*`.
    Origin,
    /// `http://host:port/path?query`. The path is empty where the URL has none.
    Absolute { authority: Range<usize>, path: usize },
}

impl TargetForm {
    /// Reads a target, as the request line has it.
    ///
    /// # Errors
    /// It is none of these forms, or its host could be read in two ways: user information before an `@`
    /// is refused as RFC 9110 §4.2.4 advises.
    pub fn read(target: &[u8]) -> Result<TargetForm, Fault> {
        if target.first() == Some(&b'/') || target == b"*" {
            return Ok(TargetForm::Origin);
        }
        let start = scheme_length(target).ok_or(TARGET_FORM)?;
        let rest = part(target, start..)?;
        let length = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
        let authority = part(rest, ..length)?;
        if !is_host_and_port(authority) {
            return Err(AUTHORITY);
        }
        Ok(TargetForm::Absolute { authority: start..start + length, path: start + length })
    }

    pub fn is_absolute(&self) -> bool {
        matches!(self, TargetForm::Absolute { .. })
    }

    /// The host, and the port where there is one, that an absolute target names.
    ///
    /// # Errors
    /// It is the form of another target.
    pub fn authority<'a>(&self, target: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        match self {
            TargetForm::Origin => Ok(None),
            TargetForm::Absolute { authority, .. } => part(target, authority.clone()).map(Some),
        }
    }

    /// The path with its query, from its `/`: of `http://host?a=1` it is `/?a=1`.
    ///
    /// # Errors
    /// It is the form of another target.
    pub fn origin(&self, target: &[u8]) -> Result<Vec<u8>, Fault> {
        let TargetForm::Absolute { path, .. } = self else { return Ok(target.to_vec()) };
        let path = part(target, *path..)?;
        Ok(if path.first() == Some(&b'/') { path.to_vec() } else { [b"/", path].concat() })
    }
}

/// The path and query as they are in the line; without a path they begin at the `?`.
pub(super) fn path_of<'a>(
    line: &'a [u8],
    target: &Range<usize>,
    form: &TargetForm,
) -> Result<&'a [u8], Fault> {
    let start = match form {
        TargetForm::Origin => target.start,
        TargetForm::Absolute { path, .. } => target.start + path,
    };
    part(line, start..target.end)
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

const TARGET_FORM: Fault = Fault::bad(
    "the request target is neither a path that begins with `/` nor an http URL",
    "send the path alone, and the host in the `Host` header",
);
const AUTHORITY: Fault = Fault::bad(
    "the host in the request target is not a plain host name with an optional port",
    "send the path alone, and the host in the `Host` header; a user name or password has no place there",
);
