//! Looking over a postback URL as it was pasted at a network: what would lose postbacks, or make them say less.
//!
//! The URL is read as text: what a URL parser would encode, cut or put right is what is looked for.

use crate::domain::mask;
use crate::domain::text::trim;
use crate::domain::url_finding::UrlFinding;
use crate::template::diagnostic::did_you_mean;
use crate::template::macros::detect::{ValueClass, ValueUse, classify, holds_macro};
use crate::template::macros::placeholder::asks_to_be_replaced;
use crate::template::source::definition::{Field, FieldRule, SourceBinding, SourceTemplate, UrlParam};
use crate::template::source::missing_params::ADJUSTMENT_ID;
use crate::template::source::params::shown;
use crate::template::source::pasted_address::{ExpectedAddress, PastedUrl};
use crate::template::source::pasted_secrets::{self, decoded};

/// A pasted URL with what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintedUrl {
    /// As it was pasted, its key masked, and what proves who the sender is.
    pub shown: String,
    /// In the order of the URL; what is missing at the end.
    pub findings: Vec<UrlFinding>,
}

/// What marks of macros are made of.
const MARKS: &str = "{}[]<>()#!%$_=@";

/// How many bytes of a URL are looked at.
const LONGEST: usize = 16 * 1024;

impl SourceTemplate {
    /// Looks over a URL that was pasted at the network for one source.
    pub fn lint_url(
        &self,
        binding: &SourceBinding,
        expected: &ExpectedAddress<'_>,
        pasted: &str,
    ) -> LintedUrl {
        let mut pasted = without_quotes(pasted.trim());
        if pasted.len() > LONGEST {
            let mut end = LONGEST;
            while !pasted.is_char_boundary(end) {
                end -= 1;
            }
            pasted = pasted.get(..end).unwrap_or_default();
        }
        let masked = |text: String, key: &&str| mask::without_secret(&text, key).unwrap_or(text);
        let pasted = pasted_secrets::without_secrets(pasted, expected);
        let url = PastedUrl::read(&pasted);
        let mut findings = url.check(expected);
        let query = pasted_secrets::masked_query(self, url.query);
        let query = expected.keys.iter().fold(query, masked);
        let mut reading = QueryReading {
            template: self,
            binding,
            findings: Vec::new(),
            present: Vec::new(),
            fixed: Vec::new(),
        };
        reading.read(&query);
        reading.find_fixed_ids();
        reading.findings.append(&mut self.missing_in(binding, &reading.present));
        if !url.fragment_before_query.is_empty() {
            findings.push(UrlFinding::Fragment { parameter: None });
        }
        findings.append(&mut reading.findings);
        LintedUrl { shown: url.masked(expected, &query), findings }
    }
}

struct QueryReading<'a> {
    template: &'a SourceTemplate,
    binding: &'a SourceBinding,
    findings: Vec<UrlFinding>,
    /// The parameters, by index, that hold anything.
    present: Vec<usize>,
    /// Those that hold a text without a macro, by index, name and value.
    fixed: Vec<(usize, String, String)>,
}

