//! `[[offer]]`: what visitors are sent to, what it pays, and what decides about its clicks and conversions.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::config::names::{ADVERTISER, OFFER};
use crate::config::server::{network, web_url};
use crate::domain::ids::{AdvertiserId, AffiliateId, OfferId};
use crate::domain::offer::AttributionModel;
use crate::domain::offer::{self, Caps, Disposition, OfferStatus, Payout};
use crate::domain::reporter::ReportRoute;
use crate::domain::reports::{FurtherSales, Reporting};
use crate::domain::status::Status;
use crate::template::diagnostic::Problem;
use crate::template::macros::grammar::Grammar;
use crate::template::macros::url::{LANDING_NAMES, MacroUrl};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, decimal, event_name};

/// One offer as configured: what decides, and where its visitors go.
#[derive(Debug, Clone)]
pub struct OfferConfig {
    pub terms: Arc<offer::Offer>,
    /// For people; the id where none is given.
    pub name: String,
    pub landing: MacroUrl,
    /// Parameters of the link that are handed on: names, or the beginning of names with `*` at the end.
    pub pass: Vec<String>,
    /// Where a visitor goes whom the offer does not take; else `[server] fallback_url`.
    pub fallback_url: Option<String>,
}

/// One affiliate's run of one offer.
#[derive(Debug, Clone)]
pub struct CampaignConfig {
    pub campaign: Arc<offer::Campaign>,
    pub name: Option<String>,
}

/// Who brings clicks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affiliate {
    pub id: AffiliateId,
    /// For people; the id where none is given.
    pub name: String,
}

/// The keys whose default is that of the default file's example.
const DEFAULTED: &[&str] = &[
    "status",
    "session_hours",
    "click_cookie_days",
    "attribution",
    "disposition",
    "accept_pixel_value",
    "report_by",
    "pixel_events",
    "repeat",
];

/// Every offer that was read whole, and the ids of all, also of those with a problem.
#[derive(Default)]
pub struct Offers {
    pub whole: Vec<OfferConfig>,
    pub ids: Vec<OfferId>,
    pub advertisers: Vec<AdvertiserId>,
}

/// Reads every `[[offer]]`; one with a problem is left out, its problems kept.
pub fn read_all(root: &Table<'_>) -> Offers {
    let mut offers = Offers::default();
    for section in root.tables_or_default("offer", DEFAULTED) {
        let whole = read(section, &mut offers);
        offers.whole.extend(whole);
    }
    offers
}

fn read(section: Table<'_>, offers: &mut Offers) -> Option<OfferConfig> {
    let id = OFFER.own(&section, &mut offers.ids);
    let name = section.text("name").map(|text| text.value);
    let advertiser = section.parsed("advertiser", |text| ADVERTISER.read(text));
    let landing = section.required("url", "\"https://advertiser.example/lp?cid={click_id}\"", landing);
    let currency = section.required("currency", "\"USD\"", currency);
    let payout = read_payout(&section);
    let revenue = section.parsed("revenue", amount);
    let statuses = OfferStatus::ALL.map(|status| (status.as_str(), status));
    let status = section.parsed("status", |text| text.one_of(&statuses));
    let caps = read_caps(&section);
    // Ten years, as little as anyone could mean by "for ever".
    let session_hours = section.number("session_hours", 1..=87_600);
    let click_cookie_days = section.number("click_cookie_days", 1..=3_650);
    let models =
        [AttributionModel::LastTouch, AttributionModel::FirstTouch].map(|model| (model.as_str(), model));
    let model = section.parsed("attribution", |text| text.one_of(&models));
    let disposition = read_disposition(&section);
    let accept_pixel_value = section.flag("accept_pixel_value");
    let reports = read_reports(&section);
    let pass = section.all_parsed("pass", passed).unwrap_or_default();
    let fallback_url = section.parsed("fallback_url", |text| web_url(text).map(String::from));
    section.finish();
    if let Some(advertiser) = &advertiser {
        offers.advertisers.push(advertiser.clone());
    }
    let id = id?;
    let name = name.unwrap_or_else(|| id.to_string());
    let terms = offer::Offer {
        id,
        advertiser,
        currency: currency?,
        payout,
        revenue,
        status: status?,
        caps,
        session_hours: session_hours?,
        click_cookie_days: click_cookie_days?,
        model: model?,
        disposition: disposition?,
        accept_pixel_value: accept_pixel_value?,
        reports: reports?,
    };
    Some(OfferConfig { terms: Arc::new(terms), name, landing: landing?, pass, fallback_url })
}

