//! One attempt at what was claimed: decide, render, send, classify, record. Several events may share a request, and a
//! request that its answer does not explain is sent again in parts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::stopwatch;
use crate::dispatch::answer;
use crate::dispatch::context::{
    AttemptContext, InFlightPermit, ProbeGuard, RECORDING, SendSetup, TargetSetup,
};
use crate::dispatch::decide;
use crate::dispatch::health::SendGate;
use crate::dispatch::open_leases::OpenLeases;
use crate::dispatch::prepare::{Prepared, prepare, rules_of};
use crate::dispatch::rate::SharedRate;
use crate::dispatch::settle::{FinishedAttempt, settle};
use crate::domain::attempt::{BatchPlace, Exchange};
use crate::domain::delivery::Reply;
use crate::domain::reconcile::Observed;
use crate::domain::remark::Remark;
use crate::domain::routing::Forwarding;
use crate::domain::send_check::SendRules;
use crate::domain::sent::SentEvent;
use crate::domain::time::Time;
use crate::store::contract::work::{Claimed, RepeatRisk};
use crate::store::crash;
use crate::template::destination::batch::EventVerdict;
use crate::template::destination::envelope::EventPart;

/// A body with several events is no larger than this.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the attempt at some deliveries to one destination needs.
pub struct AttemptJob {
    pub shared: Arc<AttemptContext>,
    pub setup: Arc<TargetSetup>,
    pub to: Arc<SendSetup>,
    pub work: Vec<Claimed>,
    /// When their leases run out, by the clock that no one sets: then or a moment later.
    pub lease_ends: Duration,
    pub place: InFlightPermit,
    pub probing: ProbeGuard,
    /// What the worker gives back if this is cut off.
    pub leases: OpenLeases,
    /// For what is sent besides the first request; `None`: only the receiver limits.
    pub rate: Option<SharedRate>,
}

/// An event that is to leave.
struct ReadyEvent {
    claimed: Claimed,
    part: EventPart,
    sent: Box<SentEvent>,
    remarks: Vec<Remark>,
    /// Whether a request of this attempt carried it already, and the platform may have taken it.
    may_be_taken: bool,
}

/// Runs an attempt to its durable end. The place is freed when the last answer is in.
pub async fn run(mut job: AttemptJob) {
    let at = job.shared.clock.now();
    let work = std::mem::take(&mut job.work);
    if !job.may_leave(at) {
        let leases = work.iter().map(|claimed| claimed.lease.token).collect();
        return job.shared.release(leases).await;
    }
    let began = stopwatch();
    let (mut finished, ready) = job.prepare(work, at);
    for attempt in &mut finished {
        attempt.took = began.elapsed();
    }
    let mut requests = requests_of(ready, job.to.events());
    let mut is_first = true;
    while let Some(events) = requests.pop_front() {
        if let Some(rate) = &job.rate {
            match std::mem::take(&mut is_first) {
                true => rate.rest_of(events.len()).await,
                false => rate.request(events.len()).await,
            }
        }
        if !job.may_leave(job.shared.clock.now()) {
            if !job.has_time() {
                job.to.carry_less(events.len());
            }
            requests.push_front(events);
            break;
        }
        let again = job.send(events, &mut finished).await;
        match again.is_empty() {
            true => job.to.carry_more(),
            false => put_first(&mut requests, again),
        }
        // What is known is not kept waiting for the answers to other requests; the last is recorded without a place.
        if !requests.is_empty() && !finished.is_empty() {
            job.record(std::mem::take(&mut finished)).await;
        }
    }
    let left: Vec<_> = requests.iter().flatten().map(|event| event.claimed.lease.token).collect();
    let AttemptJob { shared, place, probing, leases, .. } = job;
    drop(probing);
    leases.have_ended(finished.iter().map(|attempt| attempt.claimed.lease.token));
    // Never closed, so never refused; a closed one would only mean no bound.
    let bound = shared.recording.acquire().await.ok();
    drop(place);
    crash::point("dispatch.before_record");
    settle(&shared, &leases, finished).await;
    drop(bound);
    shared.release(left).await;
}

