//! What is due goes out: claim, render, limit, send, classify, record. One worker a target: an ad account, or a host of
//! outgoing postbacks, however many send to it.
//!
//! Nothing here knows of HTTP requests to us or of pages; what a platform's answer means is the template's.

mod answer;
mod attempt;
pub mod breaker;
mod confirm;
mod context;
mod credentials;
pub mod decide;
pub(crate) mod error;
pub mod health;
mod kept_token;
mod meters;
mod open_leases;
pub mod prepare;
pub mod rate;
mod requests;
mod running;
pub mod schedule;
mod settle;
pub mod shares;
mod signed;
mod tallies;
pub mod target_health;
pub mod test_event;
mod token_chain;
pub mod tried;
mod worker;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::Clock;
use crate::dispatch::breaker::BreakerRule;
use crate::dispatch::confirm::Confirmer;
use crate::dispatch::context::{AttemptContext, SendSetup, TargetSetup};
use crate::dispatch::credentials::SignedInAccounts;
use crate::dispatch::error::{DispatchError, Faults};
use crate::dispatch::health::{HealthRule, HealthTracker};
use crate::dispatch::meters::Meters;
use crate::dispatch::rate::{SendRate, TargetRate};
use crate::dispatch::running::Running;
use crate::dispatch::schedule::Schedule;
use crate::dispatch::tallies::Tallies;
use crate::dispatch::target_health::{HOST_PLACES, TargetHealth};
use crate::dispatch::test_event::TestSender;
use crate::dispatch::tried::TriedDestinations;
use crate::dispatch::worker::{Worker, WorkerCommand};
use crate::domain::destination_state::DestinationState;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::routing::SourcePolicy;
use crate::domain::secret_store::SecretStore;
use crate::domain::status::Status;
use crate::domain::target::TargetId;
use crate::send::client::{Client, ClientError, SendPolicy};
use crate::store::contract::Store;
use crate::template::destination::batch::BatchSize;
use crate::template::destination::ready::ReadyDestination;

/// How one destination is sent to.
#[derive(Clone)]
pub struct DestinationPlan {
    /// What is sent, and how its answers are read.
    pub destination: Arc<ReadyDestination>,
    /// The most that leaves in a second, in requests or in events as the template counts them; `None`: only the
    /// receiver limits.
    pub max_per_second: Option<NonZeroU32>,
    /// How many events a request carries, and how long one waits for others.
    pub batch: BatchSize,
    /// Of an ad account, attempts under way at once; at least 1. A host of outgoing postbacks has [`HOST_PLACES`].
    pub max_in_flight: usize,
    /// Whether private and loopback addresses may be reached.
    pub allow_private_network: bool,
    /// The whole of one attempt.
    pub timeout_ms: u64,
    /// Where its secrets are kept.
    pub secrets: Arc<dyn SecretStore>,
    /// Of an outgoing postback, what else holds for it.
    pub outgoing: Option<OutgoingPlan>,
}

/// What holds for an outgoing postback in addition.
#[derive(Debug, Clone)]
pub struct OutgoingPlan {
    /// The statuses it reports; `None`: those that the source forwards.
    pub on: Option<Vec<Status>>,
    /// The host that it sends to, as the ruleset names it. All postbacks to one host share its places, its breaker
    /// and its rate: the lowest `max_per_second` that any of them names.
    pub target: TargetId,
}

impl DestinationPlan {
    /// One attempt: where the account signs in, a token may be asked for, refused, and asked for again.
    fn longest_ms(&self) -> u64 {
        let requests = if self.destination.sign_in().is_some() { 4 } else { 1 };
        self.timeout_ms.saturating_mul(requests)
    }

    fn target(&self) -> TargetId {
        match &self.outgoing {
            Some(outgoing) => outgoing.target.clone(),
            None => TargetId::Account(self.destination.id().clone()),
        }
    }
}

/// What an attempt may take in addition to the time that its request has: rendering, a machine that is busy.
const BEYOND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a stop waits for a request for a token that is under way.
const LAST_SIGN_IN: Duration = Duration::from_secs(5);

