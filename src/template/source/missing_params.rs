//! What a postback URL lacks of what the template reads.

use crate::domain::rejection::signature::SignaturePlace;
use crate::domain::url_finding::UrlFinding;
use crate::template::source::definition::{
    Field, FieldRule, SourceBinding, SourceTemplate, UrlParam, ValuePiece,
};
use crate::template::source::events::EventCondition;
use crate::template::source::items::ITEMS;

/// What the id of a row is called, next to the names of fields.
pub(crate) const ADJUSTMENT_ID: &str = "adjustment_id";

impl FieldRule {
    /// The parameters that are read, in order.
    pub(crate) fn params(&self) -> Vec<usize> {
        match self {
            FieldRule::One(one) => vec![*one],
            FieldRule::Join(pieces) => pieces.iter().filter_map(ValuePiece::param).collect(),
        }
    }

    /// Whether a postback that has just some parameters says the field by it.
    pub(crate) fn is_said(&self, field: Field, has: impl Fn(usize) -> bool) -> bool {
        let FieldRule::Join(pieces) = self else { return self.params().into_iter().all(has) };
        let is_divided = pieces.iter().any(|piece| piece.param().is_none());
        let needs_all = match field {
            Field::TransactionId | Field::ClickId | Field::ItemId => is_divided,
            // A part of a word is another word.
            Field::Status => true,
            _ => false,
        };
        let mut params = self.params().into_iter();
        if needs_all { params.all(has) } else { params.any(has) }
    }
}

impl ValuePiece {
    fn param(&self) -> Option<usize> {
        match self {
            ValuePiece::Param(index) => Some(*index),
            ValuePiece::Text(_) => None,
        }
    }
}

impl SourceTemplate {
    /// Whether the URL to paste has the parameter.
    pub(crate) fn is_in_url(&self, index: usize) -> bool {
        self.postback.iter().any(|entry| entry.param == index)
    }

    /// What the URL to paste has and one with these parameters lacks. A status is missed also where the template only
    /// offers it, and where it can only be written by hand.
    pub(crate) fn missing_in(&self, binding: &SourceBinding, present: &[usize]) -> Vec<UrlFinding> {
        let mut pasted = PastedParams { template: self, binding, present, found: Vec::new() };
        for (field, readings) in &self.fields {
            match field {
                Field::Currency if binding.currency.is_some() => {}
                Field::Status => pasted.find_status(readings),
                _ => pasted.find(field.name(), *field, readings),
            }
        }
        if let Some(rule) = &self.adjustment_id {
            pasted.find(ADJUSTMENT_ID, Field::TransactionId, std::slice::from_ref(rule));
        }
        pasted.find_conditions();
        pasted.found
    }
}

struct PastedParams<'a> {
    template: &'a SourceTemplate,
    binding: &'a SourceBinding,
    /// Those that hold anything.
    present: &'a [usize],
    found: Vec<UrlFinding>,
}

impl PastedParams<'_> {
    fn has(&self, index: usize) -> bool {
        self.present.contains(&index)
    }

    /// Of a field's readings the first counts that the URL to paste has: all of its parameters, unless another one
    /// serves and nothing of it is there.
    fn find(&mut self, name: &'static str, field: Field, readings: &[FieldRule]) {
        let template = self.template;
        let due = readings.iter().find(|rule| rule.is_said(field, |index| template.is_in_url(index)));
        let Some(due) = due else { return };
        let is_begun = due.params().into_iter().any(|index| self.has(index));
        if !is_begun && readings.iter().any(|rule| rule.is_said(field, |index| self.has(index))) {
            return;
        }
        let in_url = due.params().into_iter().filter(|index| template.is_in_url(*index));
        self.lack(name, &in_url.collect::<Vec<_>>());
    }

    /// What may be left out of the URL to paste is missed as well.
    fn find_status(&mut self, readings: &[FieldRule]) {
        let template = self.template;
        let said =
            |has: &dyn Fn(usize) -> bool| readings.iter().find(|rule| rule.is_said(Field::Status, has));
        if said(&|index| self.has(index)).is_some() {
            return;
        }
        let is_offered = |index| template.url_entry(index).is_some();
        match said(&|index| template.is_in_url(index)).or_else(|| said(&is_offered)) {
            Some(due) => self.lack(Field::Status.name(), &due.params()),
            None => self.find_constant_status(),
        }
    }

    /// A status that no macro says is a constant of each URL.
    fn find_constant_status(&mut self) {
        let Ok(param) = self.template.constant_param(Field::Status) else { return };
        let mut words: Vec<&str> = Vec::new();
        for word in self.template.status_words(self.binding) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let entry = format!("{}={}", self.template.names.name(param), words.join("|"));
        self.found.push(UrlFinding::MissingStatus { entry });
    }

    /// What an amount's sign, the event, the things of an order or the proof of the sender depend on.
    fn find_conditions(&mut self) {
        let template = self.template;
        let signs = template.amounts.negative_when.iter().map(|words| words.param);
        let conditions = template.events.rules.iter().flat_map(|rule| &rule.conditions);
        let words = conditions.filter_map(|condition| match condition {
            EventCondition::Words(words) => Some(words.param),
            EventCondition::Status(_) | EventCondition::Value(_) => None,
        });
        let items = template.items.iter().flat_map(|rules| {
            let params = template.postback.iter().map(|entry| entry.param);
            params.filter(|index| rules.reads(*index))
        });
        let signature = template.signature_param().and_then(|name| template.names.find(&name));
        for (name, params) in [
            (Field::Value.name(), signs.collect::<Vec<_>>()),
            (Field::Event.name(), words.collect()),
            (ITEMS, items.collect()),
            ("signature", signature.into_iter().collect()),
        ] {
            let in_url = params.into_iter().filter(|index| template.is_in_url(*index));
            self.lack(name, &in_url.collect::<Vec<_>>());
        }
    }

    /// Keeps those that are not there, each once.
    fn lack(&mut self, field: &'static str, params: &[usize]) {
        for index in params {
            let Some(entry) = self.template.url_entry(*index).filter(|_| !self.has(*index)) else { continue };
            let entry = self.template.entry(entry);
            let is_known = self.found.iter().any(|known| match known {
                UrlFinding::MissingStatus { entry: known }
                | UrlFinding::MissingField { entry: known, .. } => *known == entry,
                _ => false,
            });
            if is_known {
                continue;
            }
            self.found.push(match field {
                "status" => UrlFinding::MissingStatus { entry },
                field => UrlFinding::MissingField { field, entry },
            });
        }
    }
}

impl SourceTemplate {
    /// The parameter in which the sender proves who it is.
    pub(crate) fn signature_param(&self) -> Option<String> {
        match self.verification.as_ref()?.place() {
            SignaturePlace::Parameter(name) => Some(name),
            SignaturePlace::Header(_) => None,
        }
    }

    /// The parameter as the URL to paste has it, or may have it.
    pub(crate) fn url_entry(&self, index: usize) -> Option<&UrlParam> {
        self.postback.iter().chain(&self.extra).find(|entry| entry.param == index)
    }
}
