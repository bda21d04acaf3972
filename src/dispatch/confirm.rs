//! Asks a platform what became of what it accepted, until it says so or its time is over. A request is asked about once for
//! all events that it carried.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use crate::clock::stopwatch;
use crate::dispatch::answer;
use crate::dispatch::context::{AttemptContext, SendSetup, TargetSetup};
use crate::dispatch::decide::{self, RetryLimits, SettledAttempt, TriedDelivery};
use crate::dispatch::health::HealthEffect;
use crate::dispatch::rate::SharedRate;
use crate::dispatch::settle::{Counted, count, whole_millis};
use crate::dispatch::signed;
use crate::dispatch::worker::WorkerCommand;
use crate::domain::attempt::{Attempt, AttemptPurpose, Exchange};
use crate::domain::delivery::{DeliveryState, Reply, ReplyVerdict};
use crate::domain::ids::DestinationId;
use crate::domain::sent::{Confirmation, LaterVerdict};
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::send::client::KEPT_BODY;
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::store::contract::work::{ConfirmOutcome, Recorded, RepeatRisk, Unconfirmed, UnconfirmedWork};
use crate::template::destination::confirm::{AskedEvent, ConfirmVerdict, LastAsked, PollSchedule};

/// How many deliveries are looked at together, and those of the last one's request.
const TOGETHER: usize = 200;
/// How many requests are asked about at a time: one of which the platform says nothing keeps no other.
const AT_A_TIME: usize = 6;
/// The longest that no one looks whether something is due: a clock that was set is noticed by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What asks for the verdicts of one account's platform.
pub struct Confirmer {
    destination: DestinationId,
    shared: Arc<AttemptContext>,
    orders: watch::Receiver<WorkerCommand>,
}

/// The deliveries of one request that a platform accepted.
struct AcceptedRequest {
    id: String,
    /// When the answer was received that accepted it.
    accepted_at: Time,
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
        Some(Confirmer { destination, shared, orders })
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
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                biased;
                changed = self.orders.changed() => if changed.is_err() { return },
                () = self.shared.accepted.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks about what is due. Answers how long there is nothing to do; `None`: the store failed.
    async fn look(&self, setup: &Arc<TargetSetup>) -> Option<Duration> {
        // Asking sends no event: what was accepted before the destination was switched off has its verdict all the same.
        let Some(to) = setup.destinations.get(&self.destination).cloned() else { return Some(LONGEST_SLEEP) };
        let now = self.shared.clock.now();
        let health = &self.shared.target_health;
        if let Some(until) = health.awaits_token(now).or_else(|| Some(health.hold(now)?.until)) {
            return Some(until_then(until, now));
        }
        let found = self.shared.store.unconfirmed(self.destination.clone(), now, TOGETHER).await;
        let is_unavailable = self.shared.faults.note(&found);
        let UnconfirmedWork { deliveries, next_poll } = match found {
            Ok(found) => found,
            Err(_noted) if is_unavailable => return Some(ASK_AGAIN_AFTER),
            Err(_noted) => return None,
        };
        if deliveries.is_empty() {
            return Some(next_poll.map_or(LONGEST_SLEEP, |next| until_then(next, now)));
        }
        // A platform that is asked in vain is not asked once for each request.
        let (is_silent, went_on) = (AtomicBool::new(false), AtomicBool::new(false));
        let goes_on = || !is_silent.load(Ordering::Relaxed) && !self.orders.has_changed().unwrap_or(true);
        // The platform's rate counts for being asked as for being sent to, of which no more than one turn is taken.
        let rate = self.shared.rate.keeping(setup.kept_rate());
        let turn = |request: AcceptedRequest| in_turn(rate.clone(), request);
        let requests = stream::iter(by_request(deliveries)).take_while(|_| ready(goes_on())).then(turn);
        let asking = requests.map(|request| async {
            let asked = self.ask(setup, &to, &request).await;
            is_silent.fetch_or(asked.as_ref().is_some_and(AskedRequest::is_in_vain), Ordering::Relaxed);
            went_on.fetch_or(self.record(setup, &to, request, asked).await?, Ordering::Relaxed);
            Some(())
        });
        let mut asking = pin!(asking.buffer_unordered(AT_A_TIME));
        while let Some(done) = asking.next().await {
            done?;
        }
        // What could not be recorded is due still.
        let is_done = went_on.load(Ordering::Relaxed) && !is_silent.load(Ordering::Relaxed);
        Some(if is_done { Duration::ZERO } else { LONGEST_SLEEP })
    }

