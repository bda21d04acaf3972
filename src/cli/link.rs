//! `postbridge link CAMPAIGN`: the tracking link to hand to the campaign's affiliate.

use clap::Args;

use crate::cli::url::unknown;
use crate::cli::{ConfigPath, Failure, print};

#[derive(Args)]
pub struct Link {
    /// The id of a [[campaign]].
    #[arg(value_name = "CAMPAIGN")]
    campaign: String,
    #[command(flatten)]
    config: ConfigPath,
}

impl Link {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let Some(campaign) = config.campaign(&self.campaign) else {
            let known: Vec<&str> = config.campaigns.iter().map(|known| known.campaign.id.as_str()).collect();
            return Err(Failure::usage(vec![unknown("campaign", &self.campaign, &known)]));
        };
        // Not on standard output: that is one link, for whoever reads it with a program.
        if let Some(link) = config.creative_link(campaign) {
            eprintln!("the same by affiliate and creative: {link}");
        }
        print(&format!("{}\n", config.tracking_link(campaign)))
    }
}
