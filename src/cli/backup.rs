//! `postbridge backup DIR`: a consistent copy of the store, by the relay that runs, else of the folder that no one has open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::progress::WorkBar;
use crate::cli::remote::Remote;
use crate::cli::{Failure, print, print_json, run_to_end, store_work};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::store::contract::Store;
use crate::store::contract::copies::{CopyReport, KnownBackup};
use crate::store::contract::operator::ToKeep;
use crate::store::embedded::Embedded;
use crate::store::engine::open_folder::is_open;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct Backup {
    /// The folder of the backup, new or with an earlier one: from `[store] backup_dir` on, below which a running relay
    /// writes alone.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Backup {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.remote.load()?;
        let runs = self.remote.is_named() || is_open(&config.store.path);
        run_to_end(async move {
            let progress = WorkBar::new("backing up");
            let made = if runs {
                let body = json!({ "dir": self.dir.display().to_string() }).to_string().into_bytes();
                let call = ("/api/v1/backups", body);
                let document = store_work::carry_out(&self.remote, &config, call, &progress).await?;
                document.get("work").cloned().unwrap_or_default()
            } else {
                let dir = config.store.backup_dir.clone().unwrap_or_default().join(&self.dir);
                of_folder(&config, &dir, &progress).await?
            };
            progress.end();
            if self.json { print_json(&made) } else { print(&in_words(&made)) }
        })
    }
}

/// Where no relay runs the folder is this command's own for a while.
async fn of_folder(config: &Config, dir: &Path, progress: &WorkBar) -> Result<Value, Failure> {
    let failed = |what: String| Failure::running(Problem::new(what, ""));
    let path = &config.store.path;
    if !path.is_dir() {
        let hint = "`[store] path` names it";
        let what = format!("there is no data folder {}", path.display());
        return Err(Failure::running(Problem::new(what, hint)));
    }
    let store = Embedded::open_sled(path, Arc::new(config.ruleset()));
    let store = store.map_err(|error| failed(error.to_string()))?;
    let clock = Clock::system();
    let began = clock.now();
    let folder = Store::folder(&store).ok_or_else(|| failed("the store has no folder".to_owned()))?;
    let report = folder.backup(dir, &|done, all| progress.at(done, all));
    drop(folder);
    let CopyReport { copied, already_there, bytes, last } =
        report.map_err(|error| failed(error.to_string()))?;
    let dir = dir.canonicalize().map_err(|error| failed(error.to_string()))?;
    let ended = clock.now();
    let shown = dir.display().to_string();
    let known = KnownBackup { dir, began, ended, last };
    store.keep(ToKeep::Backup(known)).await.map_err(|error| failed(error.to_string()))?;
    store.close().await.map_err(|error| failed(error.to_string()))?;
    Ok(json!({
        "dir": shown,
        "state": "done",
        "began": began,
        "ended": ended,
        "segments_copied": copied,
        "segments_already_there": already_there,
        "bytes_copied": bytes,
        "last_commit": last,
    }))
}

fn in_words(made: &Value) -> String {
    let number = |name: &str| made.get(name).and_then(Value::as_u64).unwrap_or_default();
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
    format!(
        "backed up into {}: up to commit {}, {} segments copied ({} bytes), {} already there; begun {}, ended {}\n",
        text("dir"),
        number("last_commit"),
        number("segments_copied"),
        number("bytes_copied"),
        number("segments_already_there"),
        text("began"),
        text("ended")
    )
}
