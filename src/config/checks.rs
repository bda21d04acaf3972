//! What is allowed and surely not meant: remarks on a configuration that is whole, each at its line.

use crate::config::configuration::Config;
use crate::config::destination::Destination;
use crate::config::offer::OfferConfig;
use crate::config::server::ApiToken;
use crate::config::server_exposure;
use crate::config::source::Source;
use crate::config::source_checks;
use crate::domain::filter::FilterRules;
use crate::domain::filter_verdict::FilterMode;
use crate::domain::offer::{Caps, OfferStatus};
use crate::domain::reporter::{ReportRoute, report_by_line};
use crate::template::diagnostic::Problem;
use crate::template::macros::url::MacroUrl;
use crate::template::toml_doc::table::Table;

/// Keeps every remark. `root` is asked only for lines.
pub fn remark(root: &Table<'_>, config: &Config) {
    warn_of_nothing(root, config);
    warn_of_unrouted(root, config);
    warn_of_idle_tag(root, config);
    server_exposure::remark(root, config);
    source_checks::remark(root, config);
    if config.api.tokens.iter().any(|token| token.rights.may_read_all() || of_advertiser(token)) {
        warn_of_words(root, config);
    }
    for offer in &config.offers {
        let place = TableById { root, table: "offer", id: offer.terms.id.as_str() };
        warn_of_lost_clicks(&place, &offer.landing);
        warn_of_purged_clicks(&place, offer, config.store.keep_clicks_days);
        warn_of_no_fallback(&place, offer, config);
        warn_of_senders(&place, offer);
    }
    for creative in &config.creatives {
        let place = TableById { root, table: "creative", id: creative.id.as_str() };
        warn_of_idle_creative(&place, config);
        if let Some(landing) = &creative.landing {
            warn_of_lost_clicks(&place, landing);
        }
    }
}

fn of_advertiser(token: &ApiToken) -> bool {
    token.rights.advertisers().next().is_some()
}

/// A file that is right and does nothing is surely not finished.
fn warn_of_nothing(root: &Table<'_>, config: &Config) {
    let warn = |what: &str, hint: &str| root.document().warning(0, Problem::new(what, hint));
    // Offers make a network of their own, which needs neither.
    if config.sources.is_empty() && config.offers.is_empty() {
        warn("there is no [[source]]: every postback will be refused", "add one for each network");
    }
    if config.destinations.is_empty() && config.offers.is_empty() {
        warn(
            "there is no [[destination]]: conversions are kept and sent nowhere",
            "add one for each account",
        );
    }
    if config.api.tokens.is_empty() {
        warn(
            "there is no API token: API and pages will answer 401",
            "add one: [api] tokens = [{ name = \"ops\", token = { env = \"POSTBRIDGE_TOKEN\" }, rights = [\"network\"] }]",
        );
    }
}

/// What advertisers report goes to no destination that does not name it.
fn warn_of_unrouted(root: &Table<'_>, config: &Config) {
    let Some(first) = config.destinations.first() else { return };
    let names_whose = |destination: &Destination| destination.route.only.names_whose();
    if config.offers.is_empty() || config.destinations.iter().any(names_whose) {
        return;
    }
    let what = "what advertisers report for the [[offer]]s goes to no [[destination]]: none names it";
    let hint = "where that is not meant, name them: [destination.only] offer = [\"565\"]; `source`, \
                `campaign` and `affiliate` do too";
    let place = TableById { root, table: "destination", id: first.ready.id().as_str() };
    place.warn("id", what.to_owned(), hint);
}

/// The tag puts click ids onto links. Where a campaign is, it has clicks to record without any.
fn warn_of_idle_tag(root: &Table<'_>, config: &Config) {
    let finds_links = |source: &Source| {
        let shape = source.template.link_query();
        source.template.link_param().is_some()
            && !(shape.is_empty() && source.link_hosts.is_empty() && source.link_paths.is_empty())
    };
    let is_used = !config.tag.origins.is_empty();
    if !is_used || !config.campaigns.is_empty() || config.sources.iter().any(finds_links) {
        return;
    }
    let Some(tag) = root.table_or_default("tag") else { return };
    let hint = match config.sources.iter().find(|source| source.template.link_param().is_some()) {
        Some(source) => format!(
            "name the links that lead to it in the [[source]] `{}`: link_hosts = [\"track.example.com\"], or \
             link_paths = [\"/go/*\"]",
            source.id
        ),
        None => "add the [[source]] whose links the pages have, by a template with `link_param`; or a \
                 [[campaign]]"
            .to_owned(),
    };
    tag.warning("origins", "the tag can find no link to put a click id onto", hint);
}

/// One table of the file, found again by its id.
struct TableById<'r, 'a> {
    root: &'r Table<'a>,
    table: &'static str,
    id: &'r str,
}

