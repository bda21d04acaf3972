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
use crate::dispatch::decide::{self, RetryLimits, SettledAttempt};
use crate::dispatch::health::SendGate;
use crate::dispatch::open_leases::OpenLeases;
use crate::dispatch::prepare::{Prepared, prepare, rules_of};
use crate::dispatch::rate::SharedRate;
use crate::dispatch::requests::{
    NextRequest, ReadyEvent, UnexplainedEvents, put_first, requests_of, take_erased,
};
use crate::dispatch::settle::{FinishedAttempt, settle};
use crate::dispatch::signed::{self, SignedReply};
use crate::domain::attempt::{AttemptPurpose, BatchPlace, EarlierRequest, Exchange};
use crate::domain::click::Pairs;
use crate::domain::delivery::{DeliveryState, Reply, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::exchange::NoAnswer;
use crate::domain::reconcile::Observed;
use crate::domain::routing::Forwarding;
use crate::domain::send_check::SendRules;
use crate::domain::sent::{Confirmation, SentEvent};
use crate::domain::time::Time;
use crate::send::client::KEPT_BODY;
use crate::store::contract::work::{Claimed, RepeatRisk};
use crate::store::crash;
use crate::template::destination::batch::BatchVerdict;
use crate::template::destination::confirm::LastAsked;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::row_rules::EventVerdict;

/// By this status the platform says that a request is too large.
const TOO_LARGE: u16 = 413;

/// What the attempt at some deliveries to one destination needs.
pub struct AttemptJob {
    pub shared: Arc<AttemptContext>,
    pub setup: Arc<TargetSetup>,
    pub to: Arc<SendSetup>,
    pub work: Vec<Claimed>,
    /// When their leases run out, by the clock that no one sets: then or a moment later.
    pub lease_ends: Duration,
    pub permit: InFlightPermit,
    pub probing: ProbeGuard,
    /// What the worker gives back if this is cut off.
    pub leases: OpenLeases,
    /// For what is sent besides the first request, which is paid for; `None`: only the receiver limits.
    pub rate: Option<SharedRate>,
}

/// Runs an attempt to its durable end. The place is freed when the last answer is in.
pub async fn run(mut job: AttemptJob) {
    let at = job.shared.clock.now();
    let work = std::mem::take(&mut job.work);
    if !job.may_leave(at) {
        let leases = work.iter().map(|claimed| claimed.lease.token).collect();
        return job.shared.release(leases).await;
    }
    let (mut finished, ready) = job.prepare(work, at);
    let mut requests = requests_of(ready, job.to.most_events());
    let mut left_out = Vec::new();
    job.send_all(&mut requests, (&mut finished, &mut left_out)).await;
    let now = job.shared.clock.now();
    let mut unsent = Vec::new();
    for event in requests.into_iter().flat_map(|next| next.events).chain(left_out) {
        match event.carried_by {
            None => unsent.push(event.claimed.lease.token),
            Some(_) => finished.push(job.cut_off(event, now)),
        }
    }
    let AttemptJob { shared, permit, probing, leases, .. } = job;
    drop(probing);
    leases.mark_ended(finished.iter().map(|attempt| attempt.claimed.lease.token));
    // Never closed, so never refused; a closed one would only mean no bound.
    let bound = shared.recording.acquire().await.ok();
    drop(permit);
    crash::point("dispatch.before_record");
    settle(&shared, &leases, finished).await;
    drop(bound);
    shared.release(unsent).await;
}

/// A request whose answer is in, or that got none.
struct AnsweredRequest {
    /// When it was made.
    at: Time,
    took: Duration,
    /// When its answer was in.
    now: Time,
    /// `None`: it did not leave.
    exchange: Option<Arc<Exchange>>,
    /// The platform's name of it, where it says only later what became of its events.
    request_id: Option<String>,
}

impl AnsweredRequest {
    fn status(&self) -> Option<u16> {
        self.exchange.as_ref()?.answer.as_ref().map(|answer| answer.status)
    }

    /// It, which carried so many events, behind those that carried them before.
    fn and_before(&self, events: usize) -> Vec<EarlierRequest> {
        let answer = self.exchange.as_ref().and_then(|exchange| exchange.answer.clone());
        let mut before = self.exchange.as_ref().map(|exchange| exchange.before.clone()).unwrap_or_default();
        before.push(EarlierRequest::of((self.at, self.took), events, answer));
        before
    }
}

impl AttemptJob {
    /// Sends one request after the other, until none is left or nothing more may leave.
    async fn send_all(
        &mut self,
        requests: &mut VecDeque<NextRequest>,
        (finished, left_out): (&mut Vec<FinishedAttempt>, &mut Vec<ReadyEvent>),
    ) {
        let mut is_first = true;
        while let Some(mut next) = requests.pop_front() {
            let sent = next.events.len();
            if !std::mem::take(&mut is_first) {
                if let Some(rate) = &self.rate {
                    rate.request(sent).await;
                }
                if !self.may_leave(self.shared.clock.now()) {
                    if !self.has_time() {
                        self.to.carry_less(sent);
                    }
                    return requests.push_front(next);
                }
            }
            left_out.extend(take_erased(&self.shared, &mut next).await);
            if next.events.is_empty() {
                continue;
            }
            match self.send(next, finished).await {
                None => self.to.carry_more(sent),
                Some(again) => put_first(requests, again),
            }
            // What is known is not kept waiting for the answers to other requests; the last is recorded without a place.
            if !requests.is_empty() && !finished.is_empty() {
                self.record(std::mem::take(finished)).await;
            }
        }
    }

    /// What ends unsent, and what is to leave.
    fn prepare(&self, work: Vec<Claimed>, at: Time) -> (Vec<FinishedAttempt>, Vec<ReadyEvent>) {
        let (mut finished, mut ready) = (Vec::new(), Vec::with_capacity(work.len()));
        for claimed in work {
            let began = stopwatch();
            match prepare(&self.to.destination, &self.rules(&claimed, at), &claimed, at) {
                Prepared::Ended { settled, request, remarks } => {
                    let exchange = request.map(|request| Exchange {
                        request: request.masked(),
                        answer: None,
                        before: Vec::new(),
                    });
                    finished.push(FinishedAttempt {
                        at,
                        took: began.elapsed(),
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
                    ready.push(ReadyEvent { claimed, part: *part, sent, remarks, carried_by: None });
                }
            }
        }
        (finished, ready)
    }

    /// Sends one request. What its answer says of an event ends the event's attempt; answers what it does not explain.
    async fn send(
        &mut self,
        next: NextRequest,
        finished: &mut Vec<FinishedAttempt>,
    ) -> Option<UnexplainedEvents> {
        let NextRequest { events, mut before } = next;
        let (at, began) = (self.shared.clock.now(), stopwatch());
        let first = events.first()?;
        let parts: Vec<&EventPart> = events.iter().map(|event| &event.part).collect();
        let mut assembled = self.to.destination.assemble(&parts, &first.claimed.id, at);
        let sent = events.len();
        let token = match signed::sign(&self.to, &mut assembled.request, &self.shared.clock).await {
            Ok(token) => token,
            Err(verdict) => {
                finished.extend(self.unsigned(events, &verdict, (at, began.elapsed())));
                return None;
            }
        };
        let of_event =
            |event: &ReadyEvent| (event.claimed.lease.token, self.repeat(&event.claimed, false, at));
        self.leases.mark_sent(events.iter().map(of_event));
        let circumstances = (&self.shared.clock, &mut before);
        let outgoing = (&mut assembled.request, (AttemptPurpose::Report, sent));
        let signed = signed::send(&self.to, outgoing, token, circumstances).await;
        let SignedReply { reply, verdict: without_token } = signed;
        crash::point("dispatch.after_send");
        let now = self.shared.clock.now();
        let carried = (&assembled.request, sent);
        let (verdict, shown) = answer::classify(&self.to.destination, carried, &reply, now);
        let verdict = without_token.map_or(verdict, |refused| BatchVerdict::of_all(sent, refused));
        self.noted(&verdict.request, now);
        let (request, places) = assembled.masked();
        let request_id = match &reply {
            Reply::Answer(answer) => self.to.destination.accepted_as(answer),
            Reply::Failed(_) | Reply::Forbidden(_) => None,
        };
        let answer = match shown.unwrap_or(reply) {
            Reply::Answer(answer) => Some(answer.cut_to(KEPT_BODY)),
            Reply::Failed(_) | Reply::Forbidden(_) => None,
        };
        if sent > 1 && answer.as_ref().is_some_and(|answer| answer.status == TOO_LARGE) {
            self.to.carry_less(sent);
        }
        let exchange = Some(Arc::new(Exchange { request, answer, before }));
        let answered = AnsweredRequest { at, took: began.elapsed(), now, exchange, request_id };
        let mut places = places.into_iter().enumerate();
        let mut again = Vec::new();
        let said = verdict.events.into_iter().chain(std::iter::repeat_with(|| None));
        for (mut event, said) in events.into_iter().zip(said) {
            let place = places.next().and_then(|(number, place)| batch_place(number, sent, &place));
            // Of a single event something is always said; if it were not, it would be sent again for ever.
            let alone = || EventVerdict { verdict: verdict.request.clone(), kept: Pairs::new() };
            match said.or_else(|| (sent == 1).then(alone)) {
                Some(said) => finished.push(self.explained((event, place), said, &answered)),
                None => {
                    if verdict.may_be_taken {
                        event.carried_by = answered.exchange.clone().map(|exchange| (exchange, place));
                    }
                    again.push(event);
                }
            }
        }
        if again.is_empty() {
            return None;
        }
        let (destination, status) = (self.to.destination.id(), answered.status());
        let (left, may_be_taken) = (again.len(), verdict.may_be_taken);
        tracing::info!(%destination, status, sent, left, may_be_taken, "events are sent again in smaller requests");
        Some(UnexplainedEvents { all: left == sent, events: again, before: answered.and_before(sent) })
    }

    /// How the receiver does.
    fn noted(&mut self, verdict: &ReplyVerdict, now: Time) {
        let current = self.setup.generation == self.shared.generation.load(Ordering::Acquire);
        self.probing.classified(verdict, current, now);
    }

    /// What became of events for which there is no token: no request left.
    fn unsigned(
        &mut self,
        events: Vec<ReadyEvent>,
        verdict: &ReplyVerdict,
        (at, took): (Time, Duration),
    ) -> Vec<FinishedAttempt> {
        let now = self.shared.clock.now();
        self.noted(verdict, now);
        let answered = AnsweredRequest { at, took, now, exchange: None, request_id: None };
        let said = || EventVerdict { verdict: verdict.clone(), kept: Pairs::new() };
        events.into_iter().map(|event| self.explained((event, None), said(), &answered)).collect()
    }

    /// What an event's attempt became, by what the answer says of it.
    fn explained(
        &self,
        (event, place): (ReadyEvent, Option<BatchPlace>),
        said: EventVerdict,
        answered: &AnsweredRequest,
    ) -> FinishedAttempt {
        let EventVerdict { verdict, kept } = said;
        let now = answered.now;
        let limits =
            RetryLimits { age: self.setup.age(now), click_ms: self.to.destination.age_limits().click_ms };
        let mut settled = decide::after(verdict, &event.claimed, limits, &self.setup.schedule, now);
        self.await_verdict(&mut settled.state, answered);
        let sent = Some(event.sent).filter(|_| settled.verdict.may_be_taken());
        let next = match settled.state {
            DeliveryState::Waiting { due } => due,
            _ => now,
        };
        FinishedAttempt {
            at: answered.at,
            took: answered.took,
            settled,
            observed: self.observed(&event.claimed),
            exchange: answered.exchange.clone(),
            place,
            remarks: event.remarks,
            sent: sent.map(|sent| Box::new(SentEvent { reply: kept, ..*sent })),
            repeat: self.repeat(&event.claimed, event.carried_by.is_some(), next),
            claimed: event.claimed,
        }
    }

    /// What was taken is only accepted where the platform says later what became of it.
    fn await_verdict(&self, state: &mut DeliveryState, answered: &AnsweredRequest) {
        let is_taken = |state: &DeliveryState| {
            state.confirmation().is_some_and(|confirmation| confirmation != Confirmation::Duplicate)
        };
        let polls = self.to.destination.polls().zip(answered.request_id.clone());
        let Some((polls, request_id)) = polls.filter(|_| is_taken(state)) else { return };
        if let Some(poll_at) = polls.next(answered.now, (0, LastAsked::Answered), answered.now) {
            let (accepted_at, tries, last) = (answered.now, 0, None);
            *state = DeliveryState::Confirming { request_id, accepted_at, poll_at, tries, last };
        }
    }

    /// What is recorded of an event that a request carried whose answer did not explain what became of it, where nothing
    /// more may leave now: it is due again at once, and not charged.
    fn cut_off(&self, event: ReadyEvent, now: Time) -> FinishedAttempt {
        let (exchange, place) = event.carried_by.unzip();
        let reason = RetryReason::NoAnswer(NoAnswer::CutOff);
        let verdict = ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None };
        let (state, attempts) = (DeliveryState::Waiting { due: now }, event.claimed.delivery.attempts);
        FinishedAttempt {
            at: now,
            took: Duration::ZERO,
            settled: SettledAttempt { verdict, state, attempts },
            observed: self.observed(&event.claimed),
            exchange,
            place: place.flatten(),
            remarks: event.remarks,
            sent: Some(event.sent),
            repeat: self.repeat(&event.claimed, true, now),
            claimed: event.claimed,
        }
    }

    /// Records what has ended while others are still to leave.
    async fn record(&self, finished: Vec<FinishedAttempt>) {
        self.leases.mark_ended(finished.iter().map(|attempt| attempt.claimed.lease.token));
        crash::point("dispatch.before_record");
        settle(&self.shared, &self.leases, finished).await;
    }

    fn rules(&self, claimed: &Claimed, now: Time) -> SendRules<'_> {
        let policy = self.setup.policies.get(&claimed.conversion.source).map(Arc::as_ref);
        let forwarding = Forwarding { policy, on: self.to.on.as_deref() };
        rules_of((&self.to.destination, &claimed.conversion.event), forwarding, self.setup.age(now))
    }

    /// What the attempt knows.
    fn observed(&self, claimed: &Claimed) -> Observed {
        let hears = self.to.destination.changes_of(&claimed.conversion.event);
        let changes = claimed.conversion.history.len();
        Observed { changes, hears }
    }

    /// Whether the platform may have the event twice, or would, if it is sent again at `next`.
    fn repeat(&self, claimed: &Claimed, was_sent: bool, next: Time) -> RepeatRisk {
        // The event cannot have been sent before it was received.
        let since = next.millis_since(claimed.conversion.received_at);
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
