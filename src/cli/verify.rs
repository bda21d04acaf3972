//! `postbridge verify`: looks through the whole store, of a relay that runs or not, and repairs one that no one has open.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::progress::WorkBar;
use crate::cli::remote::Remote;
use crate::cli::{Failure, print, print_json, run_to_end, store_work};
use crate::config::configuration::Config;
use crate::domain::ruleset::Ruleset;
use crate::store::contract::Store;
use crate::store::embedded::Embedded;
use crate::store::embedded::data_folder::{renew_index, verify_closed};
use crate::store::engine::open_folder::is_open;
use crate::template::diagnostic::Problem;
use crate::view::store_work::VerificationView;

#[derive(Args)]
pub struct Verify {
    /// Put right what can be: the index from the journal, the journal from the index. Stop the relay first.
    #[arg(long)]
    repair: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// What `--json` prints.
#[derive(Serialize)]
struct VerifyDocument {
    /// What was put right, in words.
    repairs: Vec<String>,
    /// What is found, after that.
    #[serde(flatten)]
    found: Value,
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.remote.load()?;
        let path = config.store.path.clone();
        let runs = self.remote.is_named() || is_open(&path);
        if runs && self.repair {
            let what = format!("a process has the data folder {} open", path.display());
            return Err(Failure::running(Problem::new(what, "stop the relay, then repair")));
        }
        run_to_end(async move {
            let progress = WorkBar::new("verifying");
            let (repairs, found) = if runs {
                (Vec::new(), self.by_relay(&config, &progress).await?)
            } else {
                let repairs = if self.repair { repair(&path, &config, &progress).await? } else { Vec::new() };
                (repairs, closed(&path, &progress)?)
            };
            progress.end();
            self.show(VerifyDocument { repairs, found })
        })
    }

    async fn by_relay(&self, config: &Config, progress: &WorkBar) -> Result<Value, Failure> {
        let call = ("/api/v1/verifications", Vec::new());
        let document = store_work::carry_out(&self.remote, config, call, progress).await?;
        Ok(document.pointer("/work/found").cloned().unwrap_or_default())
    }

    /// Ends with 1 where anything is not as it should be.
    fn show(&self, document: VerifyDocument) -> Result<(), Failure> {
        let is_fine = document.found.get("ok") == Some(&Value::Bool(true));
        if self.json {
            print_json(&document)?
        } else {
            print(&in_words(&document))?
        }
        // What is found is printed already.
        if is_fine { Ok(()) } else { Err(Failure { code: 1, problems: Vec::new() }) }
    }
}

fn closed(path: &Path, progress: &WorkBar) -> Result<Value, Failure> {
    let failed = |what: String| Failure::running(Problem::new(what, "`[store] path` names the data folder"));
    let verified = verify_closed(path, &|done, all| progress.at(done, all));
    let view = VerificationView::of(&verified.map_err(|error| failed(error.to_string()))?);
    serde_json::to_value(view).map_err(|error| failed(error.to_string()))
}

/// Makes an index anew whose records are others than the journal's; opens the store, which puts right all else that can be,
/// and closes it.
async fn repair(path: &Path, config: &Config, progress: &WorkBar) -> Result<Vec<String>, Failure> {
    let failed = |what: String| Failure::running(Problem::new(what, ""));
    if !path.is_dir() {
        return Err(failed(format!("there is no data folder {}", path.display())));
    }
    let before = verify_closed(path, &|done, all| progress.at(done, all));
    let has_others = before.map_err(|error| failed(error.to_string()))?.has_other_records();
    if has_others {
        renew_index(path).map_err(|error| failed(error.to_string()))?;
    }
    let renewed = has_others.then(|| "the index was made anew from the journal".to_owned());
    let rules: Arc<Ruleset> = Arc::new(config.ruleset());
    let store = Embedded::open_sled(path, rules).map_err(|error| failed(error.to_string()))?;
    let report = store.opened().clone();
    store.close().await.map_err(|error| failed(error.to_string()))?;
    let torn = report.torn.map(|last| {
        format!("the last commit in {} was not whole: {}", last.torn.file.display(), last.is_where())
    });
    Ok(renewed.into_iter().chain(report.repairs).chain(torn).collect())
}

fn in_words(document: &VerifyDocument) -> String {
    let number = |name: &str| document.found.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut words: String = document.repairs.iter().map(|repair| format!("repaired: {repair}\n")).collect();
    let findings = document.found.get("findings").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
        words.push_str(&format!("{}: {}\n", text("code"), text("reason")));
    }
    if number("more") > 0 {
        words.push_str(&format!("and {} more\n", number("more")));
    }
    let is_fine = document.found.get("ok") == Some(&Value::Bool(true));
    let verdict = if is_fine { "the store is whole" } else { "the store is not whole" };
    words.push_str(&format!(
        "{verdict}: {} segments up to commit {}, {} records compared, {} references followed, {} lines \
         of totals recounted\n",
        number("segments"),
        number("last_commit"),
        number("records"),
        number("references"),
        number("counts")
    ));
    words
}