/// The address of a page that visitors are sent to.
pub fn landing(text: &Text) -> Result<MacroUrl, Problem> {
    MacroUrl::compile(&text.value, &Grammar::braces(), LANDING_NAMES).map_err(|problem| text.masked(problem))
}

/// A name of a parameter, or the beginning of names.
fn passed(text: &Text) -> Result<String, Problem> {
    let name = text.value.strip_suffix('*').unwrap_or(&text.value);
    let is_name =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '*' | '&' | '=' | '?' | '#');
    if text.value.is_empty() || !name.chars().all(is_name) {
        let hint = "write the name as it is in the link, or its beginning with `*` at the end: \"utm_*\"";
        return Err(Problem::new(format!("{} is not a parameter's name", text.shown()), hint));
    }
    Ok(text.value.clone())
}

fn read_payout(section: &Table<'_>) -> Option<Payout> {
    let fixed = section.parsed("payout", amount);
    let percent = section.parsed("payout_percent", percent);
    if section.has("payout") && section.has("payout_percent") {
        let what = "`payout` and `payout_percent` in [[offer]] exclude each other";
        section.problem("payout_percent", what, "keep the one that the affiliate was promised");
    }
    fixed.map(Payout::Fixed).or(percent.map(Payout::Percent))
}

/// A decimal that is not below 0.
pub fn amount(text: &Text) -> Result<Decimal, Problem> {
    let amount = decimal(text)?;
    if amount.is_sign_negative() && !amount.is_zero() {
        let hint = "write digits with a dot, in quotes and without a currency sign: \"7.00\"";
        return Err(Problem::new(format!("{} is below 0", text.shown()), hint));
    }
    Ok(amount)
}

fn percent(text: &Text) -> Result<Decimal, Problem> {
    let percent = amount(text)?;
    if percent > Decimal::ONE_HUNDRED {
        let what = format!("{} is more than the whole sale", text.shown());
        return Err(Problem::new(what, "write 0 to 100, in quotes and without a sign: \"12.5\""));
    }
    Ok(percent)
}

fn read_caps(section: &Table<'_>) -> Caps {
    let Some(section) = section.table("caps") else { return Caps::default() };
    let most = 1..=1_000_000_000_000;
    let caps = Caps {
        clicks_per_day: section.number("clicks_per_day", most.clone()),
        conversions_per_day: section.number("conversions_per_day", most),
    };
    section.finish();
    caps
}

fn read_reports(section: &Table<'_>) -> Option<Reporting> {
    let routes = ReportRoute::ALL.map(|route| (route.as_str(), route));
    let by = section.all_parsed("report_by", |text| text.one_of(&routes));
    let from = section.all_parsed("report_from", network).unwrap_or_default();
    let events = section.all_parsed("pixel_events", event_name);
    let repeat = section.flag("repeat");
    for key in ["report_from", "pixel_events"] {
        if section.is_empty_list(key) {
            let what = format!("`{key}` in [[offer]] is an empty list");
            section.problem(key, what, "name at least one, or leave the key out");
        }
    }
    let further = if repeat? { FurtherSales::Count } else { FurtherSales::Wait };
    Some(Reporting { by: by?, from, events: events?, further })
}

fn read_disposition(section: &Table<'_>) -> Option<Disposition> {
    let section = section.table_or_default("disposition")?;
    // Scrubbed is the result of lists and of clicks that are too old; no one is left to wait for it.
    let statuses =
        [Status::Approved, Status::Pending, Status::Rejected].map(|status| (status.as_str(), status));
    let status = section.parsed("status", |text| text.one_of(&statuses));
    // Two years, as long as a source may hold a conversion.
    let after_hours = section.number("after_hours", 0..=17_520);
    if status == Some(Status::Pending) && after_hours.is_some_and(|hours: u32| hours > 0) {
        let what = "a conversion that is to be pending waits for a person, and `after_hours` says nothing";
        section.warning("after_hours", what, "leave it out, or name what it becomes: status = \"approved\"");
    }
    section.finish();
    Some(Disposition { status: status?, after_hours: after_hours? })
}
