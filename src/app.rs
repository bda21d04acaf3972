//! Wiring: builds the parts from a configuration, starts the loops, and stops them in order.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::ambient::Clock;
use crate::config::Config;
use crate::dispatch::{Dispatch, DispatchPlan, Lane};
use crate::domain::delivery::Route;
use crate::domain::ids::{DestinationId, SourceId};
use crate::ingest::postback::Network;
use crate::problem::Problem;
use crate::store::Store;
use crate::store::embedded::Embedded;
use crate::upkeep::{self, Keep, Signals};
use crate::web::auth::{Keys, Tokens};
use crate::web::health::Health;
use crate::web::listen::{self, ListenSettings};
use crate::web::pages::{Pages, Sessions};
use crate::web::postback::{Door, Postbacks, RefusalBudget};
use crate::web::tls::TlsSettings;
use crate::web::wire::Limits;
use crate::web::{Operations, Side, Site, Web, api, click};

pub mod measure;

/// How long a stop waits for requests and deliveries on their way.
pub const GRACE: Duration = Duration::from_secs(25);

/// A relay that runs.
pub struct App {
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    shared: Shared,
    web: Web,
    config: Mutex<Arc<Config>>,
    dispatch: Dispatch,
    tls: Option<TlsSettings>,
    keep: watch::Sender<Keep>,
    stop_listening: watch::Sender<bool>,
    stop_upkeep: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    upkeep: JoinHandle<()>,
}

/// What outlives a reload.
#[derive(Clone)]
struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    health: Arc<Health>,
    sessions: Arc<Sessions>,
    budget: Arc<RefusalBudget>,
    lanes: Arc<Mutex<Option<crate::dispatch::StateReader>>>,
}

impl App {
    /// Opens the store, binds the listeners and starts the loops.
    ///
    /// # Errors
    /// A problem with a place and a mend: the store is held by another process, an address is taken…
    pub async fn start(config: Config, clock: Clock) -> Result<App, Problem> {
        let metrics = measure::recorder()?;
        let store: Arc<dyn Store> = Arc::new(
            Embedded::open_sled(&config.store.path, measure::commit_reporter()).map_err(|error| error.problem())?,
        );
        let shared = Shared {
            store,
            clock: clock.clone(),
            health: Arc::new(Health::default()),
            sessions: Arc::new(Sessions::default()),
            budget: Arc::new(RefusalBudget::default()),
            lanes: Arc::default(),
        };
        withdraw_removed(&shared, &config).await?;
        let dispatch = Dispatch::start(Arc::clone(&shared.store), dispatch_plan(&config), clock.clone());
        *shared.lanes.lock() = Some(dispatch.reader());
        let side = if config.server.admin_listen.is_some() { Side::Public } else { Side::Whole };
        let web = Web::new(site(&shared, &config, metrics), side);
        let tls = tls(&config)?;
        let settings = listen_settings(&config, tls.clone());
        let (stop_listening, stopping) = watch::channel(false);
        let mut listeners = Vec::new();
        let (listener, address) = bind(config.server.listen).await?;
        listeners.push(listen_on(listener, web.clone(), settings.clone(), stopping.clone()));
        let mut admin_address = None;
        if let Some(admin) = config.server.admin_listen {
            let (listener, address) = bind(admin).await?;
            admin_address = Some(address);
            listeners.push(listen_on(listener, web.on_side(Side::Admin), settings, stopping));
        }
        let (keep, keep_changes) = watch::channel(keep_of(&config));
        let (stop_upkeep, upkeep_stopping) = watch::channel(false);
        let signals =
            Signals { keep: keep_changes, stop: upkeep_stopping, heartbeat: Arc::clone(&shared.health.heartbeat) };
        let upkeep = tokio::spawn(run_upkeep(shared.clone(), signals));
        let config = Mutex::new(Arc::new(config));
        Ok(App {
            address,
            admin_address,
            shared,
            web,
            config,
            dispatch,
            tls,
            keep,
            stop_listening,
            stop_upkeep,
            listeners,
            upkeep,
        })
    }

