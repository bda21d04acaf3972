//! Asks a platform what became of what it accepted, until it says so or a day has passed. A request is asked about once for
//! all events that it carried.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::stopwatch;
use crate::dispatch::answer;
use crate::dispatch::context::{AttemptContext, SendSetup, TargetSetup};
use crate::dispatch::decide::{self, RetryLimits, SettledAttempt, TriedDelivery};
use crate::dispatch::rate::{Limiter, SendRate};
use crate::dispatch::settle::{Counted, count, whole_millis};
use crate::dispatch::signed;
use crate::dispatch::worker::WorkerCommand;
use crate::domain::attempt::{Attempt, AttemptPurpose, Exchange};
use crate::domain::delivery::{DeliveryState, Reply, ReplyVerdict};
use crate::domain::ids::DestinationId;
use crate::domain::sent::LaterVerdict;
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::send::client::KEPT_BODY;
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::store::contract::work::{ConfirmOutcome, Recorded, Unconfirmed, UnconfirmedWork};
use crate::template::destination::confirm::{AskedEvent, ConfirmVerdict, PollSchedule};

/// How many deliveries are looked at together, and those of the last one's request.
const TOGETHER: usize = 200;
/// The longest that no one looks whether something is due: a clock that was set is noticed by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What asks for the verdicts of one account's platform.
pub struct Confirmer {
    destination: DestinationId,
    shared: Arc<AttemptContext>,
    orders: watch::Receiver<WorkerCommand>,
    limiter: Option<Limiter>,
}

/// The deliveries of one request that a platform accepted.
struct AcceptedRequest {
    id: String,
    /// How often the platform was asked about it.
    tries: u32,
    deliveries: Vec<Unconfirmed>,
}

/// What asking about a request brought.
struct AskedRequest {
    verdict: ConfirmVerdict,
    /// When it was asked, and how long that took.
    at: Time,
    took: Duration,
    /// `None`: nothing left.
    exchange: Option<Arc<Exchange>>,
}

impl Confirmer {
    /// `None`: hosts of outgoing postbacks never say more than their answer.
    pub fn new(shared: &Arc<AttemptContext>, orders: watch::Receiver<WorkerCommand>) -> Option<Confirmer> {
        let TargetId::Account(destination) = &shared.target else { return None };
        let (destination, shared) = (destination.clone(), Arc::clone(shared));
        Some(Confirmer { destination, shared, orders, limiter: None })
    }

