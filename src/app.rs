//! Wiring: builds the parts from a configuration, starts the loops, and stops them in order.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::app::disk::DiskWatch;
use crate::app::listeners::{BoundListeners, GRACE, Listeners};
use crate::app::measure::stored::LabelsSeen;
use crate::app::open::OpenStore;
use crate::app::starting::Starting;
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::config::secret_files::SecretFiles;
use crate::dispatch::target_health::HOST_PLACES;
use crate::dispatch::{DestinationPlan, Dispatch, DispatchPlan, OutgoingPlan};
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::ruleset::Ruleset;
use crate::domain::secret_store::FixedSecrets;
use crate::ingest::{reopen, reprocess};
use crate::maintenance::{self, Maintenance, MaintenanceSignals, RetentionDays};
use crate::ops::erasure_work::ErasureWork;
use crate::ops::numbers::StoreNumbers;
use crate::ops::store_work::StoreWork;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Backlog;
use crate::template::destination::batch::BatchSize;
use crate::template::diagnostic::Problem;
use crate::web::access::Access;
use crate::web::click_budget::ClickBudget;
use crate::web::collect::RefusalBudget;
use crate::web::health::ProcessHealth;
use crate::web::opening::Opening;
use crate::web::proxy::HidingProxies;
use crate::web::{ListenerSide, WebListener};

mod disk;
mod listeners;
pub(crate) mod measure;
pub(crate) mod open;
pub(crate) mod open_files;
pub mod process_memory;
mod router;
pub mod starting;
mod tag;

/// How long the answers 503 may take after the store failed, or could not be opened.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A relay that runs.
pub struct App {
    endpoints: Listeners,
    shared: AcrossReloads,
    web: WebListener,
    config: Arc<Mutex<Arc<Config>>>,
    /// Destinations that a reload configured, for maintenance to take note of.
    put_back: Arc<Mutex<HashSet<DestinationId>>>,
    dispatch: Arc<Dispatch>,
    stop_maintenance: watch::Sender<bool>,
    maintenance: JoinHandle<()>,
    reprocessing: JoinHandle<()>,
    drain: JoinHandle<()>,
    disk: JoinHandle<()>,
}

/// What outlives a reload.
#[derive(Clone)]
struct AcrossReloads {
    store: Arc<dyn Store>,
    clock: Clock,
    health: Arc<ProcessHealth>,
    /// The sessions of the pages among them.
    access: Arc<Access>,
    hiding_proxies: Arc<HidingProxies>,
    budget: Arc<RefusalBudget>,
    /// What strangers may have recorded as clicks.
    clicks: Arc<ClickBudget>,
    known: LabelsSeen,
    numbers: StoreNumbers,
    store_work: StoreWork,
    erasure_work: ErasureWork,
    /// Weak: the pages ask it how it does, and must not keep it from stopping.
    dispatch: Weak<Dispatch>,
}

impl App {
    /// Binds the listeners, opens the store and starts the loops.
    ///
    /// # Errors
    /// A problem with a place and a fix: the store is held by another process, an address is taken…
    pub async fn start(config: Config, clock: Clock) -> Result<App, Problem> {
        let open = open::by_clock(&clock);
        App::open(App::listen(config).await?, open, clock).await
    }

    /// Binds the listeners and serves them: until the store is open, `/livez` is answered 200 and everything
    /// else 503. The store is not touched.
    ///
    /// # Errors
    /// A problem with a place and a fix: an address is taken, a certificate or the country file cannot be read…
    pub async fn listen(mut config: Config) -> Result<Starting, Problem> {
        let metrics = measure::recorder()?;
        let enricher = router::enricher(&config)?;
        let rules = Arc::new(config.ruleset());
        let bound = BoundListeners::bind(&mut config).await?;
        let side =
            if config.server.admin_listen.is_some() { ListenerSide::Public } else { ListenerSide::Whole };
        let opening = Opening {
            trusted_proxies: config.server.trusted_proxies.clone(),
            is_tls: config.server.tls.is_some(),
        };
        let web = WebListener::new(opening, side);
        let endpoints = bound.open(&config, &web)?;
        info!(address = %endpoints.address, "it listens; the store is being opened");
        Ok(Starting { endpoints, web, config: Arc::new(config), rules, enricher, metrics })
    }