impl QueryReading<'_> {
    fn read(&mut self, query: &str) {
        let mut names: Vec<String> = Vec::new();
        let mut is_escaped = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (pair, was_escaped) = pair.strip_prefix("amp;").map_or((pair, false), |pair| (pair, true));
            if was_escaped && !is_escaped {
                self.findings.push(UrlFinding::EscapedAmpersand);
            }
            is_escaped |= was_escaped;
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = shown("", &decoded(name));
            if names.iter().any(|known| self.is_same(known, &name)) {
                self.findings.push(UrlFinding::RepeatedParameter { parameter: name.clone() });
            }
            self.pair(&name, value);
            names.push(name);
        }
    }

    fn is_same(&self, known: &str, name: &str) -> bool {
        self.template.names.key(known) == self.template.names.key(name)
    }

    fn pair(&mut self, name: &str, value: &str) {
        let template = self.template;
        let Some(index) = template.names.find(name) else {
            let is_of_item =
                template.items.as_ref().is_some_and(|rules| rules.place(&template.names.key(name)).is_some());
            if !is_of_item && template.signature_param() != Some(name.to_owned()) {
                let known = template.names.list().iter().map(String::as_str);
                let meant = did_you_mean(name, known).map(str::to_owned);
                self.findings.push(UrlFinding::UnreadParameter { parameter: name.to_owned(), meant });
            }
            return;
        };
        let value = match value.split_once('?') {
            Some((value, behind)) if behind.contains('=') => {
                let next = behind.split('=').next().unwrap_or_default();
                self.findings.push(UrlFinding::TwoQuestionMarks { parameter: shown("", next) });
                self.pair_behind(behind);
                value
            }
            _ => value,
        };
        if trim(&decoded(value)).is_empty() {
            return;
        }
        self.present.push(index);
        let place = PlaceOfValue { template, binding: self.binding, index, name };
        let found = place.findings(value);
        if found.is_empty() && place.without_macros(value) == value {
            self.fixed.push((index, name.to_owned(), decoded(value)));
        }
        self.findings.extend(found);
    }

    /// What was appended behind a second `?`.
    fn pair_behind(&mut self, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.split('?').next().unwrap_or_default();
        self.pair(&shown("", &decoded(name)), value);
    }

    /// Ids whose parts may each be a constant, and are all: the same for every postback.
    fn find_fixed_ids(&mut self) {
        for (field, readings) in &self.template.fields {
            if !matches!(field, Field::TransactionId | Field::ClickId) {
                continue;
            }
            let has = |index: usize| self.present.contains(&index);
            let read = readings.iter().find(|rule| rule.is_said(*field, has));
            let Some(rule @ FieldRule::Join(_)) = read else { continue };
            let params = rule.params().into_iter().filter(|index| has(*index));
            let fixed = params.map(|index| self.fixed.iter().find(|(known, ..)| *known == index));
            let Some(parts) = fixed.collect::<Option<Vec<_>>>() else { continue };
            if let Some((_, name, value)) = parts.first() {
                let (parameter, value) = (name.clone(), shown("", value));
                self.findings.push(UrlFinding::ConstantId { parameter, field: field.name(), value });
            }
        }
    }
}

/// One parameter that the template reads.
struct PlaceOfValue<'a> {
    template: &'a SourceTemplate,
    binding: &'a SourceBinding,
    index: usize,
    name: &'a str,
}