    /// `None`: the destination's template no longer says how.
    async fn ask(
        &self,
        setup: &TargetSetup,
        to: &SendSetup,
        request: &AcceptedRequest,
    ) -> Option<AskedRequest> {
        let clock = &self.shared.clock;
        let (at, began) = (clock.now(), stopwatch());
        let first = request.deliveries.first()?;
        let mut outgoing = to.destination.confirm_request(&request.id, &first.id, at)?;
        let mut before = Vec::new();
        let token = match signed::sign(to, &mut outgoing, clock).await {
            Ok(token) => token,
            Err(verdict) => return Some(self.without_token(setup, verdict, (at, began.elapsed()))),
        };
        let signs_in = token.is_some();
        let sent =
            signed::send(to, (&mut outgoing, (AttemptPurpose::Confirm, 1)), token, (clock, &mut before))
                .await;
        let (took, now) = (began.elapsed(), clock.now());
        let events = first.accepted.place.and_then(|place| usize::try_from(place.events).ok()).unwrap_or(1);
        let asked: Vec<AskedEvent> = request.deliveries.iter().map(asked_event).collect();
        let shown = answer::without_secrets(&outgoing, &sent.reply);
        // What it means is read without the secrets that it may repeat: they are no part of a verdict.
        let reply = shown.unwrap_or(sent.reply);
        let is_answered = matches!(reply, Reply::Answer(_)) && sent.verdict.is_none();
        if signs_in && is_answered && self.is_current(setup) {
            self.shared.target_health.signed_in(now);
        }
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

    fn is_current(&self, setup: &TargetSetup) -> bool {
        setup.generation == self.shared.generation.load(Ordering::Acquire)
    }

    /// Nothing left. An account that is refused a token is refused it for what is sent too.
    fn without_token(
        &self,
        setup: &TargetSetup,
        verdict: ReplyVerdict,
        (at, took): (Time, Duration),
    ) -> AskedRequest {
        let health = &self.shared.target_health;
        let parked_before = health.parked().is_some_and(|(_, reason)| !reason.is_of_sign_in());
        if matches!(verdict, ReplyVerdict::Park { .. }) && !parked_before {
            let standing = HealthEffect { probe: false, current: self.is_current(setup) };
            health.classified(&verdict, standing, self.shared.clock.now());
        }
        AskedRequest { verdict: ConfirmVerdict::Again(verdict), at, took, exchange: None }
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
                // Nothing was sent: what another has settled meanwhile is not late.
                if recorded == Recorded::Settled {
                    count(&self.shared, recorded, &counted, now);
                }
            }
        }
        Some(went_on)
    }
}