    /// Opens the store of a relay that listens, and goes on with its routes on the same connections. `open` is run
    /// where it may block. Safe to be left at any moment: what `open` has begun then ends with the process.
    ///
    /// # Errors
    /// The store is held by another process, cannot be read…
    pub async fn open(starting: Starting, open: OpenStore, clock: Clock) -> Result<App, Problem> {
        let Starting { endpoints, web, config, rules, enricher, metrics } = starting;
        let health = Arc::default();
        let store = match open_apart(open, (&config, &rules), (&health, &clock)).await {
            Ok(store) => store,
            Err(problem) => {
                // Those who are being answered have their 503, briefly: the start has failed either way.
                let _ = tokio::time::timeout(LAST_ANSWERS, endpoints.close()).await;
                return Err(problem);
            }
        };
        let dispatch = Arc::new(Dispatch::start(Arc::clone(&store), dispatch_plan(&config), clock.clone()));
        let numbers = StoreNumbers::of(Arc::clone(&store));
        let backup_dir = config.store.backup_dir.clone();
        let store_work = StoreWork::new(Arc::clone(&store), clock.clone(), backup_dir);
        let erasure_work = ErasureWork::new(Arc::clone(&store), clock.clone());
        let shared = AcrossReloads {
            store,
            clock,
            health,
            access: Arc::default(),
            hiding_proxies: Arc::default(),
            budget: Arc::default(),
            clicks: Arc::default(),
            known: Arc::default(),
            numbers,
            store_work,
            erasure_work,
            dispatch: Arc::downgrade(&dispatch),
        };
        let disk = DiskWatch::start(&config, &shared.health);
        web.swap(router::build(&shared, (&config, &rules), enricher, metrics.clone()));
        let (stop_maintenance, stop) = watch::channel(false);
        let keep = keep_of(&config);
        let config = Arc::new(Mutex::new(config));
        let put_back = Arc::default();
        let configured = Arc::clone(&config);
        let signals = MaintenanceSignals {
            keep,
            configured: Arc::new(move || configured.lock().destination_ids()),
            put_back: Arc::clone(&put_back),
            stop,
            space: disk.space(),
            heartbeat: Arc::clone(&shared.health.heartbeat),
        };
        let maintenance = tokio::spawn(run_maintenance(shared.clone(), signals));
        let (access, clicks) = (Arc::clone(&shared.access), Arc::clone(&shared.clicks));
        let clock = shared.clock.clone();
        let drain = tokio::spawn(measure::drain(metrics, move || {
            access.log.flush(clock.now());
            clicks.unrecorded.log(clock.now());
        }));
        let disk = tokio::spawn(disk.run());
        tokio::spawn(take_reopened(shared.clone(), Arc::clone(&config), &[Duration::ZERO]));
        let reprocessing =
            tokio::spawn(reprocess(shared.clone(), Arc::clone(&config), stop_maintenance.subscribe()));
        Ok(App {
            endpoints,
            shared,
            web,
            config,
            put_back,
            dispatch,
            stop_maintenance,
            maintenance,
            reprocessing,
            drain,
            disk,
        })
    }

    /// Where networks and visitors come in.
    pub fn address(&self) -> SocketAddr {
        self.endpoints.address
    }

