//! Constants in a postback URL: for networks with one URL for each status or goal, and no macro that says which.
//!
//! `postbridge url SOURCE --set status=hold` writes one under the parameter that the template maps for the field,
//! else under the name that its `[constant]` has for it.

use percent_encoding::utf8_percent_encode;

use crate::domain::event::EventName;
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::macros::url::ENCODED;
use crate::template::source::constant_params::never_constant;
use crate::template::source::definition::{Field, FieldRule, SourceBinding, SourceTemplate, UrlParam};
use crate::template::source::file::wrong_default;
use crate::template::source::number::NoAmount;

/// A parameter of the URL with a text in the place of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlConstant {
    param: usize,
    value: String,
}

impl SourceTemplate {
    /// Whether something other than a constant is read as the field.
    pub(crate) fn maps(&self, field: Field) -> bool {
        let is_constant = |rule: &FieldRule| {
            self.constants.iter().any(|(of, param)| *of == field && *rule == FieldRule::One(*param))
        };
        let mut fields = self.fields.iter().filter(|(known, _)| *known == field);
        fields.any(|(_, readings)| readings.iter().any(|rule| !is_constant(rule)))
    }

    /// Reads `status=hold`.
    ///
    /// # Errors
    /// No field of this name, none that may be constant, none that the template reads from a parameter of the URL; a
    /// value that the source would not understand.
    pub fn constant(&self, binding: &SourceBinding, written: &str) -> Result<UrlConstant, Problem> {
        let Some((name, value)) = written.split_once('=') else {
            let what = format!("`{written}` sets nothing");
            return Err(Problem::new(what, "write a field and its value: --set status=hold"));
        };
        let (name, value) = (name.trim(), value.trim());
        let field = Field::parse(name).ok_or_else(|| self.unknown_field(name))?;
        if let Some(wrong) = never_constant(field) {
            let what = format!("`{name}` cannot be set: it {wrong}");
            return Err(Problem::new(what, "leave it to the network's macro"));
        }
        let param = self.constant_param(field)?;
        self.check_constant(binding, field, value)?;
        Ok(UrlConstant { param, value: value.to_owned() })
    }