/// What all outgoing postbacks are counted as: there may be thousands. No destination has such an id.
pub const OUTGOING: &str = "outgoing:*";

/// Every destination, and what the sources forward.
#[derive(Clone, Default)]
pub struct DispatchPlan {
    /// Every destination and outgoing postback.
    pub destinations: Vec<DestinationPlan>,
    /// What each source wants done with its conversions.
    pub policies: HashMap<SourceId, Arc<SourcePolicy>>,
}

/// The waits of dispatch. The default is what is promised; tests make them short.
#[derive(Debug, Clone)]
pub struct DispatchWaits {
    /// When what failed is tried again.
    pub schedule: Schedule,
    /// When sending pauses because most attempts fail.
    pub breaker: BreakerRule,
    /// How often a parked destination is probed, in milliseconds.
    pub probe_every_ms: i64,
    /// The longest that a destination is held at a time because it asked for a wait, in milliseconds.
    pub longest_hold_ms: i64,
    /// The same of a host of outgoing postbacks: a stranger's server decides there.
    pub longest_host_hold_ms: i64,
}

impl Default for DispatchWaits {
    /// A parked destination is probed every 15 minutes, and one that asked for a wait at the latest then;
    /// a host of outgoing postbacks after a minute.
    fn default() -> DispatchWaits {
        DispatchWaits {
            schedule: Schedule::default(),
            breaker: BreakerRule::default(),
            probe_every_ms: 15 * 60_000,
            longest_hold_ms: 15 * 60_000,
            longest_host_hold_ms: 60_000,
        }
    }
}

impl DispatchWaits {
    fn of(&self, target: &TargetId) -> HealthRule {
        HealthRule {
            breaker: self.breaker,
            probe_every_ms: self.probe_every_ms,
            longest_hold_ms: match target {
                TargetId::Account(_) => self.longest_hold_ms,
                TargetId::Host(_) | TargetId::NoHost => self.longest_host_hold_ms,
            },
        }
    }
}

/// The running dispatch. Dropping it cuts every worker off; [`Dispatch::stop`] ends it in order.
pub struct Dispatch {
    store: Arc<dyn Store>,
    clock: Clock,
    pace: DispatchWaits,
    schedule: Arc<Schedule>,
    faults: Faults,
    tallies: Tallies,
    credentials: SignedInAccounts,
    inside: Mutex<DispatchState>,
}

#[derive(Default)]
struct DispatchState {
    clients: HashMap<SendPolicy, Client>,
    workers: HashMap<TargetId, Running>,
    outgoing_meters: Option<Arc<Meters>>,
    /// Workers of targets that are no longer configured, until their attempts have ended.
    leaving: Vec<Running>,
    generation: u64,
}

impl Dispatch {
    /// Starts a worker for every target of the plan. Within a tokio runtime, and after the
    /// metrics recorder is installed.
    pub fn start(store: Arc<dyn Store>, plan: DispatchPlan, clock: Clock) -> Dispatch {
        Dispatch::start_at_pace(store, plan, clock, DispatchWaits::default())
    }

    /// The same with other waits.
    pub fn start_at_pace(
        store: Arc<dyn Store>,
        plan: DispatchPlan,
        clock: Clock,
        pace: DispatchWaits,
    ) -> Dispatch {
        let dispatch = Dispatch {
            store,
            clock,
            schedule: Arc::new(pace.schedule.clone()),
            pace,
            faults: Faults::default(),
            tallies: Tallies::default(),
            credentials: SignedInAccounts::default(),
            inside: Mutex::default(),
        };
        dispatch.reload(plan);
        dispatch
    }

