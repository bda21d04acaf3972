//! The shape of a destination.toml, read with every problem placed on its line, and the settings that it asks a
//! person for.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::domain::click::is_covered;
use crate::domain::event::EventName;
use crate::domain::test_event::TestCounts;
use crate::domain::time::{HOUR_MS, Time};
use crate::template::destination::auth::{self, Auth, number_of};
use crate::template::destination::batch::{BatchRules, RateUnit};
use crate::template::destination::batch_file;
use crate::template::destination::changes_file::{self, ChangesSpec};
use crate::template::destination::confirm::ConfirmRules;
use crate::template::destination::confirm_file;
use crate::template::destination::reply::ReplyRules;
use crate::template::destination::reply_file::{self, RequestToken};
use crate::template::destination::require::{RequiredWhen, Requirement, RequirementTest};
use crate::template::destination::variant_file::{LateSpec, request_method};
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::provenance::{self, PlatformFact};
use crate::template::toml_doc::table::{self, Table};
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{day, decimal};

/// What a destination.toml says, its texts not yet compiled.
pub(crate) struct DestinationFile {
    pub label: String,
    pub docs: String,
    pub settings: Vec<SettingSpec>,
    pub events: BTreeMap<String, String>,
    pub pass_custom_events: bool,
    pub landing_params: Vec<String>,
    pub cookies: Vec<String>,
    pub max_age_ms: Option<i64>,
    pub max_click_age_ms: Option<i64>,
    pub min_click_age_ms: Option<i64>,
    pub changes: ChangesSpec,
    /// `None`: an event is sent in one way, however late.
    pub late: Option<LateSpec>,
    /// Whether it is an ad platform's, which gets nothing of a visitor who refused `ad_user_data`.
    pub personal: bool,
    pub request: RequestPart,
    /// `None`: the platform has no test mode.
    pub test: Option<TestModeSpec>,
    pub requirements: Vec<Requirement>,
    pub reply: ReplyRules,
    pub batch: BatchRules,
    /// `None`: an answer says all that the platform ever says.
    pub confirm: Option<ConfirmRules>,
    /// How much the platform takes in a second, and of what.
    pub max_per_second: Option<NonZeroU32>,
    pub rate_unit: RateUnit,
    /// For how long the platform counts an event once that it is sent again; `None`: it counts each.
    pub dedup_ms: Option<i64>,
    /// The places by which the platform knows an event again, where it has no id.
    pub dedup_by: Vec<Text>,
    /// Where what it says is from.
    pub facts: Vec<PlatformFact>,
}

/// What a platform's test mode takes.
pub(crate) struct TestModeSpec {
    /// Whether the platform may use a test event for bidding or in reports.
    pub counts: TestCounts,
    /// What a test cannot show, as a sentence.
    pub note: Option<String>,
    /// The settings that it needs.
    pub needs: Vec<usize>,
    /// The most events of a request that it looks at; `None`: as many as live.
    pub max_events: Option<usize>,
    /// Of a made-up click what has a form of its own: names of parameters and cookies, and a value for each, empty where
    /// the click has none.
    pub click: Vec<(String, String)>,
}

pub(crate) struct RequestPart {
    pub method: String,
    pub url: Text,
    pub content_type: String,
    pub headers: Vec<(String, Text)>,
    /// The parameters that are appended to the URL.
    pub query: Vec<(String, Text)>,
    /// The parameters that are the body.
    pub form: Vec<(String, Text)>,
    pub auth: Vec<Auth>,
}

impl RequestPart {
    /// What it carries, by how it says who sends it.
    fn token(&self) -> RequestToken {
        let signs_in = self.auth.iter().any(|auth| auth.sign_in().is_some());
        if signs_in { RequestToken::Given } else { RequestToken::Fixed }
    }
}

/// Reads the file.
pub(crate) fn read(file: &str, text: &str) -> Result<DestinationFile, Vec<Problem>> {
    table::read(file, text, read_root)
}

