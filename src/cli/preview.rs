//! `postbridge preview`: what a postback would become and what would be sent, by the code that does
//! it, without a store and without sending.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::outlook::Outlook;
use crate::cli::{ConfigPath, Failure, click_file, preview_report, print, print_json};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::config::part::unknown;
use crate::config::source::Source;
use crate::dispatch::prepare::forecast;
use crate::domain::attribution::candidates;
use crate::domain::click::Click;
use crate::domain::conversion::Draft;
use crate::domain::ids::ClickId;
use crate::domain::routing::Route;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::postback::Network;
use crate::ingest::preview::{Ground, Pasted, preview, query_of};
use crate::template::destination::account::Account;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct Preview {
    /// The id of the [[source]] that the postback is for. Not needed where there is only one.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only this [[destination]] or outgoing postback (campaign:8599, affiliate:200, postback:all); else
    /// every one that takes the conversion.
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// A JSON file with the click it belongs to, as for POST /api/v1/clicks. Without a click_id in it,
    /// it is the click that the postback names.
    #[arg(long, value_name = "FILE")]
    click: Option<PathBuf>,
    /// The campaign whose link the click was received by: its postbacks are previewed too.
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
    /// Print one JSON document: {"postback","conversion","attribution","requests","skipped"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
    /// The postback's parameters: the part after the `?`, the whole URL, or a request line of a log.
    #[arg(value_name = "QUERY")]
    query: String,
}

/// A destination and what it takes.
type Chosen = (Arc<Account>, Route);

impl Preview {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let usage = |problem| Failure::usage(vec![problem]);
        let source = self.source(&config).map_err(usage)?;
        let chosen = self.chosen(&config).map_err(usage)?;
        let outlook = self.outlook(&config, (source, chosen), Clock::system().now()).map_err(usage)?;
        if self.json {
            print_json(&preview_report::as_json(&outlook))
        } else {
            print(&preview_report::in_words(&outlook))
        }
    }

    /// The source that is named, or the only one.
    fn source<'c>(&self, config: &'c Config) -> Result<&'c Source, Problem> {
        let known = || config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>();
        match (&self.source, config.sources.as_slice()) {
            (Some(id), _) => config.source(id).ok_or_else(|| unknown("source", id, &known())),
            (None, [only]) => Ok(only),
            (None, []) => Err(Problem::new("there is no [[source]]", "add the one that the postback is for")),
            (None, _) => {
                let hint =
                    format!("name the one that the postback is for: --source {}", known().join(" or "));
                Err(Problem::new("there are several sources", hint))
            }
        }
    }

    /// Every destination and outgoing postback, or the one that is asked for.
    fn chosen(&self, config: &Config) -> Result<Vec<Chosen>, Problem> {
        let accounts = config.destinations.iter().map(|to| (Arc::clone(&to.account), to.route.clone()));
        let postbacks = config.outgoing.iter().map(|to| (Arc::new(to.account()), to.route.clone()));
        let all: Vec<Chosen> = accounts.chain(postbacks).collect();
        let Some(id) = &self.destination else { return Ok(all) };
        match all.iter().find(|(account, _)| account.id().as_str() == id) {
            Some(found) => Ok(vec![found.clone()]),
            None => {
                let known: Vec<&str> = all.iter().map(|(account, _)| account.id().as_str()).collect();
                Err(unknown("destination", id, &known))
            }
        }
    }

    fn outlook(
        &self,
        config: &Config,
        (source, chosen): (&Source, Vec<Chosen>),
        now: Time,
    ) -> Result<Outlook, Problem> {
        let (accounts, routes): (Vec<Arc<Account>>, Vec<Route>) = chosen.into_iter().unzip();
        let network = Network {
            template: Arc::clone(&source.template),
            binding: source.binding.clone(),
            policy: Arc::clone(&source.policy),
            rules: Arc::new(Ruleset { routes, ..config.ruleset() }),
        };
        let pasted = Pasted { query: query_of(&self.query).as_bytes(), ..Pasted::default() };
        let draft = source
            .template
            .read(pasted.query, None, &[])
            .and_then(|params| source.template.map(&source.binding, &params));
        let click = self.click(config, draft.as_ref().ok(), now)?;
        let find = |id: &str| click.clone().filter(|click| click.id.as_str() == id);
        let ground = Ground { network: &network, accounts: &accounts, forecast };
        let found = preview(ground, pasted, now, find);
        Ok(Outlook::of(found, &accounts))
    }

    /// The click of `--click`, with the campaign of `--campaign`; the campaign alone makes one of nothing
    /// but that.
    fn click(&self, config: &Config, draft: Option<&Draft>, now: Time) -> Result<Option<Click>, Problem> {
        let click = self.read_click(draft, now)?;
        let Some(id) = &self.campaign else { return Ok(click) };
        let known = || config.campaigns.iter().map(|one| one.campaign.id.as_str()).collect::<Vec<_>>();
        let found = config.campaigns.iter().find(|one| one.campaign.id.as_str() == id);
        let found = found.ok_or_else(|| unknown("campaign", id, &known()))?;
        let mut click =
            click.unwrap_or_else(|| ClickDraft::default().into_click(named_click(draft, now), now));
        click.context.campaign_ref = Some(found.campaign.campaign_ref());
        Ok(Some(click))
    }

    /// The click of `--click`; even when the postback is wrong, so that a wrong file is reported too.
    fn read_click(&self, draft: Option<&Draft>, now: Time) -> Result<Option<Click>, Problem> {
        let Some(path) = &self.click else { return Ok(None) };
        click_file::read(path, named_click(draft, now), now).map(Some)
    }
}

/// The click that the postback names, else one that nothing names.
fn named_click(draft: Option<&Draft>, now: Time) -> ClickId {
    let named = draft.and_then(|draft| candidates(draft.click_id.as_deref()?).into_iter().next());
    named.map_or_else(|| ClickId::mint(now.as_millis(), [0; 16]), |(id, _)| id)
}