    /// Turns to a new plan: workers are added, changed and ended; what is in flight ends as it began.
    /// The store's rules have to be set first: they say which target's worker is handed a destination's deliveries.
    /// What is gone claims no more when this returns but for one claim that may be under way, which is given back.
    pub fn reload(&self, plan: DispatchPlan) {
        let mut inside = self.inside.lock();
        inside.generation += 1;
        inside.leaving.retain(|running| !running.task.is_finished());
        let policies = Arc::new(plan.policies);
        let mut targets: HashMap<TargetId, Vec<DestinationPlan>> = HashMap::new();
        for destination in plan.destinations {
            targets.entry(destination.target()).or_default().push(destination);
        }
        let mut before = std::mem::take(&mut inside.workers);
        for (target, destinations) in targets {
            let setup = Arc::new(self.setup(&mut inside, &target, destinations, &policies));
            let running = match before.remove(&target) {
                Some(running) => running.turn_to(setup, &self.clock),
                None => self.spawn(&mut inside, &target, setup),
            };
            inside.workers.insert(target, running);
        }
        let configured = inside.workers.values().flat_map(|running| running.setup.destinations.keys());
        let configured: HashSet<&DestinationId> = configured.collect();
        self.tallies.keep(|destination| configured.contains(destination));
        drop(configured);
        for (_, running) in before {
            running.orders.send_replace(WorkerCommand::Finish);
            inside.leaving.push(running);
        }
    }

    fn setup(
        &self,
        inside: &mut DispatchState,
        target: &TargetId,
        plans: Vec<DestinationPlan>,
        policies: &Arc<HashMap<SourceId, Arc<SourcePolicy>>>,
    ) -> TargetSetup {
        let rate = plans.iter().filter_map(|plan| plan.max_per_second).min();
        let sends = plans.iter().any(|plan| plan.destination.mode().sends());
        let max_in_flight = plans.iter().map(|plan| plan.max_in_flight).max().unwrap_or_default();
        let longest_ms = plans.iter().map(DestinationPlan::longest_ms).max().unwrap_or_default();
        let longest_attempt = Duration::from_millis(longest_ms).saturating_add(BEYOND_TIMEOUT);
        let unit = plans.first().map(|plan| plan.destination.rate_unit()).unwrap_or_default();
        let (max_in_flight, rate) = match target {
            TargetId::Account(_) => (max_in_flight.max(1), rate),
            TargetId::Host(_) => (host_places(rate), rate),
            TargetId::NoHost => (HOST_PLACES, None),
        };
        let rate = rate.map(|per_second| SendRate { per_second, unit });
        let destinations = plans.into_iter().filter_map(|plan| {
            let id = plan.destination.id().clone();
            match self.send_setup(inside, plan) {
                Ok(setup) => Some((id, Arc::new(setup))),
                Err(cause) => {
                    self.faults.raise(DispatchError::Client(cause));
                    None
                }
            }
        });
        TargetSetup {
            destinations: destinations.collect(),
            policies: Arc::clone(policies),
            schedule: Arc::clone(&self.schedule),
            clock: self.clock.clone(),
            max_in_flight,
            rate,
            longest_attempt,
            sends,
            generation: inside.generation,
        }
    }

    fn send_setup(
        &self,
        inside: &mut DispatchState,
        plan: DestinationPlan,
    ) -> Result<SendSetup, ClientError> {
        let policy = SendPolicy {
            allow_private_network: plan.allow_private_network,
            timeout_ms: plan.timeout_ms,
            ..SendPolicy::default()
        };
        let client = match inside.clients.get(&policy) {
            Some(client) => client.clone(),
            None => {
                let client = Client::new(policy)?;
                inside.clients.insert(policy, client.clone());
                client
            }
        };
        let on = plan.outgoing.and_then(|outgoing| outgoing.on);
        let account = plan.destination.sign_in();
        let account =
            account.map(|sign_in| self.credentials.account(sign_in, (&plan.secrets, inside.generation)));
        Ok(SendSetup::new((plan.destination, account), client, on, plan.batch))
    }

