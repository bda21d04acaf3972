//! What is due goes out: claim, render, limit, send, judge, record. One lane a destination.

mod attempt;
pub mod breaker;
pub mod decide;
pub mod fault;
pub mod health;
mod lane;
mod limiter;
mod meters;
pub mod prepare;
pub mod schedule;
pub mod shares;
mod sweep;
pub mod ward;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dispatch::attempt::{Setup, Shared};
use crate::dispatch::breaker::BreakerRule;
use crate::dispatch::fault::{Fault, Faults};
use crate::dispatch::health::{Health, HealthRule};
use crate::dispatch::lane::{LaneTask, Order};
use crate::dispatch::meters::Meters;
use crate::dispatch::schedule::Schedule;
use crate::dispatch::ward::Ward;
use crate::domain::delivery::LaneState;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::routing::SourcePolicy;
use crate::domain::status::Status;
use crate::send::client::{Client, ClientError, SendPolicy};
use crate::store::Store;
use crate::template::destination::account::Account;

/// How one destination is sent to.
#[derive(Clone)]
pub struct Lane {
    pub account: Arc<Account>,
    pub max_per_second: Option<NonZeroU32>,
    /// Attempts under way at once; at least 1.
    pub max_in_flight: usize,
    pub allow_private_network: bool,
    /// The whole of one attempt.
    pub timeout_ms: u64,
    /// Of an outgoing postback, what else holds for it.
    pub outgoing: Option<OutgoingLane>,
}

/// What holds for an outgoing postback beside.
#[derive(Debug, Clone)]
pub struct OutgoingLane {
    /// The statuses it tells; `None`: those that the source forwards.
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
    pub lanes: Vec<Lane>,
    pub policies: HashMap<SourceId, Arc<SourcePolicy>>,
}

/// The waits of dispatch. The default is what is promised; tests make them short.
#[derive(Debug, Clone)]
pub struct Pace {
    pub schedule: Schedule,
    pub breaker: BreakerRule,
    /// How often a parked destination is probed, in milliseconds.
    pub probe_every_ms: i64,
    /// The longest that a destination is held at a time because it asked for a wait, in milliseconds.
    pub longest_hold_ms: i64,
    /// The same of a host of outgoing postbacks: a stranger's server decides there.
    pub longest_host_hold_ms: i64,
}

impl Default for Pace {
    /// A parked destination is probed every 15 minutes, and one that asked for a wait at the latest then;
    /// a host of outgoing postbacks after a minute.
    fn default() -> Pace {
        Pace {
            schedule: Schedule::default(),
            breaker: BreakerRule::default(),
            probe_every_ms: 15 * 60_000,
            longest_hold_ms: 15 * 60_000,
            longest_host_hold_ms: 60_000,
        }
    }
}

