//! `preset = "…"` of an outgoing postback, with its settings: in the place of a URL of one's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::destination::{SettingsTable, endpoint, read_settings, renamed};
use crate::config::exposure;
use crate::template::catalog::Catalog;
use crate::template::destination::file::SettingKind;
use crate::template::destination::spec::{SpecPart, SpecProblem};
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::macros::url::MacroUrl;
use crate::template::preset::definition::PostbackPreset;
use crate::template::preset::usage::{PresetSpec, PresetUse};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// What a postback's own table says of its preset.
struct PresetTables<'a> {
    settings: Option<Table<'a>>,
    events: Option<Table<'a>>,
    read: SettingsTable,
    named: BTreeMap<String, String>,
}

/// The keys of a postback that only a preset reads.
const OF_PRESETS: [&str; 3] = ["settings", "events", "endpoint"];

/// The URL of a postback that names a preset; `None` where something is wrong with it.
pub fn read(section: &Table<'_>, catalog: &Catalog) -> Option<(MacroUrl, Arc<PresetUse>)> {
    if section.has("url") {
        section.problem("preset", "`url` and `preset` are both there", "take one of them out");
    }
    if section.has("macro") {
        section.problem("macro", "a preset's macros are written as its own file says", "take `macro` out");
    }
    let endpoint = section.parsed("endpoint", endpoint);
    let preset = section.parsed("preset", |text| find(text, catalog)).flatten();
    let tables = PresetTables::read(section)?;
    let preset = preset?;
    warn_of_odd_secrets(&tables, &preset);
    let spec = PresetSpec {
        preset,
        endpoint: endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        settings: tables.read.read.clone(),
        events: tables.named.clone(),
    };
    match PresetUse::build(spec) {
        Ok((url, usage)) => Some((url, Arc::new(usage))).filter(|_| !section.has("url")),
        Err(problems) => {
            problems.into_iter().for_each(|problem| tables.report(section, problem));
            None
        }
    }
}

/// What only a preset reads, where there is none.
pub fn refuse_without_preset(section: &Table<'_>) {
    for key in OF_PRESETS.into_iter().filter(|key| section.has(key)) {
        let what = format!("`{key}` belongs to a `preset`, and there is none");
        section.problem(key, what, format!("name a preset, or take `{key}` out"));
    }
}

/// Nothing is said of one that is broken: that is said where it is.
fn find(text: &Text, catalog: &Catalog) -> Result<Option<Arc<PostbackPreset>>, Problem> {
    match catalog.preset(&text.value) {
        None if !catalog.has_broken_preset(&text.value) => Err(unknown_preset(text, &catalog.preset_names())),
        found => Ok(found),
    }
}

fn unknown_preset(text: &Text, known: &[&str]) -> Problem {
    let hint = match did_you_mean(&text.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("presets: {}; your own go into [templates] path", known.join(", ")),
    };
    Problem::new(format!("there is no preset {}", text.shown()), hint)
}

impl<'a> PresetTables<'a> {
    /// `None` where one of them is no table.
    fn read(section: &Table<'a>) -> Option<PresetTables<'a>> {
        let (settings, events) = (section.table("settings"), section.table("events"));
        let is_wrong = |key: &'static str, table: &Option<Table<'a>>| section.has(key) && table.is_none();
        if is_wrong("settings", &settings) || is_wrong("events", &events) {
            return None;
        }
        let read = settings.as_ref().map(read_settings).unwrap_or_default();
        let named = events.as_ref().map(renamed).unwrap_or_default();
        Some(PresetTables { settings, events, read, named })
    }

    /// Keeps a problem at the line of what it is about; a setting that could not be read is reported already.
    fn report(&self, section: &Table<'_>, SpecProblem { part, problem }: SpecProblem) {
        if part.setting().is_some_and(|name| self.read.unread.contains(name)) {
            return;
        }
        let of = |table: &Option<Table<'a>>, name: &str| table.as_ref().map(|table| table.line_of(name));
        let line = match &part {
            SpecPart::Setting(name) | SpecPart::TestSetting(name) => of(&self.settings, name),
            SpecPart::Event(name) => of(&self.events, name),
            SpecPart::Endpoint | SpecPart::TokenEndpoint => Some(section.line_of("endpoint")),
            SpecPart::Mode | SpecPart::OnRejected => None,
        };
        section.document().problem(line.unwrap_or_else(|| section.line_of("preset")), problem);
    }
}

/// A token that was pasted with more than itself is refused at the first sale.
fn warn_of_odd_secrets(tables: &PresetTables<'_>, preset: &PostbackPreset) {
    let Some(table) = &tables.settings else { return };
    for spec in preset.settings().iter().filter(|spec| spec.secret && spec.kind == SettingKind::Text) {
        if let Some(secret) = tables.read.read.get(&spec.name) {
            exposure::warn_of_odd_secret(table, &spec.name, secret.trim());
        }
    }
}
