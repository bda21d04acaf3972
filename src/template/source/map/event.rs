//! What happened, by a postback: its status, the currency of its amounts, the event, or that it is of nothing that
//! counts.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use crate::domain::conversion::EventClaim;
use crate::domain::event::EventName;
use crate::domain::ignored::IgnoredReason;
use crate::domain::money::Currency;
use crate::domain::rejection::param::ParamFault;
use crate::domain::rejection::wanted::WantedValue;
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::template::macros::detect::{ValueClass, ValueUse};
use crate::template::source::definition::Field;
use crate::template::source::events::{EventCondition, EventRule};
use crate::template::source::fault::{self, UnusableParam};
use crate::template::source::map::{FieldInput, Mapping};
use crate::template::source::params::{Param, problem, shown};
use crate::template::source::words::ParamWords;

impl<'a> Mapping<'a> {
    /// Our status, and the network's word for it in lower case.
    pub(super) fn status(&mut self) -> (Status, Option<String>) {
        let (param, word) = match self.find(Field::Status, ValueUse::Text) {
            FieldInput::Sound { param, text } => (Some(param), text),
            FieldInput::Absent => match self.default(Field::Status) {
                Some(word) => (None, Cow::Borrowed(word)),
                None => return (Status::Approved, None),
            },
            FieldInput::Bad { param, why } => {
                self.problems.push(why.of(param));
                return (Status::Approved, None);
            }
        };
        let word = trim(&word).to_lowercase();
        match self.template.status_of(self.binding, &word) {
            Some(status) => (status, Some(word)),
            None => {
                let name = param.map_or("status", |param| param.name.as_str());
                self.problems.push(fault::unknown_status(name, &word, (self.template, self.binding)));
                (Status::Approved, Some(word))
            }
        }
    }

    /// The postback's own currency, else the source's, else the template's.
    pub(super) fn currency(&mut self) -> Option<Currency> {
        match self.find(Field::Currency, ValueUse::Text) {
            FieldInput::Sound { param, text } => {
                let currency = Currency::check(&text);
                currency.map_err(|why| self.problems.push(fault::no_currency_code(param, why))).ok()
            }
            FieldInput::Bad { param, why } => {
                self.problems.push(why.of(param));
                None
            }
            FieldInput::Absent => {
                self.binding.currency.or_else(|| self.default(Field::Currency).and_then(Currency::parse))
            }
        }
    }

    /// By the first rule whose conditions hold; else named by the postback, else by its status, else by default, else
    /// inferred from the value.
    pub(super) fn event(
        &mut self,
        (status, status_word): (Status, Option<&str>),
        currency: Option<Currency>,
    ) -> Option<EventClaim> {
        if let Some(rule) = self.rule_that_holds(status, currency) {
            return rule.event.clone().map(EventClaim::Named);
        }
        let named = match self.find(Field::Event, ValueUse::Text) {
            FieldInput::Sound { param, text } => self.event_named(param, &text),
            // Of two events one was meant, and the other is another event.
            FieldInput::Bad { param, why: why @ UnusableParam::Twice(_) } => {
                self.problems.push(why.of(param));
                None
            }
            FieldInput::Bad { param, why } => {
                self.leave_out_unusable(param, &why);
                None
            }
            FieldInput::Absent => None,
        };
        let rules = &self.template.events;
        let by_status = || {
            let word = status_word?;
            rules.by_status.iter().find(|(known, _)| known == word).map(|(_, event)| event.clone())
        };
        let default = || self.default(Field::Event).and_then(EventName::parse);
        if let Some(name) = named.or_else(by_status).or_else(default) {
            return Some(EventClaim::Named(name));
        }
        let Some((positive, zero)) = &rules.by_value else {
            self.problems.push(fault::no_event(self.template));
            return None;
        };
        Some(EventClaim::ByValue {
            positive: self.binding.positive_event.as_ref().unwrap_or(positive).clone(),
            zero: self.binding.zero_event.as_ref().unwrap_or(zero).clone(),
        })
    }

    /// What an event word means. One that is ignored, or means nothing, is noted.
    fn event_named(&mut self, param: &'a Param, text: &str) -> Option<EventName> {
        let word = trim(text);
        let rules = &self.template.events;
        let known = self.template.event_of(self.binding, &word.to_lowercase());
        let is_the_accounts = self.binding.events.iter().any(|(known, _)| *known == word.to_lowercase());
        if !is_the_accounts && rules.ignores(&word.to_lowercase(), known.is_some()) {
            self.ignore(&param.name, word);
            return None;
        }
        let is_taken = |name: &EventName| rules.takes_others || EventName::STANDARD.contains(&name.as_str());
        let named = known.cloned().or_else(|| EventName::parse(word).filter(is_taken));
        if named.is_none() {
            self.leave_out(problem(param, ParamFault::InvalidValue { wanted: WantedValue::Event }));
        }
        named
    }

    fn ignore(&mut self, name: &str, word: &str) {
        let (field, value) = (shown("", name), shown(name, word));
        self.ignored.get_or_insert(IgnoredReason::ByTemplate { field, value });
    }

    /// The first rule of `[event]` whose conditions all hold; one that ignores is noted.
    fn rule_that_holds(&mut self, status: Status, currency: Option<Currency>) -> Option<&'a EventRule> {
        let template = self.template;
        let sign = template.events.rules.iter().any(EventRule::asks_for_value).then(|| self.sign(currency));
        let sign = sign.flatten();
        let rule = template.events.rules.iter().find(|rule| {
            rule.conditions.iter().all(|condition| match condition {
                EventCondition::Words(words) => self.has_word(words).is_some(),
                EventCondition::Status(statuses) => statuses.contains(&status),
                EventCondition::Value(wanted) => sign == Some(*wanted),
            })
        })?;
        if rule.event.is_none() {
            let of_words = rule.conditions.iter().find_map(|condition| match condition {
                EventCondition::Words(words) => self.has_word(words),
                EventCondition::Status(_) | EventCondition::Value(_) => None,
            });
            match of_words {
                Some(param) => self.ignore(&param.name, trim(&param.value)),
                None => self.ignore(Field::Status.name(), status.as_str()),
            }
        }
        Some(rule)
    }

    /// The parameter, where it has one of the words.
    pub(super) fn has_word(&self, words: &ParamWords) -> Option<&'a Param> {
        let param = self.indexed.get(words.param)?;
        let is_word = match self.template.classify(words.param, param, ValueUse::Text) {
            ValueClass::Sound => words.has(&param.value),
            // A word for nothing elsewhere may be one here.
            ValueClass::Nothing => words.names(&param.value),
            ValueClass::Empty | ValueClass::Macro(_) | ValueClass::Skeleton => false,
        };
        (is_word && self.indexed.wrong(words.param, param).is_none()).then_some(param)
    }

    /// Whether the value is above or below 0, or 0.
    fn sign(&mut self, currency: Option<Currency>) -> Option<Ordering> {
        // It is looked for again: what is left out on the way is noted then.
        let noted = self.left_out.len();
        let amount = self.amount(Field::Value, currency);
        self.left_out.truncate(noted);
        amount.ok().flatten().map(|(_, amount)| amount.cmp(&Decimal::ZERO))
    }
}
