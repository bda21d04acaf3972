//! What a source template says about itself.

use crate::domain::status::Status;
use crate::template::source::definition::{Field, FieldRule, SourceTemplate, ValuePiece};

impl SourceTemplate {
    /// What the sender calls itself; the template's name where it does not say.
    pub fn title(&self) -> &str {
        if self.guide.title.is_empty() { &self.name } else { &self.guide.title }
    }

    /// The template that this is another name of, where it is.
    pub fn alias_of(&self) -> Option<&str> {
        self.alias_of.as_deref()
    }

    /// Where in the sender's settings the address is pasted.
    pub fn paste_at(&self) -> Option<&str> {
        self.guide.paste_at.as_deref()
    }

    /// What a buyer must know, a sentence each.
    pub fn caveats(&self) -> &[String] {
        &self.guide.caveats
    }

    /// Whether the sender posts what it knows to a bare address, without macros in a URL.
    pub fn is_webhook(&self) -> bool {
        self.postback.is_empty()
    }

    /// Whether a postback by the URL to paste says the field, an id of several parts only with all of them; of a
    /// webhook, whether its body may.
    pub fn says(&self, field: Field) -> bool {
        let in_url = |index| self.is_in_url(index);
        self.maps(field) && (self.is_webhook() || self.is_said(field, &in_url))
    }

    /// Whether a postback by the URL to paste says which row of its sale it is, where rows add up; of a webhook,
    /// whether its body may.
    pub fn says_row(&self) -> bool {
        let in_url = |index| self.is_in_url(index);
        let is_said = |rule: &FieldRule| rule.is_said(Field::TransactionId, in_url);
        self.is_webhook() || self.adjustment_id.as_ref().is_none_or(is_said)
    }

    /// Whether a status can be said at all: by macros, also such as are not in the URL unless they are asked for, by
    /// the sender's body, or by a constant.
    pub fn may_say_status(&self) -> bool {
        let offered = |index| self.url_entry(index).is_some();
        self.is_webhook()
            || self.is_said(Field::Status, &offered)
            || self.constant_param(Field::Status).is_ok()
            || !self.events.by_status.is_empty()
    }

    fn is_said(&self, field: Field, has: &dyn Fn(usize) -> bool) -> bool {
        let mut fields = self.fields.iter().filter(|(known, _)| *known == field);
        fields.any(|(_, readings)| readings.iter().any(|rule| rule.is_said(field, has)))
    }

    /// Their status words, in lower case and the order of the file, and ours.
    pub fn statuses(&self) -> impl Iterator<Item = (&str, Status)> {
        self.statuses.iter().map(|(word, status)| (word.as_str(), *status))
    }

    /// Each mapped field with the parameters that it is read from: the first that holds a value counts.
    pub fn field_params(&self) -> Vec<(&'static str, Vec<&str>)> {
        let names = |rule: &FieldRule| -> Vec<&str> {
            match rule {
                FieldRule::One(param) => vec![self.names.name(*param)],
                FieldRule::Join(pieces) => {
                    let params = pieces.iter().filter_map(|piece| match piece {
                        ValuePiece::Param(param) => Some(self.names.name(*param)),
                        ValuePiece::Text(_) => None,
                    });
                    params.collect()
                }
            }
        };
        let fields = self.fields.iter();
        let of_field = |(field, rules): &(Field, Vec<FieldRule>)| {
            let mut found: Vec<&str> = Vec::new();
            for name in rules.iter().flat_map(names) {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
            (field.name(), found)
        };
        fields.map(of_field).collect()
    }
}