impl TableById<'_, '_> {
    fn warn(&self, key: &str, what: String, hint: impl Into<String>) {
        let tables = self.root.tables(self.table);
        match tables.iter().find(|table| table.plain("id") == Some(self.id)) {
            Some(table) => table.warning(key, what, hint),
            // The id is from outside the file.
            None => self.root.document().warning(0, Problem::new(what, hint)),
        }
    }
}

/// The network's API reports ids as numbers, so it cannot name one that is a word.
fn warn_of_words(root: &Table<'_>, config: &Config) {
    let warn = |table: &'static str, of: &str, key: &'static str, id: &str| {
        if !is_number(id) {
            let kind = if key == "id" { table } else { key };
            let what = format!("the {kind} `{id}` is not a number: the network's API cannot name it");
            let hint = "write a whole number without leading zeros, or do without that API for it";
            TableById { root, table, id: of }.warn(key, what, hint);
        }
    };
    for affiliate in &config.affiliates {
        warn("affiliate", affiliate.id.as_str(), "id", affiliate.id.as_str());
    }
    for offer in config.offers.iter().map(|offer| &offer.terms) {
        warn("offer", offer.id.as_str(), "id", offer.id.as_str());
        if let Some(advertiser) = &offer.advertiser {
            warn("offer", offer.id.as_str(), "advertiser", advertiser.as_str());
        }
    }
}

/// Whether the id is returned as it is by a reader that takes it for a number.
fn is_number(id: &str) -> bool {
    id.parse::<i64>().is_ok_and(|number| number.to_string() == id)
}

/// Without the click id the advertiser cannot know whose click a sale is.
fn warn_of_lost_clicks(place: &TableById<'_, '_>, landing: &MacroUrl) {
    if !landing.names().contains(&"click_id") {
        let what = format!("the `url` of the {} `{}` hands on no click id", place.table, place.id);
        place.warn("url", what, "put {click_id} into it: the advertiser's postback has to bring it back");
    }
}

fn warn_of_idle_creative(place: &TableById<'_, '_>, config: &Config) {
    let mut listed = config.campaigns.iter().flat_map(|one| &one.campaign.creatives);
    if !listed.any(|id| id.as_str() == place.id) {
        let what = format!("no campaign lists the creative `{}`: no link leads to it", place.id);
        place.warn(
            "id",
            what,
            format!("list it in a [[campaign]] of its offer: creative = [\"{}\"]", place.id),
        );
    }
}

fn warn_of_purged_clicks(place: &TableById<'_, '_>, offer: &OfferConfig, keep_days: u32) {
    let terms = &offer.terms;
    for (key, days) in
        [("session_hours", terms.session_hours.div_ceil(24)), ("click_cookie_days", terms.click_cookie_days)]
    {
        if days > keep_days {
            let what = format!(
                "the offer `{}` counts clicks of {days} days, and [store] keeps them {keep_days} days",
                place.id
            );
            place.warn(key, what, format!("raise keep_clicks_days to {days}, or lower `{key}`"));
        }
    }
}

/// A server's reports have no key: the address is all that can be known of the sender.
fn warn_of_senders(place: &TableById<'_, '_>, offer: &OfferConfig) {
    let reports = &offer.terms.reports;
    let id = place.id;
    match (reports.opens(ReportRoute::Server), reports.from.is_empty()) {
        (true, true) => {
            let what =
                format!("anyone who has seen a click id can report sales of the offer `{id}` by `server`");
            let hint = "name the advertiser's addresses: report_from = [\"203.0.113.0/24\"]";
            place.warn("report_by", what, hint);
        }
        (false, false) => {
            let what =
                format!("`report_from` of the offer `{id}` says nothing: it is about reports by `server`");
            let hint = format!(
                "put {} there, or leave `report_from` out",
                report_by_line(&reports.by, ReportRoute::Server)
            );
            place.warn("report_from", what, hint);
        }
        _ => {}
    }
}

/// Who is turned away has to go somewhere.
fn warn_of_no_fallback(place: &TableById<'_, '_>, offer: &OfferConfig, config: &Config) {
    let turns_away = turns_away(offer.terms.caps, offer.terms.status, &config.filters);
    if turns_away && offer.fallback_url.is_none() && config.server.fallback_url.is_none() {
        let what = format!("the offer `{}` may turn visitors away, who are then answered 404", place.id);
        place.warn("id", what, "add `fallback_url`, to the offer or to [server]");
    }
}

fn turns_away(caps: Caps, status: OfferStatus, filters: &FilterRules) -> bool {
    let enforced = Some(FilterMode::Enforce);
    let lists = [&filters.country, &filters.device, &filters.referrer];
    status != OfferStatus::Active
        || caps.clicks_per_day.is_some() && filters.cap == FilterMode::Enforce
        || filters.bot == enforced
        || filters.duplicate.map(|rule| rule.mode) == enforced
        || lists.iter().any(|list| list.as_ref().map(|rule| rule.mode) == enforced)
}
