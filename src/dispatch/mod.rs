//! What is due goes out: claim, render, limit, send, classify, record. One worker a destination.
//!
//! Nothing here knows of HTTP requests to us or of pages; what a platform's answer means is the template's.

mod attempt;
pub mod breaker;
pub mod decide;
pub(crate) mod error;
pub mod health;
mod meters;
pub mod prepare;
pub mod schedule;
pub mod shares;
pub mod target_health;
mod worker;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dispatch::attempt::{AttemptContext, SendSetup};
use crate::dispatch::breaker::BreakerRule;
use crate::dispatch::error::{DispatchError, Faults};
use crate::dispatch::health::{HealthRule, HealthTracker};
use crate::dispatch::meters::Meters;
use crate::dispatch::schedule::Schedule;
use crate::dispatch::target_health::TargetHealth;
use crate::dispatch::worker::{Worker, WorkerCommand};
use crate::domain::delivery::DestinationState;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::routing::SourcePolicy;
use crate::domain::status::Status;
use crate::send::client::{Client, ClientError, SendPolicy};
use crate::store::contract::Store;
use crate::template::destination::ready::ReadyDestination;

/// How one destination is sent to.
#[derive(Clone)]
pub struct WorkerPlan {
    /// What is sent, and how its answers are read.
    pub destination: Arc<ReadyDestination>,
    /// The most attempts that begin in a second; `None`: only the receiver limits.
    pub max_per_second: Option<NonZeroU32>,
    /// Attempts under way at once; at least 1.
    pub max_in_flight: usize,
    /// Whether private and loopback addresses may be reached.
    pub allow_private_network: bool,
    /// The whole of one attempt.
    pub timeout_ms: u64,
    /// Of an outgoing postback, what else holds for it.
    pub outgoing: Option<OutgoingPlan>,
}

/// What holds for an outgoing postback in addition.
#[derive(Debug, Clone)]
pub struct OutgoingPlan {
    /// The statuses it reports; `None`: those that the source forwards.
    pub on: Option<Vec<Status>>,
    /// The host that it sends to, with the port where one is named. All postbacks to one host share
    /// its places, its breaker and its rate: the lowest `max_per_second` that any of them that sends names.
    pub host: String,
}

/// What all outgoing postbacks are counted as: there may be thousands. No destination has such an id.
pub const OUTGOING: &str = "outgoing:*";

/// Every destination, and what the sources forward.
#[derive(Clone, Default)]
pub struct DispatchPlan {
    /// One for each destination and outgoing postback.
    pub workers: Vec<WorkerPlan>,
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
    fn of_account(&self) -> HealthRule {
        HealthRule {
            breaker: self.breaker,
            probe_every_ms: self.probe_every_ms,
            longest_hold_ms: self.longest_hold_ms,
        }
    }

    fn of_host(&self) -> HealthRule {
        HealthRule { longest_hold_ms: self.longest_host_hold_ms, ..self.of_account() }
    }
}

/// The running dispatch. Dropping it cuts every worker off; [`Dispatch::stop`] ends it in order.
pub struct Dispatch {
    store: Arc<dyn Store>,
    clock: Clock,
    pace: DispatchWaits,
    schedule: Arc<Schedule>,
    faults: Faults,
    inside: Mutex<DispatchState>,
}

#[derive(Default)]
struct DispatchState {
    clients: HashMap<SendPolicy, Client>,
    workers: HashMap<DestinationId, Running>,
    /// The hosts that outgoing postbacks are sent to.
    hosts: HashMap<String, Arc<TargetHealth>>,
    outgoing_meters: Option<Arc<Meters>>,
    /// Workers of destinations that are no longer configured, until their attempts have ended.
    leaving: Vec<Running>,
    generation: u64,
}

struct Running {
    shared: Arc<AttemptContext>,
    orders: watch::Sender<WorkerCommand>,
    task: JoinHandle<()>,
}

