//! `postbridge preview`: what a postback would become and what would be sent, by the code that does
//! it, without a store and without sending.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;

use crate::ambient::Clock;
use crate::cli::url::{unknown, unknown_source};
use crate::cli::{ConfigPath, Failure, click_file, preview_report, print, print_json};
use crate::config::Config;
use crate::config::destination::Destination;
use crate::config::source::Source;
use crate::domain::attribution::candidates;
use crate::domain::click::Click;
use crate::domain::conversion::{Arrived, Conversion, Decision, Draft, decide};
use crate::domain::delivery::{self, Delivery, DeliveryState, SentRequest};
use crate::domain::ids::{ClickId, DeliveryId, Occasion, Seq};
use crate::domain::postback::Fault;
use crate::domain::time::Time;
use crate::problem::Problem;
use crate::template::account::{Mode, RenderInput, Rendered};
use crate::template::params::{self, Param};

#[derive(Args)]
pub struct Preview {
    /// The id of the [[source]] that the postback comes to.
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// Only this [[destination]]; else every one that takes the conversion.
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// A JSON file with the click it belongs to, as for POST /api/v1/clicks. Without a click_id in it,
    /// it is the click that the postback names.
    #[arg(long, value_name = "FILE")]
    click: Option<PathBuf>,
    /// Print one JSON document: {"postback","conversion","attribution","requests","skipped"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
    /// The postback's parameters: the part after the `?`, or the whole URL.
    #[arg(value_name = "QUERY")]
    query: String,
}

/// What would happen, from the parameters to the requests.
pub struct Outlook {
    pub params: Vec<Param>,
    /// What was repaired or left out.
    pub notes: Vec<String>,
    pub verdict: Result<Conversion, Fault>,
    pub sendings: Vec<Sending>,
}

/// What one destination would get.
pub struct Sending {
    pub destination: String,
    pub mode: Mode,
    /// The state its delivery would begin in; absent where there would be no delivery.
    pub state: Option<DeliveryState>,
    /// The request with its secrets masked, or why there is none.
    pub request: Result<SentRequest, String>,
}

impl Preview {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let usage = |problem| Failure::usage(vec![problem]);
        let source =
            config.source(&self.source).ok_or_else(|| usage(unknown_source(&config, &self.source)))?;
        let chosen = self.chosen(&config).map_err(usage)?;
        let outlook = self.outlook(source, &chosen, Clock::system().now()).map_err(usage)?;
        if self.json {
            print_json(&preview_report::as_json(&outlook))
        } else {
            print(&preview_report::in_words(&outlook))
        }
    }

    fn chosen<'a>(&self, config: &'a Config) -> Result<Vec<&'a Destination>, Problem> {
        let Some(id) = &self.destination else { return Ok(config.destinations.iter().collect()) };
        let known =
            || config.destinations.iter().map(|known| known.account.id().as_str()).collect::<Vec<_>>();
        let found = config.destination(id).ok_or_else(|| unknown("destination", id, &known()))?;
        Ok(vec![found])
    }

    fn outlook(&self, source: &Source, chosen: &[&Destination], now: Time) -> Result<Outlook, Problem> {
        let mut outlook = Outlook {
            params: Vec::new(),
            notes: Vec::new(),
            verdict: Err(Fault::new("", "")),
            sendings: Vec::new(),
        };
        let draft = match params::read(query_of(&self.query).as_bytes(), None, &[]) {
            Ok(params) => {
                let draft = source.template.map(&source.binding, &params);
                outlook.params = params.pairs;
                outlook.notes = params.notes;
                draft
            }
            Err(fault) => Err(fault),
        };
        let click = self.read_click(draft.as_ref().ok(), now)?;
        outlook.verdict = draft.and_then(|draft| {
            let (conversion, note) = convert(&draft, source, click.as_ref(), now)?;
            outlook.notes.extend(note);
            Ok(conversion)
        });
        if let Ok(conversion) = &outlook.verdict {
            let click = click.as_ref().filter(|click| conversion.attribution.click() == Some(&click.id));
            outlook.sendings =
                chosen.iter().filter_map(|to| sending(to, conversion, source, click, now)).collect();
            if outlook.sendings.is_empty() {
                outlook.notes.push(why_nothing(conversion, source));
            }
        }
        Ok(outlook)
    }

    /// The click of `--click`; even when the postback is wrong, so that a wrong file is told too.
    fn read_click(&self, draft: Option<&Draft>, now: Time) -> Result<Option<Click>, Problem> {
        let Some(path) = &self.click else { return Ok(None) };
        let named = draft.and_then(|draft| candidates(draft.click_id.as_deref()?).into_iter().next());
        let id = named.map_or_else(|| ClickId::mint(now.as_millis(), [0; 16]), |(id, _)| id);
        click_file::read(path, id, now).map(Some)
    }
}

/// The query of what was pasted: a whole URL, a `?query`, or the bare query.
fn query_of(pasted: &str) -> &str {
    let is_url = pasted.starts_with('/') || pasted.starts_with("http://") || pasted.starts_with("https://");
    let query = if is_url { pasted.split_once('?').map_or("", |(_, query)| query) } else { pasted };
    query.strip_prefix('?').unwrap_or(query)
}

/// What the postback is when nothing is known yet, and the note about it.
fn convert(
    draft: &Draft,
    source: &Source,
    click: Option<&Click>,
    now: Time,
) -> Result<(Conversion, Option<String>), Fault> {
    let Some(seq) = Seq::new(1) else { return Err(Fault::new("no sequence number", "")) };
    let find = |given: &str| {
        let known = |(id, _): &(ClickId, _)| click.is_some_and(|click| click.id == *id);
        Ok::<_, Infallible>(candidates(given).into_iter().find(known))
    };
    let decision = decide(draft, source.policy.dedup, Arrived { seq, at: now }, |_| Ok(None), find);
    let Ok(decision) = decision;
    match decision {
        Decision::New { conversion, note }
        | Decision::Update { conversion, note }
        | Decision::Duplicate { conversion, note } => Ok((conversion, note)),
        Decision::Quarantine(fault) => Err(fault),
    }
}

/// What `to` would get; `None` when it does not take the conversion.
fn sending(
    to: &Destination,
    conversion: &Conversion,
    source: &Source,
    click: Option<&Click>,
    now: Time,
) -> Option<Sending> {
    let routes = std::slice::from_ref(&to.route);
    let planned: Option<Delivery> =
        delivery::plan(conversion, &[], &source.policy, routes, now).into_iter().next();
    let state = planned?.state;
    let account = &to.account;
    let destination = account.id().clone();
    let id =
        DeliveryId { conversion: conversion.id, destination: destination.clone(), occasion: Occasion::First };
    let input = RenderInput { conversion, click, delivery: &id, now };
    let request = match account.render(&input) {
        Ok(Rendered::Request(request)) => Ok(request.masked()),
        Ok(Rendered::Skip { reason }) => Err(reason),
        Err(problem) => Err(problem.to_string()),
    };
    Some(Sending { destination: destination.to_string(), mode: account.mode(), state: Some(state), request })
}

fn why_nothing(conversion: &Conversion, source: &Source) -> String {
    if delivery::is_forwardable(conversion, &source.policy) {
        return format!("no destination takes the event {} of this source", conversion.event);
    }
    let forwarded: Vec<&str> = source.policy.forward_status.iter().map(|status| status.word()).collect();
    format!(
        "the status is {}, and this source forwards {}: kept, not sent",
        conversion.status.word(),
        if forwarded.is_empty() { "none".to_owned() } else { forwarded.join(", ") }
    )
}
