//! A relay in this process, on a store of a test's own: what the store does is the test's, what is asked and answered goes
//! over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use postbridge::app::App;
use postbridge::clock::Clock;
use postbridge::config::configuration::Config;
use postbridge::domain::ruleset::Ruleset;
use postbridge::store::contract::Store;
use postbridge::template::diagnostic::Problem;
use postbridge::web::health::ProcessHealth;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::support::relay::{Answer, Setup, ask_api, bearer, report};

/// A relay that runs until it is stopped or dropped.
pub struct RelayInProcess {
    pub address: SocketAddr,
    app: App,
    runtime: Runtime,
}

/// A relay that listens, and whose store is being opened.
pub struct StartingInProcess {
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    opening: JoinHandle<Result<App, Problem>>,
    runtime: Runtime,
}

fn config(setup: &Setup) -> Config {
    std::fs::create_dir_all(setup.folder.join("data")).unwrap();
    Config::parse("postbridge.toml", &setup.text(), &|_| None)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

impl StartingInProcess {
    /// Binds what is configured, and begins to open what `open` opens.
    pub fn listen(
        setup: &Setup,
        open: impl FnOnce(&Config, Arc<Ruleset>, &Arc<ProcessHealth>) -> Result<Arc<dyn Store>, Problem>
        + Send
        + 'static,
    ) -> StartingInProcess {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let starting = runtime.block_on(App::listen(config(setup)));
        let starting = starting.unwrap_or_else(|problem| panic!("{problem}"));
        let (address, admin_address) = (starting.address(), starting.admin_address());
        let opening = runtime.spawn(App::open(starting, Box::new(open), Clock::system()));
        StartingInProcess { address, admin_address, opening, runtime }
    }

    /// The relay, as soon as its store is open.
    pub fn opened(self) -> Result<RelayInProcess, Problem> {
        match self.runtime.block_on(self.opening).unwrap() {
            Ok(app) => Ok(RelayInProcess { address: app.address(), app, runtime: self.runtime }),
            Err(problem) => {
                // What opens the store may still be at it.
                self.runtime.shutdown_background();
                Err(problem)
            }
        }
    }

    /// Runs this while it is being opened.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// As a process that is asked to stop by now: what opens the store is left where it is.
    pub fn leave(self) {
        self.opening.abort();
        let left = self.runtime.block_on(self.opening).err().expect("it was still being opened");
        assert!(left.is_cancelled());
        self.runtime.shutdown_background();
    }
}

impl RelayInProcess {
    /// Starts it on what `open` opens.
    pub fn start(
        setup: &Setup,
        open: impl FnOnce(Arc<Ruleset>) -> Arc<dyn Store> + Send + 'static,
    ) -> RelayInProcess {
        let starting = StartingInProcess::listen(setup, move |_, rules, _| Ok(open(rules)));
        starting.opened().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// A GET of the API with the token.
    pub fn get(&self, path: &str) -> Answer {
        ask_api(self.address, ("GET", path), &bearer(), "")
    }

    /// A postback of the source `cake-test` by this key.
    pub fn postback(&self, key: &str, query: &str) -> Answer {
        report(self.address, (key, "cake-test"), query.as_bytes())
    }

    /// Loads another configuration.
    pub fn reload(&self, setup: &Setup) -> Result<(), Vec<Problem>> {
        self.runtime.block_on(self.app.reload(config(setup)))
    }

    /// Why it cannot go on, once that is known.
    pub fn failed(&self) -> Option<String> {
        self.app.failed().now_or_never()
    }

    /// Runs this while it serves.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn stop(self) {
        self.runtime.block_on(self.app.stop()).unwrap_or_else(|problem| panic!("{problem}"));
    }
}
