//! How much of a body is still to come, and how much of it may.

use super::body::{Chunked, Larger};
use super::fault::{Fault, part};
use super::head::{Framing, Head};

/// How the body of a request is collected.
pub enum Framer {
    /// This many bytes in all.
    Length(usize),
    Chunked(Chunked),
}

impl Framer {
    /// As the head says, up to the usual limit. Only where that does not do, `larger` is asked for another: at
    /// once for a length, for chunks when they become more.
    ///
    /// # Errors
    /// The body is too large, or what `larger` says.
    pub fn new(head: &Head, usual: usize, larger: &Larger<'_>) -> Result<Framer, Fault> {
        match head.framing {
            Framing::Chunked => Ok(Framer::Chunked(Chunked::new(usual))),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= usual => Ok(Framer::Length(length)),
                Ok(length) if larger()?.is_some_and(|most| length <= most) => Ok(Framer::Length(length)),
                _ => Err(Fault::BODY_TOO_LARGE),
            },
        }
    }

    /// How many bytes the body may have, as far as that was asked for.
    pub fn limit(&self) -> usize {
        match self {
            Framer::Length(length) => *length,
            Framer::Chunked(chunked) => chunked.limit(),
        }
    }

    /// How much memory its data takes, in addition to what was received.
    pub fn capacity(&self) -> usize {
        match self {
            Framer::Length(_) => 0,
            Framer::Chunked(chunked) => chunked.capacity(),
        }
    }
}

/// The target of a head, whose bytes these begin with.
///
/// # Errors
/// The bytes are not those of the head.
pub fn target_of(head: &Head, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    head.form.origin(part(bytes, head.target.clone())?)
}
