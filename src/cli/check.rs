//! `postbridge check`: every problem of configuration and templates at once, each with place and fix.

use clap::Args;
use serde::Serialize;

use crate::app::open_files::{connections, hard_limit};
use crate::cli::{ConfigPath, Failure, count, listing, print, print_json};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::template::diagnostic::Problem;
use crate::view::problem::DiagnosticView;

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigPath,
    /// Print one JSON document: {"ok","problems","warnings"}.
    #[arg(long)]
    json: bool,
}

/// The document of `check --json`.
#[derive(Serialize)]
struct CheckView<'a> {
    ok: bool,
    problems: Vec<DiagnosticView<'a>>,
    warnings: Vec<DiagnosticView<'a>>,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let path = self.config.path();
        let result = Config::load(&path);
        let now = Clock::system().now();
        let lowered = result.as_ref().ok().and_then(|config| connections(config, hard_limit()).1);
        let (problems, warnings) = match &result {
            Ok(config) => (&[][..], {
                let warnings = config.warnings.iter().chain(&lowered).cloned();
                warnings.chain(config.expiring(now)).collect::<Vec<_>>()
            }),
            Err(problems) => (problems.as_slice(), Vec::new()),
        };
        if self.json {
            print_json(&CheckView {
                ok: problems.is_empty(),
                problems: problems.iter().map(DiagnosticView::of).collect(),
                warnings: warnings.iter().map(DiagnosticView::of).collect(),
            })?;
        } else {
            print(&in_words(&path.display().to_string(), result.as_ref().ok(), problems, &warnings))?;
        }
        if problems.is_empty() { Ok(()) } else { Err(Failure::usage(Vec::new())) }
    }
}

fn in_words(file: &str, config: Option<&Config>, problems: &[Problem], warnings: &[Problem]) -> String {
    let mut text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    for problem in warnings {
        let warning = Problem { what: format!("warning: {}", problem.what), ..problem.clone() };
        text.push_str(&format!("{warning}\n"));
    }
    match config {
        Some(config) => {
            let lines = listing::offers(config).into_iter().chain(listing::outgoing(config));
            lines.for_each(|line| text.push_str(&format!("{line}\n")));
            text.push_str(&format!("{file} is fine: {}\n", listing::counts(config)));
        }
        None => text.push_str(&format!("{}\n", count(problems.len(), "problem", "problems"))),
    }
    text
}