    fn unknown_field(&self, name: &str) -> Problem {
        let fields = self.fields.iter().map(|(field, _)| *field);
        let fields = fields.filter(|field| never_constant(*field).is_none());
        let known: Vec<&str> = fields.map(Field::name).collect();
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the template `{}` reads {}", self.name, known.join(", ")),
        };
        Problem::new(format!("there is no field `{name}`"), hint)
    }

    /// The parameter of the URL that a constant for the field is written under.
    pub(crate) fn constant_param(&self, field: Field) -> Result<usize, Problem> {
        let own = self.constants.iter().find(|(of, _)| *of == field).map(|(_, param)| *param);
        let mapped = self.fields.iter().find(|(known, _)| *known == field);
        let first = mapped.filter(|_| self.maps(field)).and_then(|(_, readings)| readings.first());
        match first {
            // What a webhook maps is in its body, and would be there twice; a header is in no URL.
            Some(FieldRule::One(param)) if !self.is_webhook() && self.is_of_request(*param) => {
                return Ok(*param);
            }
            Some(FieldRule::Join(_)) if !self.is_webhook() => {}
            _ => {
                if let Some(own) = own {
                    return Ok(own);
                }
            }
        }
        let (template, name) = (&self.name, field.name());
        let why = match first {
            None => format!("the template `{template}` reads no `{name}`"),
            Some(_) if self.is_webhook() => format!("the template `{template}` reads `{name}` from the body"),
            Some(FieldRule::One(_)) => format!("the template `{template}` reads `{name}` from a header"),
            Some(_) => format!("the template `{template}` joins `{name}` of several parameters"),
        };
        let hint =
            format!("a template of your own may name a parameter for it: [constant] {name} = \"{name}\"");
        Err(Problem::new(format!("`{name}` cannot be set: {why}"), hint))
    }

    /// Whether what is read is a parameter, and no header.
    fn is_of_request(&self, index: usize) -> bool {
        self.names.find(self.names.name(index)) == Some(index)
    }

    /// Whether the source would understand the value where it is received.
    pub(crate) fn check_constant(
        &self,
        binding: &SourceBinding,
        field: Field,
        value: &str,
    ) -> Result<(), Problem> {
        let refused = |wrong: &str, hint: String| {
            let what = format!("`{value}` cannot be the `{}`: it {wrong}", field.name());
            Err(Problem::new(what, hint))
        };
        let as_received = || "it is read as if the network had sent it".to_owned();
        let used = match field {
            Field::ItemId => ValueUse::Id,
            Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount => ValueUse::Amount,
            _ => ValueUse::Text,
        };
        if self.is_word(binding, field, value) {
            return Ok(());
        }
        match classify(value, value.as_bytes(), used) {
            ValueClass::Sound => {}
            ValueClass::Empty => return refused("is empty", as_received()),
            _ => return refused("is no value, but the place of one", as_received()),
        }
        match field {
            Field::Status => {
                refused("is not a status that this source knows", self.known_words(binding, value))
            }
            Field::Event => {
                refused("is not an event that this source knows", self.known_events(binding, value))
            }
            _ if used == ValueUse::Amount => match self.amounts.read(value, binding.currency) {
                // Of which currency it counts the smallest units, the postback says.
                Ok(Some(_)) | Err(NoAmount::NoCurrency) => Ok(()),
                Ok(None) | Err(NoAmount::NotANumber | NoAmount::PartOfUnit) => {
                    refused("is not an amount as the network writes it", as_received())
                }
            },
            _ => match wrong_default(field, value, &self.statuses) {
                None => Ok(()),
                Some(wrong) => refused(wrong, as_received()),
            },
        }
    }

    /// Whether it is a status or an event that the source knows, even if it is a word for nothing elsewhere: `none`.
    pub(crate) fn is_word(&self, binding: &SourceBinding, field: Field, value: &str) -> bool {
        match field {
            Field::Status => self.status_words(binding).any(|word| word == value.to_lowercase()),
            Field::Event => self.knows_event(binding, value),
            _ => false,
        }
    }

    /// The account's own words, then the network's.
    pub(crate) fn status_words<'a>(&'a self, binding: &'a SourceBinding) -> impl Iterator<Item = &'a str> {
        binding.statuses.iter().chain(&self.statuses).map(|(word, _)| word.as_str())
    }

    fn known_words(&self, binding: &SourceBinding, typed: &str) -> String {
        let known: Vec<&str> = self.status_words(binding).collect();
        did_you_mean_one_of(&typed.to_lowercase(), &known)
    }

    fn event_words<'a>(&'a self, binding: &'a SourceBinding) -> impl Iterator<Item = &'a str> {
        binding.events.iter().chain(&self.events.names).map(|(word, _)| word.as_str())
    }

    fn knows_event(&self, binding: &SourceBinding, value: &str) -> bool {
        let word = value.to_lowercase();
        let is_ours = |event: EventName| EventName::known().any(|known| known == event.as_str());
        let is_known = self.event_of(binding, &word).is_some();
        let is_ignored =
            self.events.ignores(&word, is_known) && !binding.events.iter().any(|(known, _)| *known == word);
        !is_ignored
            && (self.event_words(binding).any(|known| known == word)
                || EventName::parse(value).is_some_and(is_ours))
    }

    fn known_events(&self, binding: &SourceBinding, typed: &str) -> String {
        let ours = EventName::known().map(|word: &str| word);
        let known: Vec<&str> = self.event_words(binding).chain(ours).collect();
        did_you_mean_one_of(typed, &known)
    }

    /// The query of the URL to paste at the network, as [`SourceTemplate::postback_query`] has it, with constants in
    /// the place of macros or behind them, in that order.
    ///
    /// # Errors
    /// A name in `with` that the template does not know; a constant for the same parameter twice.
    pub fn postback_query_with(&self, with: &[String], constants: &[UrlConstant]) -> Result<String, Problem> {
        let entries = self.url_params(with)?;
        for (at, constant) in constants.iter().enumerate() {
            if constants.iter().take(at).any(|known| known.param == constant.param) {
                let name = self.names.name(constant.param);
                let hint = "one URL says one thing: print one URL for each";
                return Err(Problem::new(format!("`{name}` is set twice"), hint));
            }
        }
        let constant = |param: usize| constants.iter().find(|constant| constant.param == param);
        let one = |entry: &&UrlParam| match constant(entry.param) {
            Some(constant) => self.constant_entry(constant),
            None => self.entry(entry),
        };
        let is_added = |constant: &&UrlConstant| !entries.iter().any(|entry| entry.param == constant.param);
        let added = constants.iter().filter(is_added).map(|constant| self.constant_entry(constant));
        Ok(entries.iter().map(one).chain(added).collect::<Vec<_>>().join("&"))
    }

    fn constant_entry(&self, constant: &UrlConstant) -> String {
        let value = utf8_percent_encode(&constant.value, ENCODED);
        format!("{}={value}", self.names.name(constant.param))
    }

    /// `s2=#s2#`, as the URL to paste has it.
    pub(crate) fn entry(&self, entry: &UrlParam) -> String {
        format!("{}={}", self.names.name(entry.param), self.macro_of(&entry.macro_name))
    }

    /// A macro as the network writes it.
    pub(crate) fn macro_of(&self, name: &str) -> String {
        let (before, behind) = &self.macro_marks;
        format!("{before}{name}{behind}")
    }
}

fn did_you_mean_one_of(typed: &str, known: &[&str]) -> String {
    match did_you_mean(typed, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it knows none".to_owned(),
        None => format!("it knows {}", known.join(", ")),
    }
}
