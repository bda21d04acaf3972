//! What a postback says of money: amounts, and their currency.

use rust_decimal::Decimal;

use crate::domain::conversion::EventClaim;
use crate::domain::money::{Currency, DecimalMark, Money, parse_decimal};
use crate::domain::postback::Fault;
use crate::template::macros::detect::Use;
use crate::template::source::definition::Field;
use crate::template::source::fault;
use crate::template::source::map::{Found, Mapping};

impl<'a> Mapping<'a> {
    /// An amount with its currency. Where an event needs it, each lack is a fault; else a remark.
    pub(super) fn money(
        &mut self,
        field: Field,
        currency: Option<Currency>,
        needed_by: Option<&EventClaim>,
    ) -> Option<Money> {
        let wrong = match (self.amount(field), currency) {
            (Ok(Some((_, amount))), Some(currency)) => return Some(Money::new(amount, currency)),
            // It stops for another reason, which may be the currency that was received.
            (Ok(Some(_)), None) if !self.faults.is_empty() => return None,
            (Ok(Some((name, _))), None) => fault::no_currency(name, self.template),
            (Ok(None), _) => fault::missing(field, needed_by?, self.template, self.params),
            (Err(unreadable), _) => unreadable,
        };
        match needed_by {
            Some(_) => self.faults.push(wrong),
            None => self.left_out.push(wrong.reason),
        }
        None
    }

    fn amount(&mut self, field: Field) -> Result<Option<(&'a str, Decimal)>, Fault> {
        match self.find(field, Use::Amount) {
            Found::Sound { param, text } => match parse_decimal(&text, self.template.decimal) {
                Some(amount) => Ok(Some((param.name.as_str(), amount))),
                None => Err(fault::no_decimal(param, self.template.decimal)),
            },
            Found::Bad { param, why } => Err(fault::unfilled(param, &why)),
            Found::Absent => Ok(self
                .default(field)
                .and_then(|text| parse_decimal(text, DecimalMark::Dot))
                .map(|amount| (field.name(), amount))),
        }
    }

    /// The value's parameter and what was received in it.
    pub(super) fn value_received(&mut self) -> Option<String> {
        // It was looked for before: what was left out on the way is noted already.
        let noted = self.left_out.len();
        let found = self.find(Field::Value, Use::Amount);
        self.left_out.truncate(noted);
        match found {
            Found::Sound { param, .. } => Some(fault::received_text(param)),
            Found::Absent | Found::Bad { .. } => None,
        }
    }
}
