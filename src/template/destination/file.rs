//! The shape of a destination.toml, read with every problem placed on its line.

use std::collections::BTreeMap;

use crate::domain::event::EventName;
use crate::domain::money::{DecimalMark, parse_decimal};
use crate::domain::routing::Changes;
use crate::domain::time::HOUR_MS;
use crate::template::destination::reply::ReplyRules;
use crate::template::destination::reply_file;
use crate::template::destination::require::{Requirement, RequirementTest};
use crate::template::destination::setting::{SettingKind, SettingSpec};
use crate::template::diagnostic::Problem;
use crate::template::sheet::{Lined, Sheet, Table};

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
    pub changes: Changes,
    /// Whether it is an ad platform's, which gets nothing of a visitor who refused `ad_user_data`.
    pub personal: bool,
    pub request: RequestPart,
    /// The settings that the platform's test mode needs; `None`: it has no test mode.
    pub test: Option<Vec<usize>>,
    pub requirements: Vec<Requirement>,
    pub reply: ReplyRules,
}

pub(crate) struct RequestPart {
    pub method: String,
    pub url: Lined<String>,
    pub content_type: String,
    pub headers: Vec<(String, Lined<String>)>,
    pub auth: Auth,
}

/// How a request says who sends it. Settings are named by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    /// A header that is a setting, after a fixed word.
    Header {
        name: String,
        prefix: String,
        setting: usize,
    },
    /// Signed by each of these keys that is set.
    StandardWebhooks {
        keys: Vec<usize>,
    },
}

/// Reads the file.
pub(crate) fn read(file: &str, text: &str) -> Result<DestinationFile, Vec<Problem>> {
    Sheet::new(file, text).read(read_root)
}

fn read_root(root: &Table<'_>) -> DestinationFile {
    let settings: Vec<SettingSpec> = root.tables("setting").iter().map(setting).collect();
    for (index, spec) in settings.iter().enumerate() {
        if settings.iter().take(index).any(|earlier| earlier.name == spec.name) {
            root.wrong(format!("the setting `{}` is declared twice", spec.name), "take one out");
        }
    }
    let names: Vec<String> = settings.iter().map(|setting| setting.name.clone()).collect();
    let plain = |texts: Vec<Lined<String>>| texts.into_iter().map(|text| text.value).collect::<Vec<_>>();
    let max_age_hours = root.integer("max_age_hours");
    if max_age_hours.is_some_and(|hours| !(1..=87_600).contains(&hours)) {
        root.wrong("`max_age_hours` is not within 1 and 87600", "write whole hours");
    }
    if let Some(batch) = root.table("batch") {
        if batch.integer("max").is_some_and(|max| max != 1) {
            batch.wrong("`batch.max` is not 1", "events are sent one by one: write 1");
        }
        batch.finish();
    }
    DestinationFile {
        label: root.needed_text("label").value,
        docs: root.text("docs").map(|docs| docs.value).unwrap_or_default(),
        events: events(root),
        pass_custom_events: choice(root, "custom_events", &[("pass", true), ("skip", false)])
            .unwrap_or(false),
        landing_params: plain(root.texts("landing_params")),
        cookies: plain(root.texts("cookies")),
        max_age_ms: max_age_hours.map(|hours| hours.saturating_mul(HOUR_MS)),
        changes: choice(root, "changes", &[("ignore", Changes::Ignore), ("send", Changes::Send)])
            .unwrap_or(Changes::Ignore),
        personal: root.truth("personal").unwrap_or(true),
        request: request(root, &names),
        test: root.table("test").map(|test| {
            let needs = test.texts("needs").into_iter().filter_map(|need| number_of(&test, &names, &need));
            let needs = needs.collect();
            test.finish();
            needs
        }),
        requirements: root.tables("require").iter().filter_map(requirement).collect(),
        reply: root.table("reply").map(|reply| reply_file::read(&reply)).unwrap_or_default(),
        settings,
    }
}

fn setting(table: &Table<'_>) -> SettingSpec {
    let kinds = [
        ("text", SettingKind::Text),
        ("digits", SettingKind::Digits),
        ("url", SettingKind::Url),
        ("signing-key", SettingKind::SigningKey),
    ];
    let spec = SettingSpec {
        name: table.needed_text("name").value,
        label: table.needed_text("label").value,
        required: table.truth("required").unwrap_or(false),
        secret: table.truth("secret").unwrap_or(false),
        secret_path: table.truth("secret_path").unwrap_or(false),
        hint: table.text("hint").map(|hint| hint.value).unwrap_or_default(),
        default: table.text("default").map(|default| default.value),
        kind: choice(table, "kind", &kinds).unwrap_or(SettingKind::Text),
    };
    if spec.secret_path && spec.kind != SettingKind::Url {
        table.wrong(
            format!("`{}` has no path to keep secret", spec.name),
            "write kind = \"url\" with `secret_path`",
        );
    }
    table.finish();
    spec
}