impl AskedRequest {
    /// Whether the next request would be asked about no better.
    fn is_in_vain(&self) -> bool {
        match &self.verdict {
            ConfirmVerdict::Again(said) => LastAsked::of(said) == LastAsked::InVain,
            ConfirmVerdict::Events(_) => false,
        }
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
        let said = asked.and_then(|asked| match &asked.verdict {
            ConfirmVerdict::Events(said) => Some(said),
            ConfirmVerdict::Again(_) => None,
        });
        let of = |state: DeliveryState, attempt: Option<Attempt>| {
            // Where the platform refused one, and which is not certain, it may have this one.
            let is_taken = matches!(state, DeliveryState::Delivered { .. });
            let is_doubtful = !is_taken && said.is_some_and(|said| !said.is_certain);
            ConfirmOutcome {
                id: self.delivery.id.clone(),
                request_id: self.request.id.clone(),
                tries: self.request.tries,
                state,
                attempt,
                repeat: if is_doubtful { RepeatRisk::Certain } else { RepeatRisk::CountedOnce },
            }
        };
        let attempts = self.delivery.delivery.attempts;
        let verdict = asked.and_then(|asked| match &asked.verdict {
            ConfirmVerdict::Events(said) => said.verdicts.get(number),
            ConfirmVerdict::Again(verdict) => Some(verdict),
        });
        let Some((asked, verdict)) = asked.zip(verdict) else {
            let state = DeliveryState::unverified(self.request.accepted_at);
            let verdict =
                ReplyVerdict::Delivered { warnings: Vec::new(), confirmation: Confirmation::Unverified };
            return (of(state.clone(), None), Some(SettledAttempt { verdict, state, attempts }));
        };
        if said.is_none()
            && let Some(state) = self.asked_again(verdict, now)
        {
            return (of(state, None), None);
        }
        let state = self.state(verdict, said.is_some(), now);
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

    /// When it said nothing: the state until it is asked again; `None`: it is not any more. Its time is not over before it
    /// has been asked twice and answered.
    fn asked_again(&self, verdict: &ReplyVerdict, now: Time) -> Option<DeliveryState> {
        let AcceptedRequest { accepted_at, tries, .. } = *self.request;
        let tries = tries.saturating_add(1);
        let before = match &self.delivery.delivery.state {
            DeliveryState::Confirming { last: Some(last), .. } => LastAsked::of(last),
            _ => LastAsked::InVain,
        };
        let asked = if before == LastAsked::InVain { before } else { LastAsked::of(verdict) };
        let usual = PollSchedule::default();
        let polls = self.to.destination.polls().unwrap_or(&usual);
        let poll_at = polls.next(accepted_at, (tries, asked), now)?;
        let (request_id, last) = (self.request.id.clone(), Some(Box::new(verdict.clone())));
        Some(DeliveryState::Confirming { request_id, accepted_at, poll_at, tries, last })
    }

    /// What it is from now on, by its verdict; `is_said`: it is the platform's, and not that it never said one.
    fn state(&self, verdict: &ReplyVerdict, is_said: bool, now: Time) -> DeliveryState {
        let Unconfirmed { id, conversion, delivery, click, .. } = self.delivery;
        match verdict {
            ReplyVerdict::Delivered { confirmation, .. } => {
                let tries = self.request.tries.saturating_add(1);
                let later = LaterVerdict { request_id: self.request.id.clone(), tries, at: now };
                let (at, confirmation) = (self.request.accepted_at, *confirmation);
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
            _ => DeliveryState::unverified(self.request.accepted_at),
        }
    }
}

/// How long until then; a clock that was set is noticed before.
fn until_then(then: Time, now: Time) -> Duration {
    LONGEST_SLEEP.min(Duration::from_millis(then.millis_since(now).max(0).unsigned_abs()))
}

fn asked_event(delivery: &Unconfirmed) -> AskedEvent {
    let place = delivery.accepted.place.and_then(|place| usize::try_from(place.position).ok());
    let number = place.unwrap_or(1).saturating_sub(1);
    // That a change was known before does not say that it was made.
    let after_unknown = delivery.delivery.possible_repeat && !delivery.delivery.kind.is_change();
    AskedEvent { number, after_unknown }
}

/// It, once it is its turn.
async fn in_turn(rate: Option<SharedRate>, request: AcceptedRequest) -> AcceptedRequest {
    if let Some(rate) = rate {
        rate.request(1).await;
    }
    request
}

/// The requests that these deliveries are of.
fn by_request(deliveries: Vec<Unconfirmed>) -> Vec<AcceptedRequest> {
    let mut requests: Vec<AcceptedRequest> = Vec::new();
    for delivery in deliveries {
        let DeliveryState::Confirming { request_id: id, accepted_at, tries, .. } =
            delivery.delivery.state.clone()
        else {
            continue;
        };
        match requests.iter_mut().find(|request| request.id == id && request.tries == tries) {
            Some(request) => request.deliveries.push(delivery),
            None => requests.push(AcceptedRequest { id, accepted_at, tries, deliveries: vec![delivery] }),
        }
    }
    requests
}
