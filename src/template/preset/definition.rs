//! A preset: the postback URL of one traffic source or tracker, how it counts a conversion, and what it answers.

use std::collections::BTreeMap;

use crate::domain::delivery::Reply;
use crate::domain::event::EventName;
use crate::domain::status::Status;
use crate::template::destination::calculation;
use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::diagnostic::Problem;
use crate::template::macros::url::MacroUrl;
use crate::template::preset::file::{self, ClickParam, PresetFile};
use crate::template::preset::fill;
use crate::template::provenance::{self, FactDoubt, FactKind, FactLevel, PlatformFact};

/// The macro of the receiver's own click id.
pub(crate) const LANDING_CLICK_ID: &str = "landing_click_id";
/// The macro of the receiver's name of the event.
pub(crate) const EVENT_NAME: &str = "event_name";

/// One receiver's postback, read and checked as a whole; shared by every postback that is sent to it.
pub struct PostbackPreset {
    name: String,
    pub(crate) file: PresetFile,
    /// The macros of its URL, each once.
    names: Vec<String>,
}

impl PostbackPreset {
    /// Reads a preset's file, which problems call `place`. `name` is the file's name without its ending.
    ///
    /// # Errors
    /// Everything that is wrong in it, at once.
    pub fn parse(name: &str, place: &str, text: &str) -> Result<PostbackPreset, Vec<Problem>> {
        let file = file::read(place, text)?;
        let at = |problem: Problem| problem.at(place, file.url.line);
        let url = check_url(&file).map_err(|problem| vec![at(problem)])?;
        let names: Vec<String> = url.names().into_iter().map(str::to_owned).collect();
        let problems = unused(&file, &names);
        if !problems.is_empty() {
            return Err(problems.into_iter().map(at).collect());
        }
        Ok(PostbackPreset { name: name.to_owned(), file, names })
    }

    /// The file's name, by which a configuration names the preset.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a person calls the receiver.
    pub fn label(&self) -> &str {
        &self.file.label
    }

    /// Where the receiver documents its postbacks.
    pub fn docs(&self) -> &str {
        &self.file.docs
    }

    /// The URL as the file has it, with macros and settings.
    pub fn url(&self) -> &str {
        &self.file.url.value
    }

    /// What a person has to say about the account, in the order of the file; the name of the landing parameter last.
    pub fn settings(&self) -> &[SettingSpec] {
        &self.file.settings
    }

    /// What brings the receiver's own click id; `None`: it wants none.
    pub fn click(&self) -> Option<&ClickParam> {
        self.file.click.as_ref()
    }

    /// Our event names and the receiver's.
    pub fn events(&self) -> &BTreeMap<EventName, String> {
        &self.file.events
    }

    /// What the receiver calls our statuses.
    pub fn statuses(&self) -> &BTreeMap<Status, String> {
        &self.file.statuses
    }

    /// Whether its URL says the receiver's name of the event.
    pub fn names_events(&self) -> bool {
        self.says(EVENT_NAME)
    }

    /// How many reply rules are its own.
    pub fn reply_rules(&self) -> usize {
        self.file.own_rules
    }

    /// The number of its own reply rule that decides over a reply; `None`: what holds for all receivers does.
    pub fn rule_of(&self, reply: &Reply) -> Option<usize> {
        self.file.reply.deciding(reply).filter(|number| *number < self.file.own_rules)
    }

    /// For how long the receiver counts a conversion once that it is sent again, in milliseconds; `None`: it counts each.
    pub fn dedup_ms(&self) -> Option<i64> {
        self.file.dedup_ms
    }

    /// Where its facts are from, in the order of the file.
    pub fn facts(&self) -> &[PlatformFact] {
        &self.file.facts
    }

    /// How sure what it cannot do without is: the least sure of those facts; `None`: it names no source of one.
    pub fn level(&self) -> Option<FactLevel> {
        let needed = FactKind::NAMES.into_iter().map(|(_, about)| about).filter(|about| self.needs(*about));
        let of_kind = |about| {
            let facts = self.facts().iter().filter(|fact| fact.about == about);
            facts.map(|fact| fact.provenance.level).max()
        };
        needed.map(of_kind).collect::<Option<Vec<FactLevel>>>()?.into_iter().max()
    }