impl Pace {
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

/// The running dispatch. Dropping it cuts every lane off; [`Dispatch::stop`] ends it in order.
pub struct Dispatch {
    store: Arc<dyn Store>,
    clock: Clock,
    pace: Pace,
    schedule: Arc<Schedule>,
    faults: Faults,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    clients: HashMap<SendPolicy, Client>,
    lanes: HashMap<DestinationId, Running>,
    /// The hosts that outgoing postbacks are sent to.
    hosts: HashMap<String, Arc<Ward>>,
    outgoing_meters: Option<Arc<Meters>>,
    /// Lanes of destinations that are no longer configured, until their attempts have ended.
    leaving: Vec<Running>,
    generation: u64,
}

struct Running {
    shared: Arc<Shared>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Dispatch {
    /// Starts a lane for every destination of the plan. Within a tokio runtime, and after the
    /// metrics recorder is installed.
    pub fn start(store: Arc<dyn Store>, plan: DispatchPlan, clock: Clock) -> Dispatch {
        Dispatch::start_at_pace(store, plan, clock, Pace::default())
    }

    /// The same with other waits.
    pub fn start_at_pace(store: Arc<dyn Store>, plan: DispatchPlan, clock: Clock, pace: Pace) -> Dispatch {
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

    /// Turns to a new plan: lanes are added, changed and ended; what is in flight ends as it began.
    /// A destination that is gone claims no more when this returns but for one claim that may be
    /// under way, which is given back.
    pub fn reload(&self, plan: DispatchPlan) {
        let mut inside = self.inside.lock();
        inside.generation += 1;
        inside.leaving.retain(|running| !running.task.is_finished());
        let policies = Arc::new(plan.policies);
        self.hosts(&mut inside, &plan.lanes);
        let mut before = std::mem::take(&mut inside.lanes);
        for lane in plan.lanes {
            let setup = match self.setup(&mut inside, &lane, &policies) {
                Ok(setup) => Arc::new(setup),
                Err(cause) => {
                    self.faults.raise(Fault::Client(cause));
                    continue;
                }
            };
            let id = lane.account.id().clone();
            let host = lane.outgoing.as_ref().and_then(|outgoing| inside.hosts.get(&outgoing.host)).cloned();
            let running = match before.remove(&id) {
                Some(running) => running.turn_to(setup, host, &self.clock),
                None => self.spawn(&id, setup, host),
            };
            inside.lanes.insert(id, running);
        }
        for (_, running) in before {
            running.orders.send_replace(Order::Finish);
            inside.leaving.push(running);
        }
    }

    /// Turns to the hosts of a plan: one that stays keeps what it knows.
    fn hosts(&self, inside: &mut Inside, lanes: &[Lane]) {
        let mut before = std::mem::take(&mut inside.hosts);
        let mut limits: HashMap<&str, Option<NonZeroU32>> = HashMap::new();
        for (lane, outgoing) in lanes.iter().filter_map(|lane| Some((lane, lane.outgoing.as_ref()?))) {
            let limit = limits.entry(&outgoing.host).or_default();
            // One that sends nothing slows nobody.
            let own = lane.max_per_second.filter(|_| lane.account.mode().sends());
            *limit = [*limit, own].into_iter().flatten().min();
        }
        for (host, limit) in limits {
            let meters = inside.outgoing_meters.get_or_insert_with(|| Arc::new(Meters::new(OUTGOING)));
            let ward = before.remove(host).unwrap_or_else(|| {
                let health = Health::new(self.pace.of_host(), false);
                Arc::new(Ward::of_host(host.to_owned(), health, Arc::clone(meters)))
            });
            ward.limit(limit);
            inside.hosts.insert(host.to_owned(), ward);
        }
    }

    fn setup(
        &self,
        inside: &mut Inside,
        lane: &Lane,
        policies: &Arc<HashMap<SourceId, Arc<SourcePolicy>>>,
    ) -> Result<Setup, ClientError> {
        let policy = SendPolicy {
            allow_private_network: lane.allow_private_network,
            timeout_ms: lane.timeout_ms,
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
        Ok(Setup {
            account: Arc::clone(&lane.account),
            client,
            policies: Arc::clone(policies),
            schedule: Arc::clone(&self.schedule),
            clock: self.clock.clone(),
            max_in_flight: lane.max_in_flight.max(1),
            // The host counts for all its lanes.
            max_per_second: lane.max_per_second.filter(|_| lane.outgoing.is_none()),
            on: lane.outgoing.as_ref().and_then(|outgoing| outgoing.on.clone()),
            generation: inside.generation,
        })
    }

    fn spawn(&self, id: &DestinationId, setup: Arc<Setup>, host: Option<Arc<Ward>>) -> Running {
        let ward = host.unwrap_or_else(|| {
            let health = Health::new(self.pace.of_account(), !setup.sends());
            Arc::new(Ward::of_account(id.to_string(), health, Arc::new(Meters::new(id.as_str()))))
        });
        let shared = Arc::new(Shared {
            destination: id.clone(),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            faults: self.faults.clone(),
            meters: ward.meters(),
            ward: Mutex::new(Arc::clone(&ward)),
            notes: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            retrying: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            generation: AtomicU64::new(setup.generation),
            poke: Arc::new(Notify::new()),
            recording: Semaphore::new(8 * setup.max_in_flight),
        });
        ward.join(&shared.poke, shared.clock.now());
        let (orders, receiver) = watch::channel(Order::Run(Arc::clone(&setup)));
        let lane = tokio::spawn(LaneTask::new(Arc::clone(&shared), setup, receiver).run());
        let (faults, id) = (self.faults.clone(), id.clone());
        let ended = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            if lane.await.is_err() {
                faults.raise(Fault::Lane(id));
            }
            ended.ward().leave(&ended.poke, ended.clock.now());
        });
        Running { shared, orders, task }
    }

    /// Tells of the first fault. The process must end when one is there.
    pub fn faults(&self) -> watch::Receiver<Option<Fault>> {
        self.faults.subscribe()
    }

    /// How every configured destination is doing, by id.
    pub fn states(&self) -> Vec<LaneState> {
        let inside = self.inside.lock();
        let mut states: Vec<LaneState> = inside.lanes.values().map(|running| running.state()).collect();
        states.sort_by(|one, other| one.destination.cmp(&other.destination));
        states
    }

    /// Claims no more, waits at most `grace` for what is in flight, then gives the rest back.
    pub async fn stop(self, grace: Duration) {
        let inside = self.inside.into_inner();
        let mut all: Vec<Running> = inside.lanes.into_values().chain(inside.leaving).collect();
        for running in &all {
            running.orders.send_replace(Order::Finish);
        }
        let ended = futures_util::future::join_all(all.iter_mut().map(|running| &mut running.task));
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return;
        }
        for running in &all {
            running.orders.send_replace(Order::Cut);
        }
        // Those that had ended in time were awaited already, which may be done once only.
        for running in all.into_iter().filter(|running| !running.task.is_finished()) {
            // A lane that failed inside has raised its fault by now.
            let _ = running.task.await;
        }
    }
}

impl Running {
    fn turn_to(self, setup: Arc<Setup>, host: Option<Arc<Ward>>, clock: &Clock) -> Running {
        self.shared.generation.store(setup.generation, Ordering::Release);
        match host {
            Some(host) => {
                let before = std::mem::replace(&mut *self.shared.ward.lock(), Arc::clone(&host));
                if !Arc::ptr_eq(&before, &host) {
                    before.leave(&self.shared.poke, clock.now());
                    host.join(&self.shared.poke, clock.now());
                }
            }
            None => self.shared.ward().renewed(!setup.sends(), clock.now()),
        }
        self.orders.send_replace(Order::Run(setup));
        self
    }

    fn state(&self) -> LaneState {
        let shared = &self.shared;
        let ward = shared.ward();
        LaneState {
            destination: shared.destination.clone(),
            parked: ward.parked(),
            open_until: ward.open_until(),
            hold: ward.hold(shared.clock.now()),
            in_flight: shared.in_flight.load(Ordering::Relaxed) as u64,
            delivered: shared.delivered.load(Ordering::Relaxed),
            last_error: shared.notes.lock().last_error.clone(),
        }
    }
}
