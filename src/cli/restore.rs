//! `postbridge restore DIR`: takes a backup back into a data folder that has nothing.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::WorkBar;
use crate::cli::{ConfigPath, Failure, print, print_json};
use crate::store::embedded::data_folder::restore_in_place_of;
use crate::store::engine::restore::RestoreSource;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct Restore {
    /// The folder that `postbridge backup` wrote.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The data folder that the restored one takes the place of, where that was moved away: what was erased there since
    /// the backup was made is erased again. A file `erasures` in the folder that is restored into counts too.
    #[arg(long, value_name = "OLD")]
    in_place_of: Option<PathBuf>,
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
        let source = RestoreSource { backup: &self.dir, replaced: self.in_place_of.as_deref() };
        let restored = restore_in_place_of(source, data, &|done, all| progress.at(done, all));
        progress.end();
        let report = restored.map_err(|error| Failure::running(Problem::new(error.to_string(), "")))?;
        if self.json {
            return print_json(&report);
        }
        let written = report.written_at.map(|at| format!(" of {at}")).unwrap_or_default();
        print(&format!(
            "restored into {}: the backup{written}, up to commit {}, {} segments, {} bytes\n\
             erasures of persons' data that are known: {}; those that the backup does not have are applied again when the \
             store is opened\n",
            data.display(),
            report.last,
            report.segments,
            report.bytes,
            report.erasures
        ))
    }
}
