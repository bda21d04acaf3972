//! `postbridge serve`: runs the relay until it is asked to stop, and says where it listens.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::app::App;
use crate::app::open::after_failure;
use crate::app::process_memory;
use crate::cli::service_manager::{ServiceState, notify};
use crate::cli::{Failure, listing, stderr};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::domain::ids::DestinationId;
use crate::template::diagnostic::Problem;

/// Runs until SIGTERM, SIGINT or a failure. SIGHUP reloads the configuration.
///
/// # Errors
/// Every problem of the configuration, the one that kept it from starting, or the store's failure.
pub async fn run(path: &Path) -> Result<(), Failure> {
    // What is written from here on, by the engine too, is this user's alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let config = Config::load(path).map_err(Failure::usage)?;
    log_warnings(&config);
    // Before the store opens: a signal during a long recovery must not kill it.
    let mut signals = ProcessSignals::new().map_err(Failure::running)?;
    let app = App::start(config, Clock::system()).await.map_err(Failure::running)?;
    process_memory::take_small_pages();
    announce(&app).await;
    notify(ServiceState::Ready);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                SignalRequest::Reload => {
                    notify(ServiceState::Reloading);
                    reload(&app, path).await;
                    notify(ServiceState::Ready);
                }
                SignalRequest::Stop => break,
            },
            reason = app.failed() => {
                app.abandon().await;
                let hint = after_failure(&reason);
                leave_at_once(&Problem::new(reason, hint));
            }
        }
    }
    notify(ServiceState::Stopping);
    info!("stopping: finishing what is on its way; a second signal exits at once");
    tokio::select! {
        stopped = app.stop() => stopped.map_err(Failure::running),
        () = signals.second_stop() => leave_at_once(&Problem::new("stopped at once by a second signal", "")),
    }
}

/// Ends the process without waiting for anything: a disk that hangs must not hold it. Safe at any
/// moment: what was acknowledged is durable, and leases end with the process.
fn leave_at_once(problem: &Problem) -> ! {
    stderr::problem(problem);
    std::process::exit(1)
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum SignalRequest {
    Reload,
    Stop,
}

struct ProcessSignals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl ProcessSignals {
    fn new() -> Result<ProcessSignals, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| Problem::new(format!("cannot listen for signals: {error}"), ""))
        };
        Ok(ProcessSignals {
            reload: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.reload.recv() => SignalRequest::Reload,
            _ = self.terminate.recv() => SignalRequest::Stop,
            _ = self.interrupt.recv() => SignalRequest::Stop,
        }
    }

    async fn second_stop(&mut self) {
        while self.next().await != SignalRequest::Stop {}
    }
}

/// What `check` warns of, as log lines.
fn log_warnings(config: &Config) {
    let expiring = config.expiring(Clock::system().now());
    for Problem { what, at, hint, .. } in config.warnings.iter().chain(&expiring) {
        warn!(at, hint, "{what}");
    }
}

async fn reload(app: &App, path: &Path) {
    let outcome = match Config::load(path) {
        Ok(config) => app.reload(config).await,
        Err(problems) => Err(problems),
    };
    if outcome.is_ok() {
        log_warnings(&app.config());
    }
    for problem in outcome.err().into_iter().flatten() {
        warn!(%problem, "the configuration was not reloaded; the old one stays");
    }
}

async fn announce(app: &App) {
    let config = app.config();
    say!("postbridge listens on {}", app.address());
    if let Some(admin) = app.admin_address() {
        say!("pages, API and metrics on {admin}");
    }
    for source in &config.sources {
        say!("source {}: {}/***/collect/{}", source.id, config.server.public_url, source.id);
    }
    let backlogs = app.backlog().await.inspect_err(|error| warn!(%error, "what waits cannot be read")).ok();
    let queue = |is_counted: &dyn Fn(&DestinationId) -> bool| {
        let Some(backlogs) = &backlogs else { return "what waits cannot be read".to_owned() };
        let counted = backlogs.iter().filter(|one| one.destination.as_ref().is_some_and(is_counted));
        let (waiting, held) =
            counted.fold((0, 0), |(waiting, held), one| (waiting + one.waiting, held + one.held));
        format!("{waiting} waiting, {held} held")
    };
    for destination in &config.destinations {
        let destination = &destination.ready;
        let (id, template, mode) =
            (destination.id(), destination.template_name(), destination.mode().as_str());
        say!("destination {id}: {template}, {mode}, {}", queue(&|one| one == id));
    }
    listing::offers(&config).iter().for_each(|line| say!("{line}"));
    if !config.outgoing.is_empty() {
        let theirs = queue(&|id| config.outgoing.iter().any(|one| one.id == *id));
        say!("outgoing postbacks: {}, {theirs}", config.outgoing.len());
    }
    say!("pages: {}/conversions", app.pages_url());
    if config.api.tokens.is_empty() {
        say!("no [api] tokens are configured: pages and API answer 401");
    }
}