/// The value of `key` among named choices.
fn choice<T: Copy>(table: &Table<'_>, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
    let text = table.text(key)?.value;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        table.wrong(format!("`{key}` is `{text}`"), format!("write one of {}", names.join(", ")));
    }
    found
}

fn events(root: &Table<'_>) -> BTreeMap<String, String> {
    let Some(table) = root.table("events") else { return BTreeMap::new() };
    let mut events = BTreeMap::new();
    for (ours, theirs) in table.pairs() {
        if !EventName::STANDARD.contains(&ours.as_str()) {
            let hint = format!("names here are {}", EventName::STANDARD.join(", "));
            table.wrong(format!("`{ours}` is none of our event names"), hint);
        }
        events.insert(ours, theirs.value);
    }
    events
}

fn request(root: &Table<'_>, settings: &[String]) -> RequestPart {
    let Some(table) = root.table("request") else {
        root.wrong("`[request]` is missing", "add it with `method` and `url`");
        let url = Lined { value: String::new(), line: 1 };
        let method = "POST".to_owned();
        return RequestPart {
            method,
            url,
            content_type: String::new(),
            headers: Vec::new(),
            auth: Auth::None,
        };
    };
    let methods = [("GET", "GET"), ("POST", "POST"), ("PUT", "PUT")];
    let part = RequestPart {
        method: choice(&table, "method", &methods).unwrap_or("POST").to_owned(),
        url: table.needed_text("url"),
        content_type: table
            .text("content_type")
            .map_or_else(|| "application/json".to_owned(), |content_type| content_type.value),
        headers: table.table("headers").map(|headers| headers.pairs()).unwrap_or_default(),
        auth: table.table("auth").map_or(Auth::None, |auth| read_auth(&auth, settings)),
    };
    table.finish();
    part
}

fn read_auth(table: &Table<'_>, settings: &[String]) -> Auth {
    let number = |name: Lined<String>| number_of(table, settings, &name).unwrap_or(0);
    let kind = table.needed_text("kind").value;
    let auth = match kind.as_str() {
        "none" => Auth::None,
        "bearer" => Auth::Header {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            setting: number(table.needed_text("setting")),
        },
        "header" => Auth::Header {
            name: table.needed_text("header").value.to_lowercase(),
            prefix: table.text("prefix").map(|prefix| prefix.value).unwrap_or_default(),
            setting: number(table.needed_text("setting")),
        },
        "standard-webhooks" => {
            let keys = table.texts("keys");
            if keys.is_empty() {
                table.wrong("`keys` is missing", "list the settings that hold the signing keys");
            }
            Auth::StandardWebhooks {
                keys: keys.iter().filter_map(|key| number_of(table, settings, key)).collect(),
            }
        }
        other => {
            table.wrong(
                format!("`{other}` is no kind of authentication"),
                "write none, bearer, header or standard-webhooks",
            );
            return Auth::None;
        }
    };
    table.finish();
    auth
}

fn number_of(table: &Table<'_>, settings: &[String], name: &Lined<String>) -> Option<usize> {
    let found = settings.iter().position(|known| *known == name.value);
    if found.is_none() && !name.value.is_empty() {
        table.wrong(
            format!("there is no setting `{}`", name.value),
            format!("settings are {}", settings.join(", ")),
        );
    }
    found
}

fn requirement(table: &Table<'_>) -> Option<Requirement> {
    let plain = |texts: Vec<Lined<String>>| texts.into_iter().map(|text| text.value).collect::<Vec<_>>();
    let any = plain(table.texts("any"));
    let all = plain(table.texts("all"));
    let number = table.text("number").map(|number| number.value);
    let least = table.text("at_least").map(|least| least.value);
    let events = plain(table.texts("events"));
    let why = table.needed_text("why").value;
    let from_click = table.truth("from_click").unwrap_or(false);
    table.finish();
    let test = match (any.is_empty(), all.is_empty(), number, least) {
        (false, true, None, None) => RequirementTest::Any(any),
        (true, false, None, None) => RequirementTest::All(all),
        (true, true, Some(at), Some(least)) => match parse_decimal(&least, DecimalMark::Dot) {
            Some(least) => RequirementTest::AtLeast(at, least),
            None => {
                table.wrong(format!("`{least}` is no decimal"), "write it as in \"0\" or \"0.01\"");
                return None;
            }
        },
        _ => {
            table.wrong(
                "a requirement says one thing",
                "give it `any`, or `all`, or `number` and `at_least` (as text)",
            );
            return None;
        }
    };
    Some(Requirement { events, test, why, from_click, line: table.line() })
}
