//! `postbridge link CAMPAIGN`: the tracking link, or the direct link, to hand to the campaign's affiliate.

use clap::Args;

use crate::cli::{ConfigPath, Failure, note_other_problems, print, stderr};
use crate::config::configuration::Config;
use crate::config::links::CreativeLinks;
use crate::config::offer::CampaignConfig;
use crate::config::part::{PartlyRead, unknown};
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct LinkCommand {
    /// The id of a [[campaign]].
    #[arg(value_name = "CAMPAIGN")]
    campaign: String,
    /// One of the campaign's creatives; without it, the first.
    #[arg(long, value_name = "CREATIVE")]
    creative: Option<String>,
    /// The address of the landing page itself, for pages that carry the tag or the click pixel.
    #[arg(long)]
    direct: bool,
    #[command(flatten)]
    config: ConfigPath,
}

impl LinkCommand {
    pub fn run(self) -> Result<(), Failure> {
        let part = self.config.load_part()?;
        let (config, campaign) = part.campaign(&self.campaign).map_err(Failure::usage)?;
        let links = config.links(campaign);
        let chosen = self.chosen(&links).map_err(|problem| Failure::usage(vec![problem]))?;
        // On standard output is one link alone, for programs that read it.
        if self.direct {
            return print(&format!("{}\n", direct(&part, campaign, chosen)?));
        }
        note_other_problems(&part);
        if let Some(chosen) = chosen {
            stderr::say(&format!("the same by affiliate and creative: {}", chosen.by_creative));
        }
        if self.creative.is_none() {
            for other in links.iter().skip(1) {
                stderr::say(&format!("to the creative {}: {}", named(config, other), other.tracking));
            }
        }
        print(&format!(
            "{}\n",
            chosen.map_or_else(|| config.tracking_link(campaign), |one| one.tracking.clone())
        ))
    }

    fn chosen<'l>(&self, links: &'l [CreativeLinks]) -> Result<Option<&'l CreativeLinks>, Problem> {
        let Some(wanted) = self.creative.as_deref() else { return Ok(links.first()) };
        let found = links.iter().find(|one| one.creative.as_str() == wanted);
        found.map(Some).ok_or_else(|| {
            let known: Vec<&str> = links.iter().map(|one| one.creative.as_str()).collect();
            let Problem { hint, .. } = unknown("creative", wanted, &known);
            let hint =
                if known.is_empty() { "give the campaign `creative = \"761\"`".to_owned() } else { hint };
            Problem::new(format!("the campaign `{}` has no creative `{wanted}`", self.campaign), hint)
        })
    }
}

fn direct(
    part: &PartlyRead,
    campaign: &CampaignConfig,
    chosen: Option<&CreativeLinks>,
) -> Result<String, Failure> {
    let Some(chosen) = chosen else {
        let what = format!("the campaign `{}` has no creative", campaign.campaign.id);
        let hint = "a direct link names affiliate and creative: give the campaign `creative = \"761\"`";
        return Err(Failure::usage(vec![Problem::new(what, hint)]));
    };
    part.check_landing(campaign, &chosen.creative).map_err(Failure::usage)?;
    let direct = chosen.direct.clone().map_err(|problem| Failure::usage(vec![problem]))?;
    note_other_problems(part);
    stderr::say("the page has to carry the tag or the click pixel; sub ids go into its query: &s1=…");
    // With other problems, [tag] may be what has one.
    if !direct.takes_tag && part.count_problems() == 0 {
        stderr::say(&format!(
            "only the click pixel works there: \"{}\" is not among [tag] origins",
            direct.origin
        ));
    }
    Ok(direct.url)
}

/// The creative, with its name where it has one.
fn named(config: &Config, links: &CreativeLinks) -> String {
    let creative = config.creative(&links.creative).filter(|known| *known.name != *known.id.as_str());
    creative.map_or_else(|| links.creative.to_string(), |known| format!("{} ({})", known.id, known.name))
}
