//! A preset with the settings of one postback: its URL, what its macros say, and what keeps a conversion from being sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::change_rules::{ChangeRules, Changes, OnRejected, OnValue};
use crate::domain::click::{Click, find};
use crate::domain::event::EventName;
use crate::domain::money::Money;
use crate::domain::skip::{ClickParts, LowValue, MissingValue, SkipReason};
use crate::domain::status::Status;
use crate::template::destination::account_settings::{
    check_setting, check_web_address, events, secrets_of, spellings, unknown_setting, value_of,
};
use crate::template::destination::fields;
use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::destination::spec::{SpecPart, SpecProblem};
use crate::template::diagnostic::Problem;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::macros::names::{AMOUNTS, MacroContext};
use crate::template::macros::url::MacroUrl;
use crate::template::preset::definition::{EVENT_NAME, LANDING_CLICK_ID, PostbackPreset};
use crate::template::preset::file::{CLICK_PARAM, MacroRequirement, check_param};
use crate::template::preset::fill;

/// What a configuration says of one postback that is a preset's.
pub struct PresetSpec {
    /// Built in, or of a user's own folder.
    pub preset: Arc<PostbackPreset>,
    /// Replaces scheme and host of the preset's URL and goes before its path.
    pub endpoint: Option<String>,
    /// What `[postback.settings]` says, by name; secrets are in it as they are used.
    pub settings: BTreeMap<String, String>,
    /// Our event names and the receiver's, over the preset's table.
    pub events: BTreeMap<String, String>,
}

/// A preset as one postback uses it.
#[derive(Clone)]
pub struct PresetUse {
    preset: Arc<PostbackPreset>,
    /// The landing parameter that brings the receiver's click id.
    click_param: Option<String>,
    events: BTreeMap<EventName, String>,
    /// The name of every event without one of its own.
    other_events: Option<String>,
}

/// What is reported: the conversion with its click, and what its buyer earns by it.
pub(crate) struct ReportedSale<'a> {
    pub context: &'a MacroContext<'a>,
    pub earned: Option<Money>,
}

impl PresetUse {
    /// Joins a preset and the settings of one postback: its URL, and what else holds for it.
    ///
    /// # Errors
    /// Every missing, unknown or unreadable setting at once; where those are right, a URL that is none.
    pub fn build(spec: PresetSpec) -> Result<(MacroUrl, PresetUse), Vec<SpecProblem>> {
        let PresetSpec { preset, endpoint, settings, events: given } = spec;
        let mut problems = Vec::new();
        let specs = preset.settings();
        for name in settings.keys().filter(|name| !specs.iter().any(|known| known.name == **name)) {
            problems.push(SpecProblem::of_setting(name, unknown_setting(name, specs)));
        }
        let values: Vec<Option<String>> = specs.iter().map(|known| value_of(known, &settings)).collect();
        for (known, value) in specs.iter().zip(&values) {
            let wrong = check_value(known, value.as_deref()).err();
            problems.extend(wrong.map(|problem| SpecProblem::of_setting(&known.name, problem)));
        }
        let wrong = endpoint.as_deref().and_then(|endpoint| check_web_address("endpoint", endpoint).err());
        problems.extend(wrong.map(|problem| SpecProblem { part: SpecPart::Endpoint, problem }));
        let events = events(&given, &mut problems);
        let value = |number: usize| values.get(number).cloned().flatten();
        let other_events = preset.file.event_setting.and_then(value);
        let usage = PresetUse { preset, click_param: None, events, other_events };
        problems.extend(usage.event_problem());
        if !problems.is_empty() {
            return Err(problems);
        }
        let specs = usage.preset.settings();
        let url = url(&usage.preset, specs, &values, endpoint.as_deref()).map_err(|wrong| vec![wrong])?;
        let named = specs.iter().zip(values).find(|(spec, _)| spec.name == CLICK_PARAM);
        let click_param = named.and_then(|(_, value)| value);
        Ok((url, PresetUse { click_param, ..usage }))
    }