/// Those that can share a request do, at most `most` of them.
fn requests_of(ready: Vec<ReadyEvent>, most: usize) -> VecDeque<Vec<ReadyEvent>> {
    let mut requests: VecDeque<Vec<ReadyEvent>> = VecDeque::new();
    for event in ready {
        let has_room = |request: &&mut Vec<ReadyEvent>| {
            let bytes: usize = request.iter().map(|other| other.part.size()).sum();
            request.len() < most
                && bytes.saturating_add(event.part.size()) <= MAX_BODY_BYTES
                && request.first().is_some_and(|first| first.part.joins(&event.part))
        };
        match requests.iter_mut().find(has_room) {
            Some(request) => request.push(event),
            None => requests.push_back(vec![event]),
        }
    }
    requests
}

/// What an answer did not explain: in two halves where it explained nothing, else without what it explained.
fn put_first(requests: &mut VecDeque<Vec<ReadyEvent>>, again: UnexplainedEvents) {
    let UnexplainedEvents { mut events, all } = again;
    if all && events.len() > 1 {
        let second = events.split_off(events.len().div_ceil(2));
        requests.push_front(second);
    }
    requests.push_front(events);
}

/// The events of a request of which its answer does not say what became of them.
struct UnexplainedEvents {
    events: Vec<ReadyEvent>,
    /// Whether those are all that it carried.
    all: bool,
}

impl UnexplainedEvents {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl AttemptJob {
    /// What ends unsent, and what is to leave.
    fn prepare(&self, work: Vec<Claimed>, at: Time) -> (Vec<FinishedAttempt>, Vec<ReadyEvent>) {
        let (mut finished, mut ready) = (Vec::new(), Vec::with_capacity(work.len()));
        for claimed in work {
            match prepare(&self.to.destination, &self.rules(&claimed, at), &claimed, at) {
                Prepared::Ended { settled, request, remarks } => {
                    let exchange =
                        request.map(|request| Exchange { request: request.masked(), answer: None });
                    finished.push(FinishedAttempt {
                        at,
                        took: Duration::ZERO,
                        settled: *settled,
                        observed: self.observed(&claimed),
                        exchange: exchange.map(Arc::new),
                        place: None,
                        remarks,
                        sent: None,
                        repeat: RepeatRisk::default(),
                        claimed,
                    });
                }
                Prepared::Ready { part, sent, remarks } => {
                    ready.push(ReadyEvent { claimed, part: *part, sent, remarks, may_be_taken: false });
                }
            }
        }
        (finished, ready)
    }

