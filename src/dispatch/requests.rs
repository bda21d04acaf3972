//! The requests in which the events of an attempt leave, and what becomes of those that an answer does not explain.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dispatch::context::AttemptContext;
use crate::domain::attempt::{BatchPlace, EarlierRequest, Exchange};
use crate::domain::remark::{Remark, erased_at};
use crate::domain::sent::SentEvent;
use crate::store::contract::change::ConversionRef;
use crate::store::contract::work::Claimed;
use crate::template::destination::envelope::EventPart;

/// A body with several events is no larger than this.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// An event that is to leave.
pub struct ReadyEvent {
    pub claimed: Claimed,
    pub part: EventPart,
    pub sent: Box<SentEvent>,
    pub remarks: Vec<Remark>,
    /// The exchange of a request of this attempt that carried it already, where the platform may have taken it.
    pub carried_by: Option<(Arc<Exchange>, Option<BatchPlace>)>,
}

/// Events that are to leave in one request.
pub struct NextRequest {
    pub events: Vec<ReadyEvent>,
    /// The requests that carried them before.
    pub before: Vec<EarlierRequest>,
}

/// Those that can share a request do, at most `most` of them.
pub fn requests_of(ready: Vec<ReadyEvent>, most: usize) -> VecDeque<NextRequest> {
    let mut requests: Vec<(usize, Vec<ReadyEvent>)> = Vec::new();
    for event in ready {
        let size = event.part.size();
        let has_room = |(bytes, request): &&mut (usize, Vec<ReadyEvent>)| {
            request.len() < most
                && bytes.saturating_add(size) <= MAX_BODY_BYTES
                && request.first().is_some_and(|first| first.part.joins(&event.part))
        };
        match requests.iter_mut().find(has_room) {
            Some((bytes, request)) => {
                *bytes += size;
                request.push(event);
            }
            None => requests.push((size, vec![event])),
        }
    }
    requests.into_iter().map(|(_, events)| NextRequest { events, before: Vec::new() }).collect()
}

/// What an answer did not explain: in two halves where it explained nothing, else without what it explained.
pub fn put_first(requests: &mut VecDeque<NextRequest>, again: UnexplainedEvents) {
    let UnexplainedEvents { mut events, all, before } = again;
    if all && events.len() > 1 {
        let second = events.split_off(events.len().div_ceil(2));
        requests.push_front(NextRequest { events: second, before: before.clone() });
    }
    requests.push_front(NextRequest { events, before });
}

/// The events of a request of which its answer does not say what became of them.
pub struct UnexplainedEvents {
    pub events: Vec<ReadyEvent>,
    /// Whether those are all that it carried.
    pub all: bool,
    /// It, and those that carried them before it.
    pub before: Vec<EarlierRequest>,
}

/// Takes out of a request what was rendered before the data of its person was erased. Answers it: it is not to leave as it is.
pub async fn take_erased(shared: &AttemptContext, request: &mut NextRequest) -> Vec<ReadyEvent> {
    if !shared.store.has_erased_lately() {
        return Vec::new();
    }
    let (mut left, mut taken) = (Vec::with_capacity(request.events.len()), Vec::new());
    for event in std::mem::take(&mut request.events) {
        let known = erased_at(&event.claimed.conversion.remarks);
        let read = shared.store.conversion_now(ConversionRef::Id(event.claimed.conversion.id)).await;
        shared.faults.note(&read);
        // What cannot be read now is looked at again when it is claimed again.
        let is_as_claimed = read.is_ok_and(|now| now.is_some_and(|now| erased_at(&now.remarks) == known));
        if is_as_claimed { left.push(event) } else { taken.push(event) }
    }
    request.events = left;
    taken
}
