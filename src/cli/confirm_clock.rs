//! `postbridge confirm-clock`: a person says that the clock is right, so that retention goes on.

use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::cli::remote::{Remote, ServerReply, refusal};
use crate::cli::{Failure, print, run_to_end};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::store::contract::Store;
use crate::store::contract::operator::ToKeep;
use crate::store::embedded::Embedded;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct ConfirmClock {
    #[command(flatten)]
    remote: Remote,
}

impl ConfirmClock {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.remote.load()?;
        run_to_end(async move {
            match self.remote.post(&config, "/api/v1/clock/confirm").await? {
                ServerReply::Answered(200, document) => {
                    let now = document.get("now").and_then(Value::as_str).unwrap_or_default();
                    print(&format!("the clock is confirmed: it is {now}, and retention goes on\n"))
                }
                ServerReply::Answered(status, document) => Err(refusal(status, &document)),
                ServerReply::NotThere { server, reason } if self.remote.is_named() => {
                    let what = format!("no relay answers at {server}: {reason}");
                    Err(Failure::running(Problem::new(what, "start it, or name another: --server URL")))
                }
                ServerReply::NotThere { server, .. } => confirm_in_folder(&config, &server).await,
            }
        })
    }
}

/// Where no relay runs the folder is this command's own for a moment.
async fn confirm_in_folder(config: &Config, server: &str) -> Result<(), Failure> {
    let failed = |what: String| {
        let hint = "name its address: --server URL";
        Failure::running(Problem::new(format!("no relay answers at {server}, and {what}"), hint))
    };
    let path = &config.store.path;
    if !path.exists() {
        return Err(failed(format!("there is no data folder {}", path.display())));
    }
    let rules = Arc::new(config.ruleset());
    let store = Embedded::open_sled(path, rules).map_err(|error| failed(error.to_string()))?;
    let clock = Clock::system();
    let facts = store.operator_facts().await.map_err(|error| failed(error.to_string()))?;
    clock.go_by(facts.clock, facts.newest);
    clock.confirm();
    let (now, record) = (clock.now(), clock.record());
    let Some(record) = record else { return Err(failed("its clock goes by no rule".to_owned())) };
    store.keep(ToKeep::Clock(record)).await.map_err(|error| failed(error.to_string()))?;
    store.close().await.map_err(|error| failed(error.to_string()))?;
    print(&format!("the clock is confirmed for the next start: it is {now}\n"))
}