    /// Sends one request. What its answer says of an event ends the event's attempt.
    async fn send(
        &mut self,
        events: Vec<ReadyEvent>,
        finished: &mut Vec<FinishedAttempt>,
    ) -> UnexplainedEvents {
        let (at, began) = (self.shared.clock.now(), stopwatch());
        let none = || UnexplainedEvents { events: Vec::new(), all: false };
        let Some(first) = events.first() else { return none() };
        let parts: Vec<&EventPart> = events.iter().map(|event| &event.part).collect();
        let assembled = self.to.destination.assemble(&parts, &first.claimed.id, at);
        let reply = self.to.client.send(&assembled.request).await;
        crash::point("dispatch.after_send");
        let now = self.shared.clock.now();
        let carried = (&assembled.request, events.len());
        let (verdict, shown) = answer::classify(&self.to.destination, carried, &reply, now);
        let current = self.setup.generation == self.shared.generation.load(Ordering::Acquire);
        self.probing.classified(&verdict.request, current, now);
        let (request, places) = assembled.masked();
        let answer = match shown.unwrap_or(reply) {
            Reply::Answer(answer) => Some(answer),
            Reply::Failed(_) | Reply::Forbidden(_) => None,
        };
        let exchange = Arc::new(Exchange { request, answer });
        let took = began.elapsed();
        let sent = events.len();
        let mut places = places.into_iter().enumerate();
        let mut again = Vec::new();
        for (event, said) in events.into_iter().zip(verdict.events) {
            let place = places.next().and_then(|(number, place)| batch_place(number, sent, &place));
            let Some(EventVerdict { verdict: said, kept }) = said else {
                let may_be_taken = event.may_be_taken || verdict.may_be_taken;
                again.push(ReadyEvent { may_be_taken, ..event });
                continue;
            };
            let settled = decide::after(said, &event.claimed, self.setup.age(now), &self.setup.schedule, now);
            let is_sent = settled.verdict.may_be_taken();
            let mut sent = Some(event.sent).filter(|_| is_sent);
            if let Some(sent) = &mut sent {
                sent.reply = kept;
            }
            finished.push(FinishedAttempt {
                at,
                took,
                settled,
                observed: self.observed(&event.claimed),
                exchange: Some(Arc::clone(&exchange)),
                place,
                remarks: event.remarks,
                sent,
                repeat: self.repeat(&event.claimed, event.may_be_taken, now),
                claimed: event.claimed,
            });
        }
        UnexplainedEvents { all: again.len() == sent, events: again }
    }

    /// Records what has ended while others are still to leave.
    async fn record(&self, finished: Vec<FinishedAttempt>) {
        self.leases.have_ended(finished.iter().map(|attempt| attempt.claimed.lease.token));
        crash::point("dispatch.before_record");
        settle(&self.shared, &self.leases, finished).await;
    }

    fn rules(&self, claimed: &Claimed, now: Time) -> SendRules<'_> {
        let policy = self.setup.policies.get(&claimed.conversion.source).map(Arc::as_ref);
        let forwarding = Forwarding { policy, on: self.to.on.as_deref() };
        rules_of(&self.to.destination, forwarding, self.setup.age(now))
    }

    /// What the attempt knows.
    fn observed(&self, claimed: &Claimed) -> Observed {
        let (changes, hears) = (claimed.conversion.history.len(), self.to.destination.changes());
        Observed { changes, hears }
    }

    /// Whether the platform may have the event twice, or would, if it is sent again.
    fn repeat(&self, claimed: &Claimed, was_sent: bool, now: Time) -> RepeatRisk {
        // The event cannot have been sent before it was received.
        let since = now.millis_since(claimed.conversion.received_at);
        match self.to.destination.dedup_ms() {
            Some(counted_once) if since <= counted_once => RepeatRisk::CountedOnce,
            _ if was_sent => RepeatRisk::Certain,
            _ => RepeatRisk::AfterTheUnknown,
        }
    }

    /// Whether anything still may leave: meanwhile the receiver may have been parked, have asked for a wait or have
    /// begun to fail.
    fn may_leave(&self, now: Time) -> bool {
        let may_be_sent =
            self.probing.is_open() || !self.setup.sends || matches!(self.probing.gate(now), SendGate::Free);
        may_be_sent && self.has_time()
    }

    /// Whether of the leases is left what a request and its record take.
    fn has_time(&self) -> bool {
        let left = self.lease_ends.saturating_sub(self.shared.clock.running());
        left >= self.setup.longest_attempt.saturating_add(RECORDING)
    }
}

/// Which of `events` it is, and where its part is; `None` where that cannot be kept, as of a body beyond 4 GiB.
fn batch_place(number: usize, events: usize, place: &std::ops::Range<usize>) -> Option<BatchPlace> {
    Some(BatchPlace {
        position: u32::try_from(number.checked_add(1)?).ok()?,
        events: u32::try_from(events).ok()?,
        start: u32::try_from(place.start).ok()?,
        end: u32::try_from(place.end).ok()?,
    })
}
