//! `postbridge restore DIR`: takes a backup back into a data folder that has nothing.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::WorkBar;
use crate::cli::{ConfigPath, Failure, print, print_json};
use crate::store::embedded::data_folder::restore_folder;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct Restore {
    /// The folder that `postbridge backup` wrote.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
}

impl Restore {
    pub fn run(self) -> Result<(), Failure> {
        // What is written from here on is this user's alone.
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        let config = self.config.load()?;
        let data = &config.store.path;
        let progress = WorkBar::new("restoring");
        let restored = restore_folder(&self.dir, data, &|done, all| progress.at(done, all));
        progress.end();
        let report = restored.map_err(|error| Failure::running(Problem::new(error.to_string(), "")))?;
        if self.json {
            return print_json(&report);
        }
        let written = report.written_at.map(|at| format!(" of {at}")).unwrap_or_default();
        print(&format!(
            "restored into {}: the backup{written}, up to commit {}, {} segments, {} bytes\n",
            data.display(),
            report.last,
            report.segments,
            report.bytes
        ))
    }
}
