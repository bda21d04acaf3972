//! Click filters: what is odd about a click, and whether that keeps it from the offer. Pure.

use crate::domain::click::Click;
use crate::domain::filter_verdict::{Filter, FilterHit, FilterMode, FilterVerdict, ListedTrait};
use crate::domain::ids::ClickId;
use crate::domain::landing_url::up_to;
use crate::domain::offer::{Offer, OfferStatus};

/// By what two clicks are known to be one visitor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateBy {
    /// The first-party visitor cookie.
    Cookie,
    /// The address: everyone behind one is one visitor.
    Ip,
    /// Address and user agent together.
    IpAndAgent,
}

/// `[filters] duplicate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateRule {
    /// Whether a repeat is marked only, or kept from the offer.
    pub mode: FilterMode,
    /// How long after a click another one is a repeat, in milliseconds.
    pub window_ms: i64,
    /// By what a visitor is known again.
    pub by: DuplicateBy,
}

/// Values of which some are let through. An empty `allow` lets through all that `deny` does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRule {
    /// Whether a hit is marked only, or kept from the offer.
    pub mode: FilterMode,
    /// Compared without regard to case.
    pub allow: Vec<String>,
    /// Values that hit.
    pub deny: Vec<String>,
}

/// `[filters]`: a filter that is absent says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRules {
    /// Repeats; `None`: the filter is off.
    pub duplicate: Option<DuplicateRule>,
    /// Known bots; `None`: the filter is off.
    pub bot: Option<FilterMode>,
    /// Two-letter codes of ISO 3166. A country that is not known gives no verdict.
    pub country: Option<ListRule>,
    /// `desktop`, `mobile`, `tablet`… as [`crate::domain::click::Agent::device`].
    pub device: Option<ListRule>,
    /// Host names; a name covers its subdomains. `(none)` is a click without a referrer.
    pub referrer: Option<ListRule>,
    /// What the caps of offers do.
    pub cap: FilterMode,
}

impl Default for FilterRules {
    fn default() -> FilterRules {
        FilterRules {
            duplicate: None,
            bot: None,
            country: None,
            device: None,
            referrer: None,
            cap: FilterMode::Enforce,
        }
    }
}

/// What only the store knows at the moment of the click.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickFacts {
    /// An earlier billable click of the same visitor on the same offer, within the window.
    pub duplicate_of: Option<ClickId>,
    /// Billable clicks of the offer so far today (UTC).
    pub clicks_today: u64,
}

/// The word for a click without a referrer.
pub const NO_REFERRER: &str = "(none)";

/// What every configured filter says of a click on an offer, in the order of [`Filter`].
pub fn classify(
    rules: &FilterRules,
    offer: Option<&Offer>,
    click: &Click,
    facts: &ClickFacts,
) -> Vec<FilterVerdict> {
    let agent = click.context.agent.as_ref();
    let mut verdicts = Vec::new();
    let mut add = |filter, mode, hit| verdicts.push(FilterVerdict { filter, mode, hit });
    if let Some(rule) = &rules.duplicate {
        let window_ms = rule.window_ms;
        let hit = facts.duplicate_of.clone().map(|earlier| FilterHit::Duplicate { earlier, window_ms });
        add(Filter::Duplicate, rule.mode, hit);
    }
    if let Some(mode) = rules.bot {
        let bot = agent.and_then(|agent| agent.bot.clone());
        add(Filter::Bot, mode, bot.map(|name| FilterHit::Bot { name }));
    }
    if let (Some(rule), Some(country)) = (&rules.country, click.context.country.as_deref()) {
        let hit = listed(rule, (ListedTrait::Country, country), |known| known.eq_ignore_ascii_case(country));
        add(Filter::Country, rule.mode, hit);
    }
    if let (Some(rule), Some(device)) = (&rules.device, agent.map(|agent| agent.device.as_str())) {
        let hit = listed(rule, (ListedTrait::Device, device), |known| known.eq_ignore_ascii_case(device));
        add(Filter::Device, rule.mode, hit);
    }
    if let Some(rule) = &rules.referrer {
        let host = click.referrer.as_deref().map_or(NO_REFERRER.to_owned(), host_of);
        let hit = listed(rule, (ListedTrait::Referrer, &host), |known| covers(known, &host));
        add(Filter::Referrer, rule.mode, hit);
    }
    if let Some(most) = offer.and_then(|offer| offer.caps.clicks_per_day) {
        let hit = (facts.clicks_today >= most).then_some(FilterHit::Cap { most });
        add(Filter::Cap, rules.cap, hit);
    }
    if let Some(status) = offer.map(|offer| offer.status).filter(|status| *status != OfferStatus::Active) {
        add(Filter::OfferStatus, FilterMode::Enforce, Some(FilterHit::OfferStatus { status }));
    }
    verdicts
}

fn listed(
    rule: &ListRule,
    (what, value): (ListedTrait, &str),
    is: impl Fn(&str) -> bool,
) -> Option<FilterHit> {
    let value = || value.to_owned();
    if rule.deny.iter().any(|known| is(known)) {
        return Some(FilterHit::Denied { what, value: value() });
    }
    let allowed = rule.allow.is_empty() || rule.allow.iter().any(|known| is(known));
    (!allowed).then(|| FilterHit::NotAllowed { what, value: value() })
}

/// The host in a referrer, in lower case; the text itself where there is none.
fn host_of(referrer: &str) -> String {
    let after = referrer.split_once("://").map_or(referrer, |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or(host) };
    // A verdict names it, and no host has more.
    up_to(host, 253).to_ascii_lowercase()
}

/// Whether `name` is `host` or a domain above it.
fn covers(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
}