    /// Where pages, API and metrics are, if they are elsewhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.endpoints.admin_address
    }

    /// What the URL of a page begins with.
    pub fn pages_url(&self) -> String {
        match self.endpoints.admin_address {
            Some(admin) if self.endpoints.tls.is_some() => format!("https://{admin}"),
            Some(admin) => format!("http://{admin}"),
            None => self.config().server.public_url.clone(),
        }
    }

    /// What every destination has before it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.shared.store.backlog(self.shared.clock.now()).await
    }

    /// A path that signs one person in, once, for the pages.
    pub fn sign_in_path(&self) -> String {
        self.shared.access.sessions.link(&self.shared.clock)
    }

    /// What is configured now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock())
    }

    /// Takes a new configuration whole, or refuses it and keeps the old one.
    ///
    /// # Errors
    /// What cannot change while it runs, or cannot be loaded.
    pub async fn reload(&self, new: Config) -> Result<(), Vec<Problem>> {
        let refusals = self.config().reload_refusals(&new);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let enricher = router::enricher(&new).map_err(|problem| vec![problem])?;
        let tls = listeners::tls(&new).map_err(|problem| vec![problem])?;
        let metrics = measure::recorder().map_err(|problem| vec![problem])?;
        let rules = Arc::new(new.ruleset());
        let opens = reopen::differ(&self.config().ruleset(), &rules);
        if let Err(error) = self.shared.store.change_rules(Arc::clone(&rules)).await {
            self.shared.health.store_failed(&error);
            return Err(vec![open::rules_refused(&error)]);
        }
        // From here on nothing is refused any more: what is new takes the old one's place.
        if let (Some(in_use), Some(tls)) = (&self.endpoints.tls, &tls) {
            in_use.replace_by(tls);
        }
        // First: maintenance skips nothing any more of what is put back.
        self.put_back.lock().extend(new.destination_ids());
        let new = Arc::new(new);
        *self.config.lock() = Arc::clone(&new);
        self.web.swap(router::build(&self.shared, (&new, &rules), enricher, metrics));
        self.dispatch.reload(dispatch_plan(&new));
        if opens {
            let pauses = &[Duration::ZERO, STRAGGLERS];
            tokio::spawn(take_reopened(self.shared.clone(), Arc::clone(&self.config), pauses));
        }
        info!("the configuration was reloaded");
        Ok(())
    }

    /// Resolves when the relay cannot go on, with the reason.
    pub async fn failed(&self) -> String {
        let mut faults = self.dispatch.faults();
        tokio::select! {
            reason = self.shared.health.failed() => reason,
            Ok(fault) = faults.wait_for(Option::is_some) => {
                fault.as_ref().map(ToString::to_string).unwrap_or_default()
            }
        }
    }

    /// Stops in order: unready, accept nothing, finish or release what is out, close the store.
    ///
    /// # Errors
    /// When the store failed meanwhile: what was acknowledged is durable, the rest was answered 503.
    pub async fn stop(self) -> Result<(), Problem> {
        self.shared.health.stopping();
        self.endpoints.close().await;
        match Arc::into_inner(self.dispatch) {
            Some(dispatch) => dispatch.stop(GRACE).await,
            None => warn!("someone still looks at the dispatch; its leases end with the process"),
        }
        self.stop_maintenance.send_replace(true);
        end_in_time([self.maintenance, self.reprocessing], GRACE).await;
        self.drain.abort();
        self.disk.abort();
        self.shared.store.close().await.map_err(|error| open::failed(&error))
    }

    /// After a failure: accepts nothing more and lets those who wait have their 503, briefly.
    pub async fn abandon(self) {
        self.shared.health.stopping();
        // Anyone who is not answered by then would not be: the process ends either way.
        let _ = tokio::time::timeout(LAST_ANSWERS, self.endpoints.close()).await;
        // Closing the store would wait for its disk, which is what failed.
        std::mem::forget(self.shared);
    }
}

/// Opens the store on a thread of its own: it reads for as long as it takes, and the listeners answer meanwhile. From
/// then on the clock goes by what is stored.
async fn open_apart(
    open: OpenStore,
    (config, rules): (&Arc<Config>, &Arc<Ruleset>),
    (health, clock): (&Arc<ProcessHealth>, &Clock),
) -> Result<Arc<dyn Store>, Problem> {
    let (config, rules, heard) = (Arc::clone(config), Arc::clone(rules), Arc::clone(health));
    let opening = tokio::task::spawn_blocking(move || open(&config, rules, &heard));
    let opened = tokio::select! {
        opened = opening => opened.unwrap_or_else(|error| {
            let what = format!("the store could not be opened: {error}");
            Err(Problem::new(what, "this is a fault of Postbridge: please report it, with the log"))
        }),
        // A disk that does not answer may keep that thread for ever.
        reason = health.failed() => {
            let hint = open::after_failure(&reason);
            Err(Problem::new(reason, hint))
        }
    };
    let store = opened?;
    maintenance::watch_clock(store.as_ref(), clock).await.map_err(|error| open::failed(&error))?;
    Ok(store)
}

