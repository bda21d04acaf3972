//! What is kept of an event's request: pages send it, so anyone can send any number of bytes. Pure.

use crate::domain::landing_url::up_to;
use crate::domain::postback::RawRequest;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::note::ReportNote;
use crate::web::collect::REFUSED_BYTES;

/// The most bytes of a request, of its line, body and headers together.
pub const MOST_BYTES: usize = REFUSED_BYTES;
/// Of these the most of the request line: no event is read from it.
const LINE_BYTES: usize = 256;
/// The most bytes of what is said about an event that cannot be read: it names what was sent.
const REASON_BYTES: usize = 512;

/// Cuts a request to what is kept of it; where something is cut, says so.
pub fn cut(raw: &mut RawRequest) -> Option<ReportNote> {
    let sent = raw.line.len() + raw.body.len();
    raw.line.truncate(LINE_BYTES);
    raw.body.truncate(MOST_BYTES - raw.line.len());
    let kept = raw.line.len() + raw.body.len();
    raw.headers.fit(MOST_BYTES - kept, &[]);
    (kept < sent).then_some(ReportNote::RequestCut { sent: sent as u64, kept: kept as u64 })
}

/// What is kept of why an event cannot be read.
pub fn unreadable(error: &str, cut: Option<ReportNote>) -> Rejection {
    let short = up_to(error, REASON_BYTES);
    let error = if short.len() < error.len() { format!("{short}…") } else { short.to_owned() };
    Rejection::from(BodyProblem::InvalidMessage { error }).with_notes(cut)
}