    /// A path that signs one person in, once, for the pages.
    pub fn sign_in_path(&self) -> String {
        self.shared.sessions.link(&self.shared.clock)
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
        if let Some(tls) = &self.tls {
            tls.reload().map_err(|problem| vec![problem])?;
        }
        let metrics = measure::recorder().map_err(|problem| vec![problem])?;
        withdraw_removed(&self.shared, &new).await.map_err(|problem| vec![problem])?;
        self.dispatch.reload(dispatch_plan(&new));
        self.web.swap(site(&self.shared, &new, metrics));
        self.keep.send_replace(keep_of(&new));
        *self.config.lock() = Arc::new(new);
        info!("the configuration was reloaded");
        Ok(())
    }

    /// Resolves when the relay cannot go on, with the reason.
    pub async fn failed(&self) -> String {
        tokio::select! {
            reason = self.shared.health.failed() => reason,
            error = self.dispatch.failed() => error.to_string(),
        }
    }

    /// Stops in order: unready, accept nothing, finish or release what is out, close the store.
    pub async fn stop(self) {
        self.shared.health.stopping();
        self.stop_listening.send_replace(true);
        for listener in self.listeners {
            // A listener that panicked has nothing left to finish.
            let _ = listener.await;
        }
        self.dispatch.stop(GRACE).await;
        self.stop_upkeep.send_replace(true);
        let _ = self.upkeep.await;
        if let Err(error) = self.shared.store.close().await {
            warn!(%error, "the store did not close cleanly; the next start recovers");
        }
    }
}

async fn run_upkeep(shared: Shared, signals: Signals) {
    if let Err(error) = upkeep::run(Arc::clone(&shared.store), shared.clock, signals).await {
        shared.health.store_failed(&error);
    }
}

fn keep_of(config: &Config) -> Keep {
    Keep {
        conversions_days: config.store.keep_conversions_days,
        postbacks_days: config.store.keep_postbacks_days,
        clicks_days: config.store.keep_clicks_days,
    }
}

/// Deliveries that wait for a destination nobody configures any more end skipped, and say so.
async fn withdraw_removed(shared: &Shared, config: &Config) -> Result<(), Problem> {
    let now = shared.clock.now();
    for backlog in shared.store.backlog(now) {
        let Some(id) = backlog.destination else { continue };
        if config.destinations.iter().any(|destination| *destination.account.id() == id) {
            continue;
        }
        let reason = format!("the destination `{id}` is not configured any more");
        let count = shared.store.withdraw(id.clone(), reason, now).await.map_err(|error| {
            Problem::new(error.to_string(), "look at the disk, then start again: the store recovers by itself")
        })?;
        info!(destination = %id, count, "deliveries of a removed destination were skipped");
    }
    Ok(())
}

fn dispatch_plan(config: &Config) -> DispatchPlan {
    let lanes = config.destinations.iter().map(|destination| Lane {
        account: Arc::clone(&destination.account),
        max_per_second: destination.max_per_second,
        max_in_flight: destination.max_in_flight,
        allow_private_network: destination.allow_private_network,
        timeout_ms: destination.timeout_ms,
    });
    let policies = config.sources.iter().map(|source| (source.id.clone(), Arc::clone(&source.policy)));
    DispatchPlan { lanes: lanes.collect(), policies: policies.collect() }
}

fn networks(config: &Config) -> HashMap<SourceId, Network> {
    let routes: Arc<Vec<Route>> =
        Arc::new(config.destinations.iter().filter_map(|destination| destination.active_route()).collect());
    let network = |source: &crate::config::Source| Network {
        template: Arc::clone(&source.template),
        binding: source.binding.clone(),
        policy: Arc::clone(&source.policy),
        routes: Arc::clone(&routes),
    };
    config.sources.iter().map(|source| (source.id.clone(), network(source))).collect()
}