    /// What of its facts is in doubt.
    pub fn doubts(&self) -> Vec<FactDoubt> {
        provenance::doubts_of(self.facts(), |about| self.needs(about))
    }

    /// What is to be written into the tracking URL; `None` where nothing is. `param`: the name of the parameter.
    pub fn tracking(&self, param: &str) -> Option<String> {
        let filled_by = self.click()?.filled_by.as_ref()?;
        Some(format!("{param}={filled_by}"))
    }

    /// Whether its URL has this macro.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Where a conversion is lost if such a fact is wrong.
    fn needs(&self, about: FactKind) -> bool {
        about == FactKind::Url || (about == FactKind::ClickIds && self.click().is_some())
    }
}

/// The URL with a sample of every setting in it.
fn check_url(file: &PresetFile) -> Result<MacroUrl, Problem> {
    let url = file.url.value.trim();
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let named = fill::named_settings(url, &file.settings)?;
    let is_optional = |setting: &SettingSpec| !setting.required && setting.default.is_none();
    for number in fill::named_settings(address, &file.settings)? {
        if let Some(setting) = file.settings.get(number).filter(|setting| is_optional(setting)) {
            let what = format!("the setting `{}` is in the address, and need not be there", setting.name);
            return Err(Problem::new(what, "write required = true, or give it a `default`"));
        }
    }
    let is_address =
        |number: &usize| file.settings.get(*number).is_some_and(|setting| setting.kind == SettingKind::Url);
    let in_query = fill::named_settings(query, &file.settings)?;
    let begins_with_it = url.starts_with("{settings.") && named.first().is_some_and(is_address);
    let addresses = named.iter().filter(|number| is_address(number)).count();
    if in_query.iter().any(is_address) || addresses > usize::from(begins_with_it) {
        let what = "a setting of kind \"url\" is a web address, with which the URL begins";
        return Err(Problem::new(what, "write it first, or another kind"));
    }
    let sample = |setting: &SettingSpec| match setting.kind {
        SettingKind::Url => Some("https://tracker.example".to_owned()),
        SettingKind::Digits => Some("1".to_owned()),
        _ => Some("x".to_owned()),
    };
    let samples: Vec<Option<String>> = file.settings.iter().map(sample).collect();
    let compiled = fill::compiled(&fill::filled(url, &file.settings, &samples))?;
    calculation::check_postback(&compiled)?;
    Ok(compiled)
}

/// What the file declares and its URL does not say, or the other way round.
fn unused(file: &PresetFile, names: &[String]) -> Vec<Problem> {
    let says = |name: &str| names.iter().any(|known| known == name);
    let mut problems = Vec::new();
    let mut lacks = |what: &str, hint: &str| problems.push(Problem::new(what, hint));
    match (&file.click, says(LANDING_CLICK_ID)) {
        (None, true) => lacks(
            "`{landing_click_id}` is in the URL, and nothing brings it",
            "say under [click] by which `param` it is received",
        ),
        (Some(_), false) => {
            lacks("the URL does not say the click id", "write `{landing_click_id}`, or take [click] out");
        }
        _ => {}
    }
    let has_events = !file.events.is_empty() || file.event_setting.is_some() || file.sends_unnamed;
    if has_events && !says(EVENT_NAME) {
        lacks("events have names, and the URL does not say them", "write `{event_name}` where it belongs");
    }
    if !file.statuses.is_empty() && !says("status") {
        lacks("statuses have names, and the URL does not say them", "write `{status}`, or take [status] out");
    }
    let used = fill::named_settings(&file.url.value, &file.settings).unwrap_or_default();
    let is_used = |number: usize, setting: &SettingSpec| {
        used.contains(&number) || file.event_setting == Some(number) || setting.name == file::CLICK_PARAM
    };
    let idle = file.settings.iter().enumerate().filter(|(number, setting)| !is_used(*number, setting));
    problems.extend(idle.map(|(_, setting)| {
        let what = format!("nothing says the setting `{}`", setting.name);
        Problem::new(what, format!("write `{{settings.{}}}` into the URL, or take it out", setting.name))
    }));
    problems
}