fn read_root(root: &Table<'_>) -> Option<DestinationFile> {
    let settings = settings(root);
    let names: Vec<String> = settings.iter().map(|setting| setting.name.clone()).collect();
    let rate = root.read_table("rate", |rate| {
        let counts = rate.parsed("counts", |text| text.one_of(&RateUnit::NAMES)).unwrap_or_default();
        (rate.number::<u32>("max_per_second", 1..=1_000_000).and_then(NonZeroU32::new), counts)
    });
    let (max_per_second, rate_unit) = rate.unwrap_or_default();
    let batch =
        root.read_table("batch", |table| batch_file::read(table, root.has("confirm"))).unwrap_or_default();
    let hours = |key: &'static str| {
        let hours = root.number(key, 1..=87_600);
        hours.map(|hours: i64| hours.saturating_mul(HOUR_MS))
    };
    let custom = root.parsed("custom_events", |text| text.one_of(&[("pass", true), ("skip", false)]));
    let (landing_params, cookies) = (texts(root, "landing_params"), texts(root, "cookies"));
    let test = |test: &Table<'_>| TestModeSpec {
        counts: test_counts(test),
        note: test.text("note").map(|note| note.value),
        needs: test.all_parsed("needs", |name| number_of(name, &names)).unwrap_or_default(),
        max_events: test.number("max_events", 1..=batch_file::MOST_EVENTS),
        click: test_click(test, &landing_params, &cookies),
    };
    let test = root.read_table("test", test);
    let request = request(root, &names);
    let token = request.as_ref().map_or(RequestToken::Given, RequestPart::token);
    let events = event_names(root);
    Some(DestinationFile {
        label: root.needed_text("label"),
        docs: root.text("docs").unwrap_or_default().value,
        changes: changes_file::read_in(root, &events),
        events,
        pass_custom_events: custom.unwrap_or_default(),
        landing_params,
        cookies,
        max_age_ms: hours("max_age_hours"),
        max_click_age_ms: hours("max_click_age_hours"),
        min_click_age_ms: hours("min_click_age_hours"),
        personal: root.flag("personal").unwrap_or(true),
        test,
        requirements: root.read_tables("require", requirement).into_iter().flatten().collect(),
        reply: root.read_table("reply", |reply| reply_file::read(reply, token)).unwrap_or_default(),
        batch,
        late: root.read_table("late", |late| LateSpec::read(late, &names)).flatten(),
        confirm: root.read_table("confirm", |confirm| confirm_file::read(confirm, token)),
        max_per_second,
        rate_unit,
        dedup_ms: hours("dedup_hours"),
        dedup_by: root.readable_texts("dedup_by"),
        facts: provenance::read_of_platform(root),
        settings,
        request: request?,
    })
}

fn texts(table: &Table<'_>, key: &'static str) -> Vec<String> {
    table.readable_texts(key).into_iter().map(|text| text.value).collect()
}

/// Whether the platform may use a test event: a person is asked before one is sent that it may use.
fn test_counts(test: &Table<'_>) -> TestCounts {
    if !test.has("counts") {
        let what = "[test] does not say whether the platform may use a test event for bidding or in reports";
        let hint = "write counts = \"no\", \"yes\", or \"unknown\" where the platform does not say, and where that is from \
                    under [[provenance]]";
        test.head_problem(what, hint);
    }
    test.parsed("counts", |text| text.one_of(&TestCounts::NAMES)).unwrap_or(TestCounts::Unknown)
}

/// What a made-up click has: each of a parameter or cookie that the template keeps.
fn test_click(test: &Table<'_>, params: &[String], cookies: &[String]) -> Vec<(String, String)> {
    let Some(table) = test.table("click") else { return Vec::new() };
    let texts = table.free_texts();
    let is_kept = |name: &str| params.iter().chain(cookies).any(|known| is_covered(known, name.as_bytes()));
    for (name, _) in texts.iter().filter(|(name, _)| !is_kept(name)) {
        let what = format!("a click keeps no `{name}` for this template");
        table.problem(name, what, "name it under `landing_params` or `cookies` too, or take it out");
    }
    texts.into_iter().map(|(name, text)| (name.to_owned(), text.value)).collect()
}

/// Every `[[setting]]` of a template.
pub(crate) fn settings(root: &Table<'_>) -> Vec<SettingSpec> {
    let mut settings: Vec<SettingSpec> = Vec::new();
    root.read_tables("setting", |table| {
        let spec = setting(table);
        if settings.iter().any(|earlier| earlier.name == spec.name) {
            table.problem("name", format!("the setting `{}` is declared twice", spec.name), "take one out");
        }
        settings.push(spec);
    });
    settings
}

fn setting(table: &Table<'_>) -> SettingSpec {
    let kinds = [
        ("text", SettingKind::Text),
        ("digits", SettingKind::Digits),
        ("url", SettingKind::Url),
        ("signing-key", SettingKind::SigningKey),
        ("country", SettingKind::Country),
        ("service-account", SettingKind::ServiceAccount),
    ];
    let spec = SettingSpec {
        name: table.needed_text("name"),
        label: table.needed_text("label"),
        required: table.flag("required").unwrap_or(false),
        secret: table.flag("secret").unwrap_or(false),
        secret_path: table.flag("secret_path").unwrap_or(false),
        hint: table.text("hint").unwrap_or_default().value,
        default: table.text("default").map(|default| default.value),
        expires: table.parsed("expires", day),
        kind: table.parsed("kind", |text| text.one_of(&kinds)).unwrap_or(SettingKind::Text),
    };
    if spec.expires.is_some() && spec.default.is_none() {
        let what = format!("`{}` has no default that could expire", spec.name);
        table.problem("expires", what, "give it a `default`, or take `expires` out");
    }
    if spec.secret_path && spec.kind != SettingKind::Url {
        let what = format!("`{}` has no path to keep secret", spec.name);
        table.problem("secret_path", what, "write kind = \"url\" with `secret_path`");
    }
    spec
}