fn site(shared: &Shared, config: &Config, metrics: measure::Recorder) -> Site {
    let networks = Arc::new(networks(config));
    let doors = config.sources.iter().filter_map(|source| {
        let network = networks.get(&source.id)?.clone();
        let keys = Keys::new(source.keys.iter().map(|key| key.reveal()));
        Some((source.id.to_string(), Arc::new(Door::new(network, keys, source.max_per_second))))
    });
    let tokens =
        Tokens::new(config.api.tokens.iter().map(|token| (token.name.as_str(), token.token.reveal())));
    let max_age_ms: HashMap<DestinationId, i64> = config
        .destinations
        .iter()
        .filter_map(|destination| Some((destination.account.id().clone(), destination.account.max_age_ms()?)))
        .collect();
    let max_age_ms = Arc::new(max_age_ms);
    let (store, clock, health) = (&shared.store, &shared.clock, &shared.health);
    Site {
        postbacks: Postbacks {
            doors: Arc::new(doors.collect()),
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            budget: Arc::clone(&shared.budget),
        },
        clicks: click::Clicks { store: Arc::clone(store), clock: clock.clone(), health: Arc::clone(health) },
        api: api::Api {
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            networks: Arc::clone(&networks),
            max_age_ms: Arc::clone(&max_age_ms),
        },
        pages: pages(shared, config, (networks, max_age_ms, tokens.clone())),
        tokens,
        trusted_proxies: config.server.trusted_proxies.clone(),
        operations: Operations {
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            metrics: measure::renderer(metrics, Arc::clone(store), clock.clone()),
        },
    }
}

type PageParts = (Arc<HashMap<SourceId, Network>>, Arc<HashMap<DestinationId, i64>>, Tokens);

fn pages(shared: &Shared, config: &Config, (networks, max_age_ms, tokens): PageParts) -> Pages {
    let urls: BTreeMap<String, String> = config
        .sources
        .iter()
        .filter_map(|source| {
            let url = crate::cli::url::postback_url(config, source.id.as_str(), &[]).ok()?;
            Some((source.id.to_string(), url))
        })
        .collect();
    let lanes = Arc::clone(&shared.lanes);
    Pages {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
        tokens,
        sessions: Arc::clone(&shared.sessions),
        networks,
        accounts: Arc::new(config.destinations.iter().map(|destination| Arc::clone(&destination.account)).collect()),
        urls: Arc::new(urls),
        max_age_ms,
        lanes: Arc::new(move || lanes.lock().as_ref().map(|reader| reader.states()).unwrap_or_default()),
        secure_cookies: config.server.public_url.starts_with("https://"),
    }
}

fn tls(config: &Config) -> Result<Option<TlsSettings>, Problem> {
    config.server.tls.as_ref().map(|tls| TlsSettings::load(&tls.certificate, &tls.key)).transpose()
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Problem> {
    let taken = |error: std::io::Error| {
        Problem::new(
            format!("cannot listen on {address}: {error}"),
            "stop what listens there, or change `[server] listen`",
        )
    };
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((listener, address))
}

fn listen_on(
    listener: TcpListener,
    web: Web,
    settings: ListenSettings,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move { listen::serve(listener, settings, Arc::new(web), stop).await })
}

fn listen_settings(config: &Config, tls: Option<TlsSettings>) -> ListenSettings {
    let server = &config.server;
    let limits = Limits {
        body_bytes: server.max_body_bytes,
        head: Duration::from_millis(server.head_timeout_ms),
        body: Duration::from_millis(server.body_timeout_ms),
        idle: Duration::from_millis(server.idle_timeout_ms),
        ..Limits::default()
    };
    ListenSettings { limits, connections: server.max_connections, tls, grace: GRACE }
}