    fn spawn(&self, inside: &mut DispatchState, target: &TargetId, setup: Arc<TargetSetup>) -> Running {
        let meters = match target {
            TargetId::Account(id) => Arc::new(Meters::new(id.as_str())),
            TargetId::Host(_) | TargetId::NoHost => {
                Arc::clone(inside.outgoing_meters.get_or_insert_with(|| Arc::new(Meters::new(OUTGOING))))
            }
        };
        let health = HealthTracker::new(self.pace.of(target), !setup.sends);
        let poke = Arc::new(Notify::new());
        let (name, worker) = (target.to_string(), Arc::clone(&poke));
        let shared = Arc::new(AttemptContext {
            target: target.clone(),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            faults: self.faults.clone(),
            meters: Arc::clone(&meters),
            target_health: Arc::new(TargetHealth::new(name, health, meters, worker)),
            tallies: self.tallies.clone(),
            rate: TargetRate::default(),
            tried: TriedDestinations::new(&self.store, &self.tallies),
            next_retry: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            retrying: AtomicUsize::new(0),
            generation: AtomicU64::new(setup.generation),
            poke,
            accepted: Notify::new(),
            recording: Semaphore::new(8 * setup.max_in_flight),
        });
        let (orders, receiver) = watch::channel(WorkerCommand::Run(Arc::clone(&setup)));
        let worker = Worker::new(Arc::clone(&shared), Arc::clone(&setup), receiver);
        let worker = tokio::spawn(worker.run());
        let confirmer = Confirmer::new(&shared, orders.subscribe()).map(|one| {
            let (faults, target) = (self.faults.clone(), target.clone());
            tokio::spawn(async move {
                if tokio::spawn(one.run()).await.is_err() {
                    faults.raise(DispatchError::WorkerEnded(target));
                }
            })
        });
        let (faults, target) = (self.faults.clone(), target.clone());
        let ended = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            if worker.await.is_err() {
                faults.raise(DispatchError::WorkerEnded(target));
            }
            if let Some(confirmer) = confirmer {
                // It raises its own fault.
                drop(confirmer.await);
            }
            ended.target_health.leave(ended.clock.now());
        });
        Running { shared, setup, orders, task }
    }

    /// Reports the first fault. The process must end when one is there.
    pub fn faults(&self) -> watch::Receiver<Option<DispatchError>> {
        self.faults.subscribe()
    }

    /// How every configured destination is doing, by id.
    pub fn states(&self) -> Vec<DestinationState> {
        let inside = self.inside.lock();
        let mut states: Vec<DestinationState> =
            inside.workers.values().flat_map(|running| running.states(&self.tallies)).collect();
        states.sort_by(|one, other| one.destination.cmp(&other.destination));
        states
    }

    /// By what one test event is sent to a destination, whatever its mode; `None` where it is not configured.
    pub fn test_sender(&self, destination: &DestinationId) -> Option<TestSender> {
        let inside = self.inside.lock();
        inside.workers.values().find_map(|running| running.test_sender(destination))
    }

    /// Claims no more, waits at most `grace` for what is in flight, then gives the rest back.
    pub async fn stop(self, grace: Duration) {
        let inside = self.inside.into_inner();
        let mut all: Vec<Running> = inside.workers.into_values().chain(inside.leaving).collect();
        for running in &all {
            running.orders.send_replace(WorkerCommand::Finish);
        }
        let ended = futures_util::future::join_all(all.iter_mut().map(|running| &mut running.task));
        if tokio::time::timeout(grace, ended).await.is_err() {
            for running in &all {
                running.orders.send_replace(WorkerCommand::Cut);
            }
            // Those that had ended in time were awaited already, which may be done once only.
            for running in all.into_iter().filter(|running| !running.task.is_finished()) {
                // A worker that failed inside has raised its fault by now.
                let _ = running.task.await;
            }
        }
        // What is given for a refresh token is kept, also where no one waits for it any more.
        if tokio::time::timeout(LAST_SIGN_IN, self.credentials.settled()).await.is_err() {
            tracing::warn!("a request for an access token did not end in time");
        }
    }
}

/// The places of a host: what has one waits for its turn while its conversion may change, so there are no more than
/// leave within two seconds.
fn host_places(per_second: Option<NonZeroU32>) -> usize {
    let most = per_second.map(|rate| (rate.get() as usize).saturating_mul(2));
    most.map_or(HOST_PLACES, |most| most.min(HOST_PLACES))
}