/// `[events]` of a template: our names and theirs.
pub(crate) fn event_names(root: &Table<'_>) -> BTreeMap<String, String> {
    let Some(table) = root.table("events") else { return BTreeMap::new() };
    for ours in table.keys().into_iter().filter(|ours| !EventName::known().any(|known| known == *ours)) {
        let hint = match did_you_mean(ours, EventName::known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("names here are {}", EventName::known().collect::<Vec<_>>().join(", ")),
        };
        table.problem(ours, format!("`{ours}` is none of our event names"), hint);
    }
    table.free_texts().into_iter().map(|(ours, theirs)| (ours.to_owned(), theirs.value)).collect()
}

fn request(root: &Table<'_>, settings: &[String]) -> Option<RequestPart> {
    let table = root.table_or_empty("request")?;
    let content_type = table.text("content_type").map(|text| text.value);
    let named = |key| {
        let found = table.table(key).map(|table| table.free_texts()).unwrap_or_default();
        found.into_iter().map(|(name, text)| (name.to_owned(), text)).collect::<Vec<_>>()
    };
    let form = named("form");
    let usual_type = if form.is_empty() { "application/json" } else { "application/x-www-form-urlencoded" };
    let part = RequestPart {
        method: request_method(&table).unwrap_or_else(|| "POST".to_owned()),
        url: table.required_text("url", "\"https://…\"").unwrap_or_default(),
        content_type: content_type.unwrap_or_else(|| usual_type.to_owned()),
        headers: named("headers"),
        query: named("query"),
        form,
        auth: auth::read(&table, settings),
    };
    if part.method == "GET" && !part.form.is_empty() {
        table.problem("form", "a GET request has no body", "write them under [request.query], or a POST");
    }
    table.finish();
    Some(part)
}

fn requirement(table: &Table<'_>) -> Option<Requirement> {
    let (any, all) = (texts(table, "any"), texts(table, "all"));
    let any_of = table.text_lists("any_of").unwrap_or_default();
    let number = table.text("number").map(|number| number.value);
    let least = table.parsed("at_least", decimal);
    let events = texts(table, "events");
    let why = table.needed_text("why");
    let hint = table.text("hint").map(|hint| hint.value);
    let from_click = table.flag("from_click").unwrap_or(false);
    let when = table.read_table("when", |when| RequiredWhen {
        at: when.needed_text("at"),
        equals: when.text("equals").map(|text| text.value),
    });
    let one_of = !any.is_empty() || !any_of.is_empty();
    let test = match (one_of, all.is_empty(), number, table.has("at_least")) {
        (true, true, None, false) if any.is_empty() => RequirementTest::AnyOf(any_of),
        (true, true, None, false) if any_of.is_empty() => {
            RequirementTest::AnyOf(any.into_iter().map(|place| vec![place]).collect())
        }
        (false, false, None, false) => RequirementTest::All(all),
        (false, true, Some(at), true) => RequirementTest::AtLeast(at, least?),
        _ => {
            let hint = "give it `any`, `any_of` or `all`, or `number` and `at_least` (as text)";
            table.head_problem("a requirement says one thing", hint);
            return None;
        }
    };
    if from_click && hint.is_some() {
        table.problem("hint", "`from_click` says what to do already", "take `hint` or `from_click` out");
    }
    Some(Requirement { events, when, test, why, hint, from_click, line: table.line() })
}

/// A value that a person must give before a template can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingSpec {
    pub name: String,
    pub label: String,
    pub required: bool,
    /// A secret is masked wherever a request is shown or stored.
    pub secret: bool,
    /// Of an address, what is behind the host is masked in the same way: it may hold a key.
    pub secret_path: bool,
    /// Where to find it.
    pub hint: String,
    pub default: Option<String>,
    /// From when the platform refuses the default, where that is known.
    pub expires: Option<Time>,
    pub kind: SettingKind,
}

/// What a setting must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    Text,
    /// Digits only.
    Digits,
    /// A whole http or https address.
    Url,
    /// `whsec_` and base64 of 24–64 bytes.
    SigningKey,
    /// By its code or its English name.
    Country,
    /// The JSON key file of a service account.
    ServiceAccount,
}
