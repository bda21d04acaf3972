//! The shape of a preset's file, read with every problem placed on its line.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::domain::event::EventName;
use crate::domain::money::Currency;
use crate::domain::status::Status;
use crate::domain::time::HOUR_MS;
use crate::template::destination::file::{SettingKind, SettingSpec, event_names, settings};
use crate::template::destination::reply::{ReplyOutcome, ReplyRules};
use crate::template::destination::reply_file::{self, RequestToken};
use crate::template::diagnostic::Problem;
use crate::template::preset::fill::known_macros;
use crate::template::provenance::{self, PlatformFact};
use crate::template::toml_doc::table::{self, Table};
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, decimal};

/// The setting by which the parameter that brings the click id has another name.
pub(crate) const CLICK_PARAM: &str = "click_param";

/// The longest name that a landing parameter may have.
const LONGEST_PARAM: usize = 64;
/// What links and pages call parameters of our own.
const OWN_PARAMS: [&str; 4] = ["a", "c", "pb_cid", "pb_campaign"];

/// What a preset's file says, its URL not yet compiled.
pub(crate) struct PresetFile {
    pub label: String,
    pub docs: String,
    pub url: Text,
    pub settings: Vec<SettingSpec>,
    pub click: Option<ClickParam>,
    /// Our events and the receiver's names of them.
    pub events: BTreeMap<EventName, String>,
    /// The setting that names every event without a name of its own.
    pub event_setting: Option<usize>,
    /// Whether an event without a name is sent without one.
    pub sends_unnamed: bool,
    /// What the receiver calls our statuses; one that is not here is called as we do.
    pub statuses: BTreeMap<Status, String>,
    /// To how many digits behind the point amounts are rounded; `None`: they are sent as they are.
    pub decimals: Option<u32>,
    /// The one currency in which the receiver takes what is earned; `None`: it takes any.
    pub currency: Option<Currency>,
    pub requirements: Vec<MacroRequirement>,
    pub reply: ReplyRules,
    /// How many of the reply rules are the preset's own: the first.
    pub own_rules: usize,
    pub dedup_ms: Option<i64>,
    pub facts: Vec<PlatformFact>,
}

/// The landing parameter that brings the receiver's own click id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickParam {
    /// Its name, unless the postback's settings say another.
    pub param: String,
    /// What the receiver fills in, to be written into the tracking URL; `None`: it adds the parameter without being asked.
    pub filled_by: Option<String>,
}

/// What a URL has to say, or the receiver refuses it.
#[derive(Debug, Clone)]
pub(crate) struct MacroRequirement {
    pub name: String,
    /// The lowest amount that the receiver takes.
    pub least: Option<Decimal>,
    pub why: String,
}

/// Reads the file.
pub(crate) fn read(file: &str, text: &str) -> Result<PresetFile, Vec<Problem>> {
    table::read(file, text, read_root)
}

fn read_root(root: &Table<'_>) -> Option<PresetFile> {
    let mut settings = settings(root);
    let click = root.read_table("click", click_param).flatten();
    if settings.iter().any(|setting| setting.name == CLICK_PARAM) {
        let what = format!("the setting `{CLICK_PARAM}` is there already");
        root.problem("setting", what, "name the parameter under [click] param, and take the setting out");
    } else if let Some(click) = &click {
        settings.push(click_setting(click));
    }
    let names: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
    let event_setting = root.parsed("event_setting", |text| {
        let place = names.iter().position(|name| *name == text.value);
        let what = || format!("there is no setting {}", text.shown());
        place.ok_or_else(|| Problem::new(what(), "declare it as a [[setting]]"))
    });
    let unnamed = root.parsed("unnamed_events", |text| text.one_of(&[("send", true), ("skip", false)]));
    let dedup_hours = root.number::<i64>("dedup_hours", 1..=87_600);
    let number = root.read_table("number", |number| {
        (number.number("decimals", 0..=8), number.parsed("currency", currency))
    });
    let (decimals, currency) = number.unwrap_or_default();
    let (reply, own_rules) = replies(root);
    let label = root.needed_text("label");
    let docs = root.text("docs").unwrap_or_default().value;
    let (events, statuses) = (events(root), statuses(root));
    let requirements = root.read_tables("require", requirement).into_iter().flatten().collect();
    let facts = provenance::read_of_platform(root);
    let url = root.required_text("url", "\"https://tracker.example/postback?cid={landing_click_id}\"");
    Some(PresetFile {
        label,
        docs,
        url: url?,
        click,
        events,
        event_setting,
        sends_unnamed: unnamed.unwrap_or(false),
        statuses,
        decimals,
        currency,
        requirements,
        reply,
        own_rules,
        dedup_ms: dedup_hours.map(|hours| hours.saturating_mul(HOUR_MS)),
        facts,
        settings,
    })
}

