//! `postbridge serve`: runs the relay until it is asked to stop, and says where it listens.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::app::App;
use crate::app::open::{OpenStore, accepting, after_failure};
use crate::app::process_memory;
use crate::app::starting::Starting;
use crate::cli::service_manager::{ServiceState, notify};
use crate::cli::{Failure, listing, stderr};
use crate::clock::{Clock, stopwatch};
use crate::config::configuration::Config;
use crate::domain::ids::DestinationId;
use crate::template::diagnostic::Problem;

/// Runs until SIGTERM, SIGINT or a failure. SIGHUP reloads the configuration.
///
/// # Errors
/// Every problem of the configuration, the one that kept it from starting, or the store's failure.
pub async fn run(path: &Path, accept_loss: Option<String>) -> Result<(), Failure> {
    // What is written from here on, by the engine too, is this user's alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let config = Config::load(path).map_err(Failure::usage)?;
    log_warnings(&config);
    let mut signals = ProcessSignals::new().map_err(Failure::running)?;
    let starting = App::listen(config).await.map_err(Failure::running)?;
    let clock = Clock::system();
    let by = accepting(&clock, accept_loss);
    let opened = open(starting, by, clock, &mut signals).await.map_err(Failure::running)?;
    let Some(OpenedApp { app, is_reload_due }) = opened else {
        notify(ServiceState::Stopping);
        info!("stopped before the store was open");
        // The store is opened on a thread that hears of nothing; a process that opens one may be killed at any moment.
        std::process::exit(0)
    };
    process_memory::take_small_pages();
    announce(&app).await;
    notify(ServiceState::Ready);
    if is_reload_due {
        take_new_configuration(&app, path).await;
    }
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                SignalRequest::Reload => take_new_configuration(&app, path).await,
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

/// How often the log and the service manager hear that the store is still being opened.
const STILL_OPENING: Duration = Duration::from_secs(30);

/// A relay whose store is open.
struct OpenedApp {
    app: App,
    /// SIGHUP was received before there was anything to reload.
    is_reload_due: bool,
}

/// Opens the store of a relay that listens; `None` when it is asked to stop before that is done.
async fn open(
    starting: Starting,
    open: OpenStore,
    clock: Clock,
    signals: &mut ProcessSignals,
) -> Result<Option<OpenedApp>, Problem> {
    let (began, mut is_reload_due) = (stopwatch(), false);
    let mut remind = tokio::time::interval(STILL_OPENING);
    // The first one is due at once.
    remind.tick().await;
    let mut opening = pin!(App::open(starting, open, clock));
    loop {
        tokio::select! {
            // What was asked before the store was there is not left for later.
            biased;
            signal = signals.next() => match signal {
                SignalRequest::Stop => return Ok(None),
                SignalRequest::Reload => {
                    is_reload_due = true;
                    info!("the configuration is read again as soon as the store is open");
                }
            },
            opened = &mut opening => {
                let app = opened?;
                info!(milliseconds = began.elapsed().as_millis(), "the store is open");
                return Ok(Some(OpenedApp { app, is_reload_due }));
            }
            _ = remind.tick() => {
                notify(ServiceState::Opening);
                info!(seconds = began.elapsed().as_secs(), "the store is still being opened");
            }
        }
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

/// Reads the configuration again, and informs the service manager of it.
async fn take_new_configuration(app: &App, path: &Path) {
    notify(ServiceState::Reloading);
    reload(app, path).await;
    notify(ServiceState::Ready);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use rustix::process::{Signal as SignalNumber, getpid, kill_process};

    use super::*;
    use crate::store::contract::Store;
    use crate::store::embedded::Embedded;
    use crate::store::engine::memory::Memory;

    /// A relay that listens, and a store that opens when it is released.
    async fn blocked(folder: &Path) -> (Starting, OpenStore, Sender<()>) {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n",
            folder.join("data").display()
        );
        let config = Config::parse("postbridge.toml", &text, &|_| None).unwrap();
        let (release, released) = channel();
        let open: OpenStore = Box::new(move |_, rules, _| {
            // An error is a release too: the test is over.
            let _ = released.recv();
            Ok(Arc::new(Embedded::open(Arc::new(Memory::new()), rules).unwrap()) as Arc<dyn Store>)
        });
        (App::listen(config).await.unwrap(), open, release)
    }

    /// One test, because a signal reaches the whole process.
    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_store_is_being_opened_a_stop_ends_it_and_a_reload_is_kept_for_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut signals = ProcessSignals::new().unwrap();
        let patience = Duration::from_secs(20);
        for stop in [SignalNumber::TERM, SignalNumber::INT] {
            let (starting, store, release) = blocked(folder.path()).await;
            kill_process(getpid(), stop).unwrap();
            let opened = open(starting, store, Clock::system(), &mut signals);
            let opened =
                tokio::time::timeout(patience, opened).await.expect("it does not wait for the store");
            assert!(opened.unwrap().is_none());
            drop(release);
        }

        let (starting, store, release) = blocked(folder.path()).await;
        let mut noticed = signal(SignalKind::hangup()).unwrap();
        kill_process(getpid(), SignalNumber::HUP).unwrap();
        let releasing = async {
            noticed.recv().await;
            // The opening is polled once more, and sees the signal too, before its store is there.
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        };
        let (opened, ()) = tokio::join!(open(starting, store, Clock::system(), &mut signals), releasing);
        let OpenedApp { app, is_reload_due } = opened.unwrap().expect("it is not ended by it");
        assert!(is_reload_due, "it is read again later");
        app.stop().await.unwrap();
    }
}
