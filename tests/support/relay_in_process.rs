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
use tokio::runtime::Runtime;

use crate::support::relay::{Answer, Setup, ask_api, bearer, report};

/// A relay that runs until it is stopped or dropped.
pub struct RelayInProcess {
    pub address: SocketAddr,
    app: App,
    runtime: Runtime,
}

fn config(setup: &Setup) -> Config {
    std::fs::create_dir_all(setup.folder.join("data")).unwrap();
    Config::parse("postbridge.toml", &setup.text(), &|_| None)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

impl RelayInProcess {
    /// Starts it on what `open` opens.
    pub fn start(setup: &Setup, open: impl FnOnce(Arc<Ruleset>) -> Arc<dyn Store>) -> RelayInProcess {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let open = |_: &_, rules, _: &_| Ok(open(rules));
        let started = runtime.block_on(App::start_on(open, config(setup), Clock::system()));
        let app = started.unwrap_or_else(|problem| panic!("{problem}"));
        RelayInProcess { address: app.address(), app, runtime }
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
