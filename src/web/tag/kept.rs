//! What is kept of an event's request: pages send it, so anyone can send any number of bytes. Pure.

use crate::domain::landing_url::up_to;
use crate::domain::postback::{Fault, RawRequest};
use crate::web::collect::REFUSED_BYTES;

/// The most bytes of a request, of its line and body together.
pub const MOST_BYTES: usize = REFUSED_BYTES;
/// Of these the most of the request line: no event is read from it.
const LINE_BYTES: usize = 256;
/// The most bytes of what is said about an event that cannot be read: it names what was sent.
const REASON_BYTES: usize = 512;
/// The longest content type: the word is all that counts.
const CONTENT_TYPE_BYTES: usize = 128;

/// Cuts a request to what is kept of it; where something is cut, says so.
pub fn cut(raw: &mut RawRequest) -> Option<String> {
    let sent = raw.line.len() + raw.body.len();
    raw.line.truncate(LINE_BYTES);
    raw.body.truncate(MOST_BYTES - raw.line.len());
    raw.content_type = raw.content_type.take().filter(|kind| kind.len() <= CONTENT_TYPE_BYTES);
    let kept = raw.line.len() + raw.body.len();
    (kept < sent).then(|| format!("of the request's {sent} bytes {kept} are kept"))
}

/// What is kept of why an event cannot be read.
pub fn cut_fault(fault: Fault, cut: Option<String>) -> Fault {
    let reason = up_to(&fault.reason, REASON_BYTES);
    let reason = if reason.len() < fault.reason.len() { format!("{reason}…") } else { reason.to_owned() };
    Fault { reason, ..fault }.with_hints(cut.as_ref().map(std::slice::from_ref))
}