    /// What names no event where the preset's URL says one, or names one where it does not.
    fn event_problem(&self) -> Option<SpecProblem> {
        let file = &self.preset.file;
        if let (Some(event), false) = (self.events.keys().next(), self.preset.names_events()) {
            let what = format!("`{}` has no names of events", self.preset.name());
            let problem = Problem::new(what, "take the table of events out");
            return Some(SpecProblem::of_event(event.as_str(), problem));
        }
        let is_named = !self.events.is_empty() || !file.events.is_empty() || self.other_events.is_some();
        if is_named || file.sends_unnamed || !self.preset.names_events() {
            return None;
        }
        let setting = file.event_setting.and_then(|number| file.settings.get(number));
        let what = "no event has a name at the receiver: nothing would ever be sent";
        let hint = match setting {
            Some(setting) => format!(
                "give the setting `{}` ({}): {}; or name each event under `events`",
                setting.name, setting.label, setting.hint
            ),
            None => "name each event under `events`, as in Purchase = \"…\"".to_owned(),
        };
        let name = setting.map_or("events", |setting| setting.name.as_str());
        Some(SpecProblem::of_setting(name, Problem::new(what, hint)))
    }

    /// The preset.
    pub fn preset(&self) -> &PostbackPreset {
        &self.preset
    }

    /// What the receiver can be informed of after it was sent a conversion, where no one says so: where it has a word for
    /// what is rejected, and is sent the sale's number, so that it takes no other of the same click for it, that it no
    /// longer counts, and that it does again. Elsewhere a rejection is irreversible.
    pub fn changes(&self) -> Changes {
        let takes_back = ChangeRules {
            on_rejected: OnRejected::Retract,
            after_retract: OnValue::Restate,
            ..ChangeRules::NONE
        };
        let has_word = self.preset.statuses().contains_key(&Status::Rejected);
        let is_by_number = self.preset.says("transaction_id");
        Changes::By(if has_word && is_by_number { takes_back } else { ChangeRules::NONE })
    }

    /// The landing parameter that brings the receiver's own click id: to be kept with clicks.
    pub fn click_param(&self) -> Option<&str> {
        self.click_param.as_deref()
    }

    /// What is to be written into the tracking URL.
    pub fn tracking(&self) -> Option<String> {
        self.preset.tracking(self.click_param()?)
    }

    /// The receiver's name of an event.
    pub(crate) fn event_name(&self, event: &EventName) -> Option<&str> {
        let own = self.events.get(event).or_else(|| self.preset.events().get(event));
        own.or(self.other_events.as_ref()).map(String::as_str)
    }

    /// What a macro of the URL says.
    pub(crate) fn value(&self, name: &str, sale: &ReportedSale<'_>) -> Option<String> {
        let context = sale.context;
        match name {
            LANDING_CLICK_ID => self.landing_click_id(context.click),
            EVENT_NAME => self.event_name(&context.conversion.event).map(str::to_owned),
            "earned" => Some(self.rounded(self.taken(sale.earned)?.amount).to_string()),
            "earned_currency" => Some(self.taken(sale.earned)?.currency.to_string()),
            "status" => {
                let (status, words) = (context.conversion.status, self.preset.statuses());
                // To the receiver it does not count, as what is rejected.
                let known = if status == Status::Scrubbed { Status::Rejected } else { status };
                let theirs = words.get(&status).or_else(|| words.get(&known));
                theirs.cloned().or_else(|| context.value(name))
            }
            _ if AMOUNTS.contains(&name) => {
                let amount = context.value(name)?;
                Some(amount.parse().map_or(amount, |amount| self.rounded(amount).to_string()))
            }
            _ => context.value(name),
        }
    }

    /// What is earned, where it is in the currency that the receiver takes.
    pub(crate) fn taken(&self, earned: Option<Money>) -> Option<Money> {
        let wanted = self.preset.file.currency;
        earned.filter(|earned| wanted.is_none_or(|wanted| wanted == earned.currency))
    }

    /// An amount with the digits that the receiver takes.
    pub(crate) fn rounded(&self, amount: Decimal) -> Decimal {
        let Some(digits) = self.preset.file.decimals else { return amount };
        amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
    }

