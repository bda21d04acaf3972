//! What is around the events of a request, and one event as such a request carries it.

use std::ops::Range;

use crate::domain::delivery::{OutgoingRequest, SentRequest};
use crate::template::destination::compile::CompileContext;
use crate::template::destination::expression::{Expression, RenderScope};
use crate::template::destination::payload::Payload;
use crate::template::destination::payload_text;
use crate::template::diagnostic::Problem;

/// The file of it in a template's folder.
pub(crate) const ENVELOPE_FILE: &str = "envelope.json.hbs";

/// The template of what is around the events: JSON with one `{{events}}`, in whose place the list of them is written.
pub(crate) struct Envelope(pub Payload);

/// What is before and behind the list of the events. Events whose envelopes are the same may leave together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderedEnvelope {
    before: Vec<u8>,
    behind: Vec<u8>,
}

/// One event as a request carries it, with all that the request has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPart {
    pub(crate) head: RequestHead,
    /// `None`: the request is about this event alone.
    pub(crate) envelope: Option<RenderedEnvelope>,
    /// The event itself; without an envelope the whole body.
    pub(crate) body: Vec<u8>,
    /// Whether it is in the form of an event that is sent late.
    pub(crate) is_late: bool,
}

/// What a request has besides its body, but for what signs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RequestHead {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
}

/// A request that carries events, and where each of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssembledRequest {
    /// Complete, with its secrets.
    pub request: OutgoingRequest,
    /// The place of each event in the body, in bytes and in order; empty where the body is one event's alone.
    pub events: Vec<Range<usize>>,
}

impl Envelope {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong in any payload; no place for the events, or several.
    pub(crate) fn parse(source: &CompileContext<'_>, text: &str) -> Result<Envelope, Vec<Problem>> {
        let tree = payload_text::tree(source, text)?;
        let what = match tree.places_of_events() {
            Some(1) => return Ok(Envelope(Payload::new(tree))),
            Some(0) => "the envelope has no `{{events}}`",
            Some(_) => "the envelope has `{{events}}` several times",
            None => "`{{events}}` is in a list or in a text",
        };
        let hint = "write it once, as a member: it is the whole list, as in `\"data\": {{events}}`";
        Err(vec![Problem::new(what, hint).at(source.file, source.first_line)])
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        self.0.any(test)
    }

    /// What is around an event.
    ///
    /// # Errors
    /// The object that holds the events was left out, because it lacks what it needs.
    pub(crate) fn write(&self, scope: &RenderScope<'_>) -> Result<RenderedEnvelope, Problem> {
        let mut written = self.0.write(scope);
        let Some(place) = written.events else {
            let hint = "take `$needs` out of the objects around `{{events}}`";
            return Err(Problem::new("the envelope has no place for the events", hint));
        };
        let behind = written.bytes.split_off(place.min(written.bytes.len()));
        Ok(RenderedEnvelope { before: written.bytes, behind })
    }
}

impl EventPart {
    /// Whether one request can carry both.
    pub fn joins(&self, other: &EventPart) -> bool {
        self.envelope.is_some() && self.envelope == other.envelope && self.head == other.head
    }

    /// Everything that is sent for it, but for its headers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let around = self.envelope.iter().flat_map(|envelope| [&envelope.before, &envelope.behind]);
        [self.body.as_slice(), self.head.url.as_bytes()].into_iter().chain(around.map(Vec::as_slice))
    }

    /// How many bytes of a body it takes.
    pub fn size(&self) -> usize {
        self.body.len()
    }
}

/// The body that carries these events, all of one envelope, and the place of each. Without an envelope it is the first
/// one's.
pub(crate) fn body_of(parts: &[&EventPart]) -> (Vec<u8>, Vec<Range<usize>>) {
    let Some(first) = parts.first() else { return (Vec::new(), Vec::new()) };
    let Some(envelope) = &first.envelope else { return (first.body.clone(), Vec::new()) };
    let size: usize = parts.iter().map(|part| part.body.len() + 1).sum();
    let mut body = Vec::with_capacity(envelope.before.len() + size + 1 + envelope.behind.len());
    let mut places = Vec::with_capacity(parts.len());
    body.extend_from_slice(&envelope.before);
    for (index, part) in parts.iter().enumerate() {
        body.push(if index == 0 { b'[' } else { b',' });
        let start = body.len();
        body.extend_from_slice(&part.body);
        places.push(start..body.len());
    }
    body.push(b']');
    body.extend_from_slice(&envelope.behind);
    (body, places)
}

impl AssembledRequest {
    /// What may be stored and shown, and where in its body each event is then.
    pub fn masked(&self) -> (SentRequest, Vec<Range<usize>>) {
        let request = &self.request;
        if self.events.len() < 2 {
            return (request.masked(), Vec::new());
        }
        let text = |range: Range<usize>| {
            let bytes = request.body.get(range).unwrap_or_default();
            request.mask(&String::from_utf8_lossy(bytes))
        };
        let (mut body, mut places, mut at) = (String::new(), Vec::with_capacity(self.events.len()), 0);
        for place in &self.events {
            body.push_str(&text(at..place.start));
            let start = body.len();
            body.push_str(&text(place.clone()));
            places.push(start..body.len());
            at = place.end;
        }
        body.push_str(&text(at..request.body.len()));
        (request.masked_with(body), places)
    }
}
