//! `postbridge url SOURCE`: the postback URL to paste at the network; with the sources page the only
//! place that shows a key.

use clap::Args;

use crate::cli::{ConfigPath, Failure, note_other_problems, print};

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
        let part = self.config.load_part()?;
        let (config, source) = part.source(&self.source).map_err(Failure::usage)?;
        let url = config.postback_url(source, &self.with).map_err(|problem| Failure::usage(vec![problem]))?;
        note_other_problems(&part);
        print(&format!("{url}\n"))
    }
}
