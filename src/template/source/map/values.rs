//! What a postback says of money, with its currency, and of the customer: their address, what they agreed to.

use rust_decimal::Decimal;

use crate::domain::address;
use crate::domain::click::{CustomerTrait, CustomerTraits};
use crate::domain::consent::Consent;
use crate::domain::conversion::EventClaim;
use crate::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::sale::ReceivedValue;
use crate::domain::text::trim;
use crate::template::macros::detect::ValueUse;
use crate::template::source::definition::Field;
use crate::template::source::fault;
use crate::template::source::map::{FieldInput, Mapping, yes_or_no};
use crate::template::source::number::NoAmount;
use crate::template::source::params::{problem, shown};

impl Mapping<'_> {
    pub(super) fn traits(&mut self) -> CustomerTraits {
        let mut traits = CustomerTraits::default();
        let template = self.template;
        let mapped = |field: &&Field| template.fields.iter().any(|(known, _)| known == *field);
        let defaults = template.defaults.keys().filter(|field| !mapped(field));
        for field in template.fields.iter().map(|(field, _)| field).chain(defaults) {
            let Field::Trait(name) = *field else { continue };
            let value = match name {
                CustomerTrait::Ip => self.address(),
                _ => self.optional(Field::Trait(name), ValueUse::Text),
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
        let word = self.optional(field, ValueUse::Text)?;
        let answer = yes_or_no(&word);
        if answer.is_none() {
            let (field, value) = (field.name().to_owned(), Some(shown("", &word)));
            self.leave_out(ParamProblem::new(field, value, ParamFault::NotYesOrNo).of_the_sale());
        }
        answer
    }

    /// The customer's address, of all that were received the first that a visitor can have: a proxy's or a
    /// server's own must not displace the click's.
    fn address(&mut self) -> Option<String> {
        let field = Field::Trait(CustomerTrait::Ip);
        let (_, readings) = self.template.fields.iter().find(|(known, _)| *known == field)?;
        for reading in readings {
            match self.read(reading, ValueUse::Text) {
                FieldInput::Sound { param, text } => match address::visitors(&text) {
                    Some(address) => return Some(address.to_string()),
                    None => self.leave_out(problem(param, ParamFault::NotVisitorsAddress)),
                },
                FieldInput::Bad { param, why } => self.leave_out_unusable(param, &why),
                FieldInput::Absent => {}
            }
        }
        self.default(field).map(str::to_owned)
    }
}

impl<'a> Mapping<'a> {
    /// An amount with its currency. Where an event needs it, each lack is a problem; else a note.
    pub(super) fn money(
        &mut self,
        field: Field,
        currency: Option<Currency>,
        needed_by: Option<&EventClaim>,
    ) -> Option<Money> {
        let wrong = match (self.amount(field, currency), currency) {
            (Ok(Some((_, amount))), Some(currency)) => return Some(Money::new(amount, currency)),
            // It stops for another reason, which may be the currency that was received.
            (Ok(Some(_)), None) if !self.problems.is_empty() => return None,
            (Ok(Some((name, _))), None) => fault::no_currency(name, self.template),
            (Ok(None), _) => fault::missing(field, needed_by?, self.template, self.params),
            (Err(unreadable), _) => unreadable,
        };
        match needed_by {
            Some(_) => self.problems.push(wrong),
            None => self.leave_out(wrong),
        }
        None
    }

    /// The parameter and the amount in it, in units of the currency and with its sign.
    pub(super) fn amount(
        &mut self,
        field: Field,
        currency: Option<Currency>,
    ) -> Result<Option<(&'a str, Decimal)>, ParamProblem> {
        let rules = &self.template.amounts;
        match self.find(field, ValueUse::Amount) {
            FieldInput::Sound { param, text } => match rules.read(&text, currency) {
                Ok(amount) => Ok(amount.map(|amount| (param.name.as_str(), self.signed(amount)))),
                Err(NoAmount::NotANumber) => Err(fault::no_decimal(param, rules.format)),
                Err(NoAmount::PartOfUnit) => Err(fault::part_of_unit(param)),
                Err(NoAmount::NoCurrency) => Err(fault::no_currency(&param.name, self.template)),
            },
            FieldInput::Bad { param, why } => Err(why.of(param)),
            FieldInput::Absent => Ok(self
                .default(field)
                .and_then(|text| parse_decimal(text, NumberFormat::Plain))
                .map(|amount| (field.name(), amount))),
        }
    }

    /// An amount above 0 below 0 where another parameter says that it takes something back.
    fn signed(&self, amount: Decimal) -> Decimal {
        let takes_back =
            || self.template.amounts.negative_when.iter().any(|when| self.has_word(when).is_some());
        if amount > Decimal::ZERO && takes_back() { -amount } else { amount }
    }

    /// The value's parameter and what was received in it.
    pub(super) fn value_received(&mut self) -> Option<ReceivedValue> {
        // It was looked for before: what was left out on the way is noted already.
        let noted = self.left_out.len();
        let found = self.find(Field::Value, ValueUse::Amount);
        self.left_out.truncate(noted);
        match found {
            FieldInput::Sound { param, .. } => Some(ReceivedValue {
                param: shown("", &param.name),
                text: shown(&param.name, trim(&param.value)),
            }),
            FieldInput::Absent | FieldInput::Bad { .. } => None,
        }
    }
}