    /// Why nothing is sent of the conversion: the receiver would not count it.
    pub(crate) fn refusal(&self, sale: &ReportedSale<'_>) -> Option<SkipReason> {
        let conversion = sale.context.conversion;
        let needs_name = self.preset.names_events() && !self.preset.file.sends_unnamed;
        if needs_name && self.event_name(&conversion.event).is_none() {
            return Some(SkipReason::EventNotMapped { event: conversion.event.clone() });
        }
        if let Some(param) = &self.click_param
            && self.landing_click_id(sale.context.click).is_none()
        {
            return Some(SkipReason::PayloadIncomplete(Box::new(self.missing_click_id(param, sale))));
        }
        self.preset.file.requirements.iter().find_map(|required| self.unmet(required, sale))
    }

    fn missing_click_id(&self, param: &str, sale: &ReportedSale<'_>) -> MissingValue {
        let click = sale.context.click.map(|click| click.id.clone());
        MissingValue {
            fields: vec![param.to_owned()],
            any: false,
            why: format!(
                "{} counts a conversion by the click id that its own link brought",
                self.preset.label()
            ),
            click: Some(ClickParts { click, params: vec![param.to_owned()], cookies: Vec::new() }),
            hint: None,
        }
    }

    fn unmet(&self, required: &MacroRequirement, sale: &ReportedSale<'_>) -> Option<SkipReason> {
        let (field, why) = (required.name.clone(), required.why.clone());
        let Some(value) = self.value(&required.name, sale) else {
            let (fields, click, hint) = (vec![field], None, None);
            let missing = MissingValue { fields, any: false, why, click, hint };
            return Some(SkipReason::PayloadIncomplete(Box::new(missing)));
        };
        let least = required.least?;
        let is_low = value.parse().is_ok_and(|amount: Decimal| amount < least);
        let low = || LowValue { field, value, least: least.to_string(), why };
        is_low.then(|| SkipReason::ValueTooLow(Box::new(low())))
    }

    /// The receiver's click id as the click's link brought it; none where nothing was filled in there.
    pub(crate) fn landing_click_id(&self, click: Option<&Click>) -> Option<String> {
        let (param, click) = (self.click_param.as_deref()?, click?);
        let kept = find(&click.params, param).or_else(|| find(&click.sub_ids, param)).map(str::to_owned);
        let of_page = || fields::landing_parameter(click.landing_url.as_deref()?, param);
        let found = kept.or_else(of_page)?;
        let is_sound = classify(&found, found.as_bytes(), ValueUse::Id) == ValueClass::Sound;
        is_sound.then(|| found.trim().to_owned())
    }
}

fn check_value(spec: &SettingSpec, value: Option<&str>) -> Result<(), Problem> {
    check_setting(spec, value)?;
    match value {
        Some(name) if spec.name == CLICK_PARAM => check_param(name).map(drop),
        Some(address) if spec.kind == SettingKind::Url => fill::check_address(&spec.name, address),
        _ => Ok(()),
    }
}

/// The postback's URL, with what of it is secret.
fn url(
    preset: &PostbackPreset,
    specs: &[SettingSpec],
    values: &[Option<String>],
    endpoint: Option<&str>,
) -> Result<MacroUrl, SpecProblem> {
    let filled = fill::filled(preset.url().trim(), specs, values);
    let filled = match endpoint {
        Some(endpoint) => fill::at_endpoint(&filled, endpoint),
        None => filled,
    };
    let given = specs.iter().zip(values).filter_map(|(spec, value)| Some((spec, value.as_deref()?)));
    let secrets = given.flat_map(|(spec, value)| secrets_of(spec, value)).flat_map(spellings);
    let mut secrets: Vec<String> = secrets.collect();
    // The longest first: masked after one that it contains, its end would stay.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    match fill::compiled(&filled) {
        Ok(url) => Ok(url.with_secrets(secrets)),
        // What is wrong with it quotes the URL, secrets and all: the preset's own is shown in its place.
        Err(problem) => {
            let what = problem.what.replace(&filled, preset.url().trim());
            let what = if secrets.iter().any(|secret| what.contains(secret.as_str())) {
                "with these settings it is not a web address".to_owned()
            } else {
                what
            };
            let part = if endpoint.is_some() { SpecPart::Endpoint } else { SpecPart::Mode };
            Err(SpecProblem { part, problem: Problem { what, ..problem } })
        }
    }
}
