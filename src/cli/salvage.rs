//! `postbridge salvage DIR NEW`: reads what can be read out of a damaged data folder into a new one.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::WorkBar;
use crate::cli::{Failure, print, print_json};
use crate::store::contract::copies::SalvageReport;
use crate::store::embedded::data_folder::salvage_folder;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct SalvageCommand {
    /// The damaged data folder, or backup; it is not changed.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The folder that gets what can be read: a new one, or an empty one.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl SalvageCommand {
    pub fn run(self) -> Result<(), Failure> {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        let progress = WorkBar::new("salvaging");
        let salvaged = salvage_folder(&self.dir, &self.new, &|done, all| progress.at(done, all));
        progress.end();
        let report = salvaged.map_err(|error| Failure::running(Problem::new(error.to_string(), "")))?;
        self.show(&report)?;
        // What is not saved is named already.
        if report.lost.is_empty() { Ok(()) } else { Err(Failure { code: 1, problems: Vec::new() }) }
    }

    fn show(&self, report: &SalvageReport) -> Result<(), Failure> {
        if self.json {
            return print_json(report);
        }
        let records: u64 = report.records.values().sum();
        let kinds: Vec<String> =
            report.records.iter().map(|(kind, count)| format!("{count} {}", name(*kind))).collect();
        let mut words = format!(
            "salvaged into {}: {records} records ({}); {} commits of the journal were read\n",
            self.new.display(),
            kinds.join(", "),
            report.commits
        );
        for lost in &report.lost {
            words.push_str(&format!("not saved: {lost}\n"));
        }
        print(&words)
    }
}

/// What records of a kind are.
fn name(kind: char) -> String {
    match kind {
        'A' => "attempts",
        'B' => "postbacks",
        'C' => "changed conversions",
        'E' => "exchanges",
        'G' => "lines of the click log",
        'H' => "postback heads",
        'K' => "clicks",
        'P' => "raw requests",
        'R' => "rollups",
        'X' => "delivery states",
        other => return format!("of kind {other}"),
    }
    .to_owned()
}
