//! What a postback says of the customer: what is known of them, their address, what they agreed to.

use crate::domain::address;
use crate::domain::click::{Trait, Traits};
use crate::domain::consent::Consent;
use crate::template::macros::detect::Use;
use crate::template::source::definition::Field;
use crate::template::source::fault;
use crate::template::source::map::{Found, Mapping, yes_or_no};

impl Mapping<'_> {
    pub(super) fn traits(&mut self) -> Traits {
        let mut traits = Traits::default();
        let template = self.template;
        let mapped = |field: &&Field| template.fields.iter().any(|(known, _)| known == *field);
        let defaults = template.defaults.keys().filter(|field| !mapped(field));
        for field in template.fields.iter().map(|(field, _)| field).chain(defaults) {
            let Field::Trait(name) = *field else { continue };
            let value = match name {
                Trait::Ip => self.address(),
                _ => self.optional(Field::Trait(name), Use::Text),
            };
            if let Some(value) = value {
                traits.0.insert(name, value);
            }
        }
        traits
    }

    /// What the sender says that the visitor agreed to. A word that says neither yes nor no is left out.
    pub(super) fn consent(&mut self) -> Consent {
        Consent {
            ad_user_data: self.answer(Field::AdUserData),
            ad_personalization: self.answer(Field::AdPersonalization),
        }
    }

    fn answer(&mut self, field: Field) -> Option<bool> {
        let word = self.optional(field, Use::Text)?;
        let answer = yes_or_no(&word);
        if answer.is_none() {
            self.left_out.push(format!("`{}` is `{word}`, which is neither yes nor no", field.name()));
        }
        answer
    }

    /// The customer's address, of all that were received the first that a visitor can have: a proxy's or a
    /// server's own must not displace the click's.
    fn address(&mut self) -> Option<String> {
        let field = Field::Trait(Trait::Ip);
        let (_, readings) = self.template.fields.iter().find(|(known, _)| *known == field)?;
        for reading in readings {
            match self.read(reading, Use::Text) {
                Found::Sound { param, text } => match address::visitors(&text) {
                    Some(address) => return Some(address.to_string()),
                    None => self.left_out.push(fault::no_visitors_address(param)),
                },
                Found::Bad { param, why } => self.left_out.extend(fault::named(param, &why)),
                Found::Absent => {}
            }
        }
        self.default(field).map(str::to_owned)
    }
}