impl Dispatch {
    /// Starts a worker for every destination of the plan. Within a tokio runtime, and after the
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
            inside: Mutex::default(),
        };
        dispatch.reload(plan);
        dispatch
    }

    /// Turns to a new plan: workers are added, changed and ended; what is in flight ends as it began.
    /// A destination that is gone claims no more when this returns but for one claim that may be
    /// under way, which is given back.
    pub fn reload(&self, plan: DispatchPlan) {
        let mut inside = self.inside.lock();
        inside.generation += 1;
        inside.leaving.retain(|running| !running.task.is_finished());
        let policies = Arc::new(plan.policies);
        self.hosts(&mut inside, &plan.workers);
        let mut before = std::mem::take(&mut inside.workers);
        for worker in plan.workers {
            let setup = match self.setup(&mut inside, &worker, &policies) {
                Ok(setup) => Arc::new(setup),
                Err(cause) => {
                    self.faults.raise(DispatchError::Client(cause));
                    continue;
                }
            };
            let id = worker.destination.id().clone();
            let host =
                worker.outgoing.as_ref().and_then(|outgoing| inside.hosts.get(&outgoing.host)).cloned();
            let running = match before.remove(&id) {
                Some(running) => running.turn_to(setup, host, &self.clock),
                None => self.spawn(&id, setup, host),
            };
            inside.workers.insert(id, running);
        }
        for (_, running) in before {
            running.orders.send_replace(WorkerCommand::Finish);
            inside.leaving.push(running);
        }
    }

    /// Turns to the hosts of a plan: one that stays keeps what it knows.
    fn hosts(&self, inside: &mut DispatchState, workers: &[WorkerPlan]) {
        let mut before = std::mem::take(&mut inside.hosts);
        let mut limits: HashMap<&str, Option<NonZeroU32>> = HashMap::new();
        for (worker, outgoing) in
            workers.iter().filter_map(|worker| Some((worker, worker.outgoing.as_ref()?)))
        {
            let limit = limits.entry(&outgoing.host).or_default();
            // One that sends nothing slows no one.
            let own = worker.max_per_second.filter(|_| worker.destination.mode().sends());
            *limit = [*limit, own].into_iter().flatten().min();
        }
        for (host, limit) in limits {
            let meters = inside.outgoing_meters.get_or_insert_with(|| Arc::new(Meters::new(OUTGOING)));
            let target_health = before.remove(host).unwrap_or_else(|| {
                let health = HealthTracker::new(self.pace.of_host(), false);
                Arc::new(TargetHealth::of_host(host.to_owned(), health, Arc::clone(meters)))
            });
            target_health.limit(limit);
            inside.hosts.insert(host.to_owned(), target_health);
        }
    }

    fn setup(
        &self,
        inside: &mut DispatchState,
        worker: &WorkerPlan,
        policies: &Arc<HashMap<SourceId, Arc<SourcePolicy>>>,
    ) -> Result<SendSetup, ClientError> {
        let policy = SendPolicy {
            allow_private_network: worker.allow_private_network,
            timeout_ms: worker.timeout_ms,
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
        Ok(SendSetup {
            destination: Arc::clone(&worker.destination),
            client,
            policies: Arc::clone(policies),
            schedule: Arc::clone(&self.schedule),
            clock: self.clock.clone(),
            max_in_flight: worker.max_in_flight.max(1),
            // The host counts for all its workers.
            max_per_second: worker.max_per_second.filter(|_| worker.outgoing.is_none()),
            on: worker.outgoing.as_ref().and_then(|outgoing| outgoing.on.clone()),
            generation: inside.generation,
        })
    }

    fn spawn(&self, id: &DestinationId, setup: Arc<SendSetup>, host: Option<Arc<TargetHealth>>) -> Running {
        let target_health = host.unwrap_or_else(|| {
            let health = HealthTracker::new(self.pace.of_account(), !setup.sends());
            Arc::new(TargetHealth::of_account(id.to_string(), health, Arc::new(Meters::new(id.as_str()))))
        });
        let shared = Arc::new(AttemptContext {
            destination: id.clone(),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            faults: self.faults.clone(),
            meters: target_health.meters(),
            target_health: Mutex::new(Arc::clone(&target_health)),
            notes: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            retrying: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            generation: AtomicU64::new(setup.generation),
            poke: Arc::new(Notify::new()),
            recording: Semaphore::new(8 * setup.max_in_flight),
        });
        target_health.join(&shared.poke, shared.clock.now());
        let (orders, receiver) = watch::channel(WorkerCommand::Run(Arc::clone(&setup)));
        let worker = tokio::spawn(Worker::new(Arc::clone(&shared), setup, receiver).run());
        let (faults, id) = (self.faults.clone(), id.clone());
        let ended = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            if worker.await.is_err() {
                faults.raise(DispatchError::WorkerEnded(id));
            }
            ended.target_health().leave(&ended.poke, ended.clock.now());
        });
        Running { shared, orders, task }
    }

    /// Reports the first fault. The process must end when one is there.
    pub fn faults(&self) -> watch::Receiver<Option<DispatchError>> {
        self.faults.subscribe()
    }

    /// How every configured destination is doing, by id.
    pub fn states(&self) -> Vec<DestinationState> {
        let inside = self.inside.lock();
        let mut states: Vec<DestinationState> =
            inside.workers.values().map(|running| running.state()).collect();
        states.sort_by(|one, other| one.destination.cmp(&other.destination));
        states
    }

    /// Claims no more, waits at most `grace` for what is in flight, then gives the rest back.
    pub async fn stop(self, grace: Duration) {
        let inside = self.inside.into_inner();
        let mut all: Vec<Running> = inside.workers.into_values().chain(inside.leaving).collect();
        for running in &all {
            running.orders.send_replace(WorkerCommand::Finish);
        }
        let ended = futures_util::future::join_all(all.iter_mut().map(|running| &mut running.task));
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return;
        }
        for running in &all {
            running.orders.send_replace(WorkerCommand::Cut);
        }
        // Those that had ended in time were awaited already, which may be done once only.
        for running in all.into_iter().filter(|running| !running.task.is_finished()) {
            // A worker that failed inside has raised its fault by now.
            let _ = running.task.await;
        }
    }
}

impl Running {
    fn turn_to(self, setup: Arc<SendSetup>, host: Option<Arc<TargetHealth>>, clock: &Clock) -> Running {
        self.shared.generation.store(setup.generation, Ordering::Release);
        match host {
            Some(host) => {
                let before = std::mem::replace(&mut *self.shared.target_health.lock(), Arc::clone(&host));
                if !Arc::ptr_eq(&before, &host) {
                    before.leave(&self.shared.poke, clock.now());
                    host.join(&self.shared.poke, clock.now());
                }
            }
            None => self.shared.target_health().renewed(!setup.sends(), clock.now()),
        }
        self.orders.send_replace(WorkerCommand::Run(setup));
        self
    }

    fn state(&self) -> DestinationState {
        let shared = &self.shared;
        let target_health = shared.target_health();
        DestinationState {
            destination: shared.destination.clone(),
            parked: target_health.parked(),
            open_until: target_health.open_until(),
            hold: target_health.hold(shared.clock.now()),
            in_flight: shared.in_flight.load(Ordering::Relaxed) as u64,
            delivered: shared.delivered.load(Ordering::Relaxed),
            last_error: shared.notes.lock().last_error.clone(),
        }
    }
}
