//! What is configured of the network's side, a line for each kind: printed by `check` and at start.

use crate::cli::count;
use crate::config::configuration::Config;
use crate::config::creative::Creative;
use crate::config::offer::{CampaignConfig, OfferConfig};
use crate::config::outgoing::Outgoing;
use crate::domain::offer::OfferStatus;
use crate::template::destination::rendering::DestinationMode;

/// More things of a kind than this are counted instead of named.
const MOST_NAMED: usize = 10;

/// Offers, creatives and campaigns; no line for what there is none of.
pub fn offers(config: &Config) -> Vec<String> {
    let named = |offer: &OfferConfig| {
        let terms = &offer.terms;
        if *offer.name == *terms.id.as_str() {
            format!("{} ({})", terms.id, terms.status.as_str())
        } else {
            format!("{} ({}, {})", terms.id, offer.name, terms.status.as_str())
        }
    };
    let idle = config.offers.iter().filter(|offer| offer.terms.status != OfferStatus::Active).count();
    let offers = line("offers", &config.offers, named, &with_rest(config.offers.len(), idle, "not active"));
    let linked = |one: &CampaignConfig| format!("{} ({})", one.campaign.id, config.tracking_link(one));
    let counted = format!("{}; `postbridge link CAMPAIGN` prints a link", config.campaigns.len());
    let campaigns = line("campaigns", &config.campaigns, linked, &counted);
    let shown = |one: &Creative| match *one.name == *one.id.as_str() {
        true => one.id.to_string(),
        false => format!("{} ({})", one.id, one.name),
    };
    let creatives = line("creatives", &config.creatives, shown, &config.creatives.len().to_string());
    offers.into_iter().chain(creatives).chain(campaigns).collect()
}

/// Outgoing postbacks, if there are any.
pub fn outgoing(config: &Config) -> Option<String> {
    let named = |outgoing: &Outgoing| match outgoing.mode {
        DestinationMode::Live => outgoing.id.to_string(),
        other => format!("{} ({})", outgoing.id, other.as_str()),
    };
    let idle = config.outgoing.iter().filter(|outgoing| outgoing.mode != DestinationMode::Live).count();
    let counted = with_rest(config.outgoing.len(), idle, "not live");
    line("outgoing postbacks", &config.outgoing, named, &counted)
}

/// How many there are of each kind: `1 source, 2 destinations`. The network's side only where it is used.
pub fn counts(config: &Config) -> String {
    let always = [
        count(config.sources.len(), "source", "sources"),
        count(config.destinations.len(), "destination", "destinations"),
    ];
    let used = [
        (config.offers.len(), "offer", "offers"),
        (config.creatives.len(), "creative", "creatives"),
        (config.campaigns.len(), "campaign", "campaigns"),
        (config.outgoing.len(), "outgoing postback", "outgoing postbacks"),
    ];
    let used = used.into_iter().filter(|(number, ..)| *number > 0);
    let used = used.map(|(number, one, many)| count(number, one, many));
    always.into_iter().chain(used).collect::<Vec<_>>().join(", ")
}

fn line<T>(kind: &str, all: &[T], named: impl Fn(&T) -> String, counted: &str) -> Option<String> {
    match all.len() {
        0 => None,
        1..=MOST_NAMED => Some(format!("{kind}: {}", all.iter().map(named).collect::<Vec<_>>().join(", "))),
        _ => Some(format!("{kind}: {counted}")),
    }
}

fn with_rest(all: usize, rest: usize, what: &str) -> String {
    if rest == 0 { all.to_string() } else { format!("{all}, of them {rest} {what}") }
}
