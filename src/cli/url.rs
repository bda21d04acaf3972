//! `postbridge url SOURCE`: the postback URL to paste at the network; with the sources page the only
//! place that shows a key.

use clap::Args;

use crate::cli::{ConfigPath, Failure, print};
use crate::config::Config;
use crate::problem::{Problem, did_you_mean};

#[derive(Args)]
pub struct Url {
    /// The id of a [[source]].
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Further parameters of the template to ask the network for: --with leadid,ip
    #[arg(long, value_name = "PARAMETERS", value_delimiter = ',')]
    with: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
}

impl Url {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let usage = |problem| Failure::usage(vec![problem]);
        let source =
            config.source(&self.source).ok_or_else(|| usage(unknown_source(&config, &self.source)))?;
        let url = config.postback_url(source, &self.with).map_err(usage)?;
        print(&format!("{url}\n"))
    }
}

/// Says which source was meant.
pub fn unknown_source(config: &Config, typed: &str) -> Problem {
    let known: Vec<&str> = config.sources.iter().map(|source| source.id.as_str()).collect();
    unknown("source", typed, &known)
}

/// Says that nothing of this kind has the id that was typed, and which was meant.
pub fn unknown(kind: &str, typed: &str, known: &[&str]) -> Problem {
    let hint = match did_you_mean(typed, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the configuration has no [[{kind}]]"),
        None => format!("the configuration has: {}", known.join(", ")),
    };
    Problem::new(format!("there is no {kind} `{typed}`"), hint)
}