impl PlaceOfValue<'_> {
    /// What is wrong with the value.
    fn findings(&self, value: &str) -> Vec<UrlFinding> {
        let rest = self.without_macros(value);
        let found = if rest == value {
            self.unfilled(value).or_else(|| self.constant(value))
        } else if !rest.is_empty() && rest.chars().all(|c| MARKS.contains(c)) {
            // `{{sub1}}` where `{sub1}` is meant.
            Some(self.unknown(value))
        } else if self.holds_own(&rest) || holds_macro(&rest) {
            self.unfilled(&rest)
        } else {
            None
        };
        let is_cut = rest.contains('#')
            && !matches!(found, Some(UrlFinding::UnknownMacro { .. } | UrlFinding::SkeletonWord { .. }));
        let cut = is_cut.then(|| UrlFinding::Fragment { parameter: Some(self.name.to_owned()) });
        found.into_iter().chain(cut).collect()
    }

    /// The value without the macros that the template knows of the network.
    fn without_macros(&self, value: &str) -> String {
        if self.template.macro_marks.0.is_empty() {
            return value.to_owned();
        }
        let mut known: Vec<String> =
            self.entries().map(|entry| self.template.macro_of(&entry.macro_name)).collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.len()));
        known.iter().fold(value.to_owned(), |value, known| value.replace(known.as_str(), ""))
    }

    /// A macro that the network would not fill in, or a word that asks for one.
    fn unfilled(&self, value: &str) -> Option<UrlFinding> {
        let parameter = || self.name.to_owned();
        let plain = decoded(value);
        let is_word = |field| self.template.is_word(self.binding, field, trim(&plain));
        if self.template.fields_of(self.index).any(is_word) {
            return None;
        }
        let word = bare(&plain);
        let wanted = || self.own_entry().map(|entry| self.template.macro_of(&entry.macro_name));
        let class = classify(&plain, value.as_bytes(), self.used());
        if asks_to_be_replaced(word) || matches!(class, ValueClass::Skeleton | ValueClass::Nothing) {
            let value = shown("", &plain);
            return Some(UrlFinding::SkeletonWord { parameter: parameter(), value, wanted: wanted() });
        }
        let encoded = match &class {
            ValueClass::Macro(read) => Some(read).filter(|read| *read != value),
            _ => Some(&plain).filter(|plain| self.holds_own(plain) && !self.holds_own(value)),
        };
        if let Some(read) = encoded {
            let plain = self.meant(bare(read)).unwrap_or_else(|| shown("", read));
            return Some(UrlFinding::EncodedMacro { parameter: parameter(), found: shown("", value), plain });
        }
        let is_bare = self.used() == ValueUse::Id && self.entries().any(|entry| entry.macro_name == value)
            || self.own_entry().is_some_and(|entry| entry.macro_name == value);
        if matches!(class, ValueClass::Macro(_)) || self.holds_own(value) || is_bare {
            return Some(self.unknown(value));
        }
        None
    }

    fn unknown(&self, value: &str) -> UrlFinding {
        let plain = decoded(value);
        let meant = self.meant(bare(&plain));
        UrlFinding::UnknownMacro { parameter: self.name.to_owned(), found: shown("", value), meant }
    }

    /// A text that is sent as it is.
    fn constant(&self, value: &str) -> Option<UrlFinding> {
        let value = decoded(value);
        let (parameter, shown) = (self.name.to_owned(), shown("", &value));
        if let Some(field) = self.id() {
            return Some(UrlFinding::ConstantId { parameter, field, value: shown });
        }
        let is_wrong =
            |field: &Field| self.template.check_constant(self.binding, *field, trim(&value)).is_err();
        let field = self.template.main_fields_of(self.index).find(is_wrong)?.name();
        Some(UrlFinding::WrongConstant { parameter, field, value: shown })
    }

    /// The id that it is, or is a part of and nothing else.
    fn id(&self) -> Option<&'static str> {
        let is_id = |field: &Field| matches!(field, Field::TransactionId | Field::ClickId);
        let mut fields = self.template.main_fields_of(self.index).peekable();
        let is_other = fields.peek().is_some();
        let of_row = || match self.template.adjustment_id.as_ref()? {
            FieldRule::One(index) => (*index == self.index).then_some(ADJUSTMENT_ID),
            joined => (joined.reads(self.index) && !is_other).then_some(ADJUSTMENT_ID),
        };
        fields.find(is_id).map(Field::name).or_else(of_row)
    }

    /// Whether the network would take something in it for a macro.
    fn holds_own(&self, text: &str) -> bool {
        let (before, behind) = &self.template.macro_marks;
        let begins_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '{' | '[');
        !before.is_empty()
            && text
                .split_once(before.as_str())
                .is_some_and(|(_, rest)| rest.starts_with(begins_name) && rest.contains(behind.as_str()))
    }

    /// The macro that a word surely meant: of this name in another case, of a name that is near, else the parameter's own.
    fn meant(&self, word: &str) -> Option<String> {
        let names = || self.entries().map(|entry| entry.macro_name.as_str());
        let other_case = names().find(|name| name.eq_ignore_ascii_case(word));
        let near = other_case.or_else(|| did_you_mean(word, names()));
        let name = near.or_else(|| self.own_entry().map(|entry| entry.macro_name.as_str()))?;
        Some(self.template.macro_of(name))
    }

    fn entries(&self) -> impl Iterator<Item = &UrlParam> {
        self.template.postback.iter().chain(&self.template.extra)
    }

    /// What the URL to paste has under this parameter.
    fn own_entry(&self) -> Option<&UrlParam> {
        self.entries().find(|entry| entry.param == self.index)
    }

    fn used(&self) -> ValueUse {
        let is =
            |wanted: &[Field]| self.template.main_fields_of(self.index).any(|field| wanted.contains(&field));
        if self.id().is_some() || is(&[Field::ItemId]) {
            ValueUse::Id
        } else if is(&[Field::Value, Field::Payout, Field::Revenue, Field::SaleAmount]) {
            ValueUse::Amount
        } else {
            ValueUse::Text
        }
    }
}

/// A macro without what may be its marks.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphanumeric())
}

/// A URL without the marks that enclose it in a mail or a shell: only where both are there, as a macro may end with one.
fn without_quotes(pasted: &str) -> &str {
    let pairs = [("\"", "\""), ("'", "'"), ("`", "`"), ("<http", ">")];
    let enclosing = pairs.iter().find(|(open, close)| {
        pasted.len() > open.len() + close.len() && pasted.starts_with(open) && pasted.ends_with(close)
    });
    // Each mark is one ASCII character.
    enclosing.and_then(|_| pasted.get(1..pasted.len() - 1)).unwrap_or(pasted)
}