    /// Runs until the worker next to it is asked to end, or until the store fails. What is under way then is asked again
    /// after the next start.
    pub async fn run(mut self) {
        let mut stopped = self.orders.clone();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|order| !matches!(order, WorkerCommand::Run(_))) => {}
            () = self.ask_for_all() => {}
        }
    }

    async fn ask_for_all(&mut self) {
        loop {
            let WorkerCommand::Run(setup) = self.orders.borrow_and_update().clone() else { return };
            let Some(wait) = self.look(&setup).await else { return };
            tokio::select! {
                biased;
                changed = self.orders.changed() => if changed.is_err() { return },
                () = self.shared.accepted.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks about what is due. Answers how long there is nothing to do; `None`: the store failed.
    async fn look(&mut self, setup: &Arc<TargetSetup>) -> Option<Duration> {
        // Asking sends no event: what was accepted before the destination was switched off has its verdict all the same.
        let Some(to) = setup.destinations.get(&self.destination).cloned() else { return Some(LONGEST_SLEEP) };
        let now = self.shared.clock.now();
        let found = self.shared.store.unconfirmed(self.destination.clone(), now, TOGETHER).await;
        let is_unavailable = self.shared.faults.note(&found);
        let UnconfirmedWork { deliveries, next_poll } = match found {
            Ok(found) => found,
            Err(_noted) if is_unavailable => return Some(ASK_AGAIN_AFTER),
            Err(_noted) => return None,
        };
        if deliveries.is_empty() {
            let span = next_poll.map_or(i64::MAX, |next| next.millis_since(now)).max(0);
            return Some(LONGEST_SLEEP.min(Duration::from_millis(span.unsigned_abs())));
        }
        let mut went_on = false;
        for request in by_request(deliveries) {
            if self.orders.has_changed().is_ok_and(|changed| changed) {
                return Some(Duration::ZERO);
            }
            self.wait_for_turn(setup.rate).await;
            let asked = self.ask(&to, &request).await;
            let is_answered = asked.as_ref().is_none_or(AskedRequest::is_answered);
            went_on |= self.record(setup, &to, request, asked).await?;
            // A platform that does not answer, or gives no token, is not asked once for each request.
            if !is_answered {
                return Some(LONGEST_SLEEP);
            }
        }
        // What could not be recorded is due still.
        Some(if went_on { Duration::ZERO } else { LONGEST_SLEEP })
    }

    /// The platform's rate counts for being asked as for being sent to.
    async fn wait_for_turn(&mut self, rate: Option<SendRate>) {
        if rate != self.limiter.as_ref().map(|limiter| limiter.rate) {
            self.limiter = rate.map(Limiter::new);
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.use_for(1).await;
        }
    }

    /// `None`: the destination's template no longer says how.
    async fn ask(&self, to: &SendSetup, request: &AcceptedRequest) -> Option<AskedRequest> {
        let clock = &self.shared.clock;
        let (at, began) = (clock.now(), stopwatch());
        let first = request.deliveries.first()?;
        let mut outgoing = to.destination.confirm_request(&request.id, &first.id, at)?;
        let mut before = Vec::new();
        let token = match signed::sign(to, &mut outgoing, clock).await {
            Ok(token) => token,
            Err(verdict) => {
                let verdict = ConfirmVerdict::Again(verdict);
                return Some(AskedRequest { verdict, at, took: began.elapsed(), exchange: None });
            }
        };
        let sent = signed::send(to, (&mut outgoing, 1), token, (clock, &mut before)).await;
        let (took, now) = (began.elapsed(), clock.now());
        let events = first.accepted.place.and_then(|place| usize::try_from(place.events).ok()).unwrap_or(1);
        let asked: Vec<AskedEvent> = request.deliveries.iter().map(asked_event).collect();
        let shown = answer::without_secrets(&outgoing, &sent.reply);
        // What it means is read without the secrets that it may repeat: they are no part of a verdict.
        let reply = shown.unwrap_or(sent.reply);
        let verdict = match sent.verdict {
            Some(refused) => ConfirmVerdict::Again(refused),
            None => answer::confirmed(&to.destination, (&asked, events), &reply, now)?,
        };
        let answer = match reply {
            Reply::Answer(answer) => Some(answer.cut_to(KEPT_BODY)),
            Reply::Failed(_) | Reply::Forbidden(_) => None,
        };
        let exchange = Some(Arc::new(Exchange { request: outgoing.masked(), answer, before }));
        Some(AskedRequest { verdict, at, took, exchange })
    }

    /// Makes what became of it durable, then counts it. Answers whether anything was; `None`: the store failed.
    async fn record(
        &self,
        setup: &TargetSetup,
        to: &SendSetup,
        request: AcceptedRequest,
        asked: Option<AskedRequest>,
    ) -> Option<bool> {
        let now = self.shared.clock.now();
        let (mut outcomes, mut counted) = (Vec::new(), Vec::new());
        for (number, delivery) in request.deliveries.iter().enumerate() {
            let of = Confirmed { setup, to, request: &request, delivery };
            let (outcome, settled) = of.outcome(number, asked.as_ref(), now);
            let took_ms = asked.as_ref().and_then(|asked| whole_millis(asked.took)).unwrap_or_default();
            let (destination, received_at) =
                (delivery.id.destination.clone(), delivery.conversion.received_at);
            counted.push(settled.map(|settled| Counted { destination, settled, took_ms, received_at }));
            outcomes.push(outcome);
        }
        let outcomes: Arc<[ConfirmOutcome]> = outcomes.into();
        let recorded = loop {
            let done = self.shared.store.confirm(Arc::clone(&outcomes)).await;
            if !self.shared.faults.note(&done) {
                break done.ok()?;
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        };
        let went_on = recorded.contains(&Recorded::Settled);
        for (recorded, counted) in recorded.into_iter().zip(counted) {
            if let Some(counted) = counted {
                self.shared.tallies.change(&counted.destination, |tally| tally.note(&counted.settled, now));
                count(&self.shared, recorded, &counted, now);
            }
        }
        Some(went_on)
    }
}

impl AskedRequest {
    /// Whether the platform said anything.
    fn is_answered(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.answer.is_some())
    }
}

/// What one delivery of a request becomes.
struct Confirmed<'a> {
    setup: &'a TargetSetup,
    to: &'a SendSetup,
    request: &'a AcceptedRequest,
    delivery: &'a Unconfirmed,
}

impl Confirmed<'_> {
    /// What is to be recorded; and, where that is an end of its being asked about, what is to be counted.
    fn outcome(
        &self,
        number: usize,
        asked: Option<&AskedRequest>,
        now: Time,
    ) -> (ConfirmOutcome, Option<SettledAttempt>) {
        let of = |state: DeliveryState, attempt: Option<Attempt>| ConfirmOutcome {
            id: self.delivery.id.clone(),
            request_id: self.request.id.clone(),
            tries: self.request.tries,
            state,
            attempt,
        };
        let Some(asked) = asked else {
            return (of(DeliveryState::unverified(self.accepted_at()), None), None);
        };
        let verdict = match &asked.verdict {
            ConfirmVerdict::Events(events) => events.get(number),
            ConfirmVerdict::Again(verdict) => match self.asked_again(verdict, now) {
                Some(state) => return (of(state, None), None),
                None => Some(verdict),
            },
        };
        let Some(verdict) = verdict else {
            return (of(DeliveryState::unverified(self.accepted_at()), None), None);
        };
        let state = self.state(verdict, matches!(asked.verdict, ConfirmVerdict::Events(_)), now);
        let attempts = self.delivery.delivery.attempts;
        let sent = self.delivery.accepted.sent.clone().filter(|_| verdict.may_be_taken());
        let attempt = Attempt {
            took_ms: whole_millis(asked.took).unwrap_or_default(),
            exchange: asked.exchange.clone(),
            sent,
            purpose: AttemptPurpose::Confirm,
            ..Attempt::unsent(asked.at, verdict.clone())
        };
        let settled = SettledAttempt { verdict: verdict.clone(), state: state.clone(), attempts };
        (of(state, Some(attempt)), Some(settled))
    }

    fn accepted_at(&self) -> Time {
        let accepted = &self.delivery.accepted;
        accepted.at.plus_millis(i64::from(accepted.took_ms))
    }

    /// When it said nothing: the state until it is asked again; `None`: it is not any more.
    fn asked_again(&self, verdict: &ReplyVerdict, now: Time) -> Option<DeliveryState> {
        let tries = self.request.tries.saturating_add(1);
        let usual = PollSchedule::default();
        let polls = self.to.destination.polls().unwrap_or(&usual);
        let poll_at = polls.next(self.accepted_at(), tries, now)?;
        let (request_id, last) = (self.request.id.clone(), Some(Box::new(verdict.clone())));
        Some(DeliveryState::Confirming { request_id, poll_at, tries, last })
    }

    /// What it is from now on, by its verdict; `is_said`: it is the platform's, and not that it never said one.
    fn state(&self, verdict: &ReplyVerdict, is_said: bool, now: Time) -> DeliveryState {
        let Unconfirmed { id, conversion, delivery, click, .. } = self.delivery;
        match verdict {
            ReplyVerdict::Delivered { confirmation, .. } => {
                let tries = self.request.tries.saturating_add(1);
                let later = LaterVerdict { request_id: self.request.id.clone(), tries, at: now };
                let (at, confirmation) = (self.accepted_at(), *confirmation);
                DeliveryState::Delivered { at, confirmation, later: Some(Box::new(later)) }
            }
            ReplyVerdict::Dead { reason } if is_said => {
                DeliveryState::Dead { at: now, reason: Box::new(reason.clone()) }
            }
            ReplyVerdict::Retry { reason, after_ms, .. } if is_said => {
                let click_ms = self.to.destination.age_limits().click_ms;
                let limits = RetryLimits { age: self.setup.age(now), click_ms };
                let (click, attempts) = (click.as_deref(), delivery.attempts);
                let tried = TriedDelivery { id, delivery, conversion, click, attempts };
                decide::again(tried, (reason, *after_ms), limits, &self.setup.schedule, now)
            }
            _ => DeliveryState::unverified(self.accepted_at()),
        }
    }
}

fn asked_event(delivery: &Unconfirmed) -> AskedEvent {
    let place = delivery.accepted.place.and_then(|place| usize::try_from(place.position).ok());
    let number = place.unwrap_or(1).saturating_sub(1);
    // That a change was known before does not say that it was made.
    let after_unknown = delivery.delivery.possible_repeat && !delivery.delivery.kind.is_change();
    AskedEvent { number, after_unknown }
}

/// The requests that these deliveries are of.
fn by_request(deliveries: Vec<Unconfirmed>) -> Vec<AcceptedRequest> {
    let mut requests: Vec<AcceptedRequest> = Vec::new();
    for delivery in deliveries {
        let DeliveryState::Confirming { request_id, tries, .. } = delivery.delivery.state.clone() else {
            continue;
        };
        match requests.iter_mut().find(|request| request.id == request_id && request.tries == tries) {
            Some(request) => request.deliveries.push(delivery),
            None => requests.push(AcceptedRequest { id: request_id, tries, deliveries: vec![delivery] }),
        }
    }
    requests
}