/// Waits for loops that were asked to end. One that waits for the store longer than `grace` is left where it is, which it
/// can be at any moment; one that panicked has nothing left to finish.
async fn end_in_time(mut loops: [JoinHandle<()>; 2], grace: Duration) {
    let ended = futures_util::future::join_all(loops.iter_mut());
    if tokio::time::timeout(grace, ended).await.is_err() {
        warn!("maintenance is left where it is: the store does not answer");
        loops.iter().for_each(JoinHandle::abort);
    }
}

async fn run_maintenance(shared: AcrossReloads, signals: MaintenanceSignals) {
    let maintenance = Maintenance::new(Arc::clone(&shared.store), shared.clock, signals);
    if let Err(error) = maintenance.run().await {
        shared.health.store_failed(&error);
    }
}

/// Reprocesses reversals when their sales are received, by what is configured then.
async fn reprocess(shared: AcrossReloads, config: Arc<Mutex<Arc<Config>>>, stop: watch::Receiver<bool>) {
    let network = move |id: &SourceId| {
        let config = Arc::clone(&config.lock());
        router::network(&config, id)
    };
    let store = Arc::clone(&shared.store);
    if let Err(error) = reprocess::run(store, network, shared.clock, stop).await {
        shared.health.store_failed(&error);
    }
}

/// How long a postback that began before a reload may still be on its way to its commit.
const STRAGGLERS: Duration = Duration::from_secs(15);

/// Takes the reports that were kept while their routes were closed, by what is configured then, after each
/// of these pauses: a report may have begun before a reload and be committed after.
async fn take_reopened(shared: AcrossReloads, config: Arc<Mutex<Arc<Config>>>, pauses: &[Duration]) {
    for pause in pauses {
        tokio::time::sleep(*pause).await;
        let config = Arc::clone(&config.lock());
        if config.offers.is_empty() {
            return;
        }
        let terms = router::terms(&config, &Arc::new(config.ruleset()));
        if let Err(error) = reopen::all(shared.store.as_ref(), &terms, &shared.clock).await {
            return shared.health.store_failed(&error);
        }
    }
}

fn keep_of(config: &Config) -> RetentionDays {
    RetentionDays {
        conversions_days: config.store.keep_conversions_days,
        postbacks_days: config.store.keep_postbacks_days,
        clicks_days: config.store.keep_clicks_days,
        removed_hours: config.store.keep_removed_hours,
    }
}

fn dispatch_plan(config: &Config) -> DispatchPlan {
    let accounts = config.destinations.iter().map(|destination| DestinationPlan {
        destination: Arc::clone(&destination.ready),
        max_per_second: destination.max_per_second,
        batch: destination.batch,
        max_in_flight: destination.max_in_flight,
        allow_private_network: destination.allow_private_network,
        timeout_ms: destination.timeout_ms,
        secrets: Arc::<SecretFiles>::clone(&destination.secrets),
        outgoing: None,
    });
    let postbacks = config.outgoing.iter().map(|outgoing| DestinationPlan {
        destination: Arc::clone(&outgoing.ready),
        max_per_second: outgoing.max_per_second,
        batch: BatchSize::default(),
        max_in_flight: HOST_PLACES,
        allow_private_network: outgoing.allow_private_network,
        timeout_ms: outgoing.timeout_ms,
        secrets: Arc::new(FixedSecrets),
        outgoing: Some(OutgoingPlan { on: outgoing.route.on.clone(), target: outgoing.target() }),
    });
    DispatchPlan { destinations: accounts.chain(postbacks).collect(), policies: config.ruleset().policies }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_does_not_wait_without_end_for_maintenance_that_waits_for_the_store() {
        let (asked, answer) = tokio::sync::oneshot::channel::<()>();
        let waits = tokio::spawn(async move {
            let _asked = asked;
            std::future::pending::<()>().await;
        });
        let ends = tokio::spawn(async {});
        let stopped = end_in_time([waits, ends], Duration::from_millis(20));
        assert!(tokio::time::timeout(Duration::from_secs(5), stopped).await.is_ok());
        assert!(answer.await.is_err(), "what it had begun is dropped");
    }
}