fn click_param(table: &Table<'_>) -> Option<ClickParam> {
    let param = table.required("param", "\"clickid\"", |text| check_param(&text.value));
    let filled_by = table.text("filled_by").map(|text| text.value);
    Some(ClickParam { param: param?, filled_by })
}

fn click_setting(click: &ClickParam) -> SettingSpec {
    SettingSpec {
        name: CLICK_PARAM.to_owned(),
        label: "Parameter of the tracking URL that brings the click id".to_owned(),
        required: false,
        secret: false,
        secret_path: false,
        hint: "letters, digits, `_`, `-` and `.`".to_owned(),
        default: Some(click.param.clone()),
        expires: None,
        kind: SettingKind::Text,
    }
}

/// The name of a landing parameter.
///
/// # Errors
/// No URL has such a one as it is, or it is one of our own.
pub(crate) fn check_param(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > LONGEST_PARAM || !name.chars().all(is_part) {
        let hint = format!("write 1 to {LONGEST_PARAM} letters, digits, `_`, `-` and `.`");
        return Err(Problem::new(format!("`{name}` is no name of a landing parameter"), hint));
    }
    let is_own = OWN_PARAMS.iter().any(|own| own.eq_ignore_ascii_case(name));
    if is_own || name.to_ascii_lowercase().starts_with("utm_") {
        let what = format!("`{name}` has a meaning of its own in links");
        return Err(Problem::new(what, "choose another name for the parameter"));
    }
    Ok(name.to_owned())
}

fn events(root: &Table<'_>) -> BTreeMap<EventName, String> {
    let named = event_names(root);
    named.into_iter().filter_map(|(ours, theirs)| Some((EventName::parse(&ours)?, theirs))).collect()
}

fn statuses(root: &Table<'_>) -> BTreeMap<Status, String> {
    let read = |table: &Table<'_>| {
        let sent = Status::ALL.into_iter().filter(|status| *status != Status::Scrubbed);
        let named = sent.filter_map(|status| Some((status, table.text(status.as_str())?.value)));
        named.collect()
    };
    root.read_table("status", read).unwrap_or_default()
}

fn requirement(table: &Table<'_>) -> Option<MacroRequirement> {
    let known: Vec<(&str, &str)> = known_macros().into_iter().map(|name| (name, name)).collect();
    let name = table.required("macro", "\"earned\"", |text| text.one_of(&known).map(str::to_owned));
    let least = table.parsed("at_least", decimal);
    let why = table.needed_text("why");
    Some(MacroRequirement { name: name?, least, why })
}

/// The preset's rules, then those of every receiver that keeps no account of ours.
fn replies(root: &Table<'_>) -> (ReplyRules, usize) {
    let usual = ReplyRules::without_accounts();
    let own = root.read_table("reply", |reply| reply_file::read(reply, RequestToken::Fixed));
    let Some(own) = own else { return (usual, 0) };
    if own.rules.iter().any(|rule| rule.then == ReplyOutcome::Park) {
        let what = "`park`: the postbacks to a host share it, so one of them cannot have it wait";
        root.problem("reply", what, "write then = \"dead\": a person can retry it");
    }
    let number = own.rules.len();
    let rules = own.rules.into_iter().chain(usual.rules).collect();
    (ReplyRules { rules, ..own }, number)
}
