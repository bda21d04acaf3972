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

    /// Whether a postback by the URL to paste says something of the field; of a webhook, whether its body may.
    pub fn says(&self, field: Field) -> bool {
        let is_asked_for =
            || self.postback.iter().any(|entry| self.fields_of(entry.param).any(|of| of == field));
        self.maps(field) && (self.is_webhook() || is_asked_for())
    }

    /// Whether a status can be said at all: by a macro, also one that is not in the URL unless it is asked for, by the
    /// sender's body, or by a constant.
    pub fn may_say_status(&self) -> bool {
        self.reads(Field::Status) || !self.events.by_status.is_empty()
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
