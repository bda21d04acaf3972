//! What a template makes of a postback, as JSON: for previews, pages and fixture stories.

use serde_json::{Map, Value, json};

use crate::domain::address;
use crate::domain::click::{CustomerTrait, Pairs};
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Draft, EventClaim};
use crate::domain::item::SoldItem;
use crate::domain::money::{Currency, Money};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::notes_text;
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::template::macros::detect::{ValueClass, ValueUse};
use crate::template::source::definition::{Field, FieldRule, SourceBinding, SourceTemplate};
use crate::template::source::map::yes_or_no;
use crate::template::source::mapped_report::MappedReport;
use crate::template::source::number::NoAmount;
use crate::template::source::params::{Param, Params, shown};
use crate::template::source::time;

/// One parameter that was received, and what the template made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedParam {
    /// The name as it was received, which may be in another case than the template's.
    pub param: String,
    /// The value, cut after 100 characters, with what is invisible written out; never a secret.
    pub received_text: String,
    /// `None` when it is not read.
    pub field: Option<ExplainedField>,
    /// Whether its value was used for that field.
    pub outcome: ParamOutcome,
}

/// What a parameter became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainedField {
    /// The field of this name.
    Mapped(&'static str),
    /// It is kept among the conversion's parameters.
    KeptByName,
}

/// Whether a parameter's value is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamOutcome {
    /// Its value is the field's, or is kept.
    Taken,
    /// The template reads no parameter of this name; it stays in the raw log.
    NotRead,
    /// What is wrong with it.
    LeftOut(&'static str),
}

impl ParamOutcome {
    /// For people.
    pub fn sentence(self) -> String {
        match self {
            ParamOutcome::Taken => "taken".to_owned(),
            ParamOutcome::NotRead => "not read by this template".to_owned(),
            ParamOutcome::LeftOut(wrong) => format!("left out: {wrong}"),
        }
    }
}

/// What became of a request by [`SourceTemplate::read`] and [`SourceTemplate::map`]: `{"accepted": draft}`,
/// `{"ignored": {"reason_code", "field", "reason", "hint"}}` or `{"quarantined": …}` with the same members.
pub fn outcome(mapped: &Result<MappedReport, Rejection>) -> Value {
    match mapped {
        Ok(MappedReport::Conversion(draft)) => json!({ "accepted": draft_json(draft) }),
        Ok(MappedReport::Ignored { reason, .. }) => json!({ "ignored": reason_json(reason) }),
        Err(rejection) => json!({ "quarantined": reason_json(rejection) }),
    }
}

fn reason_json(reason: &impl CodedReason) -> Value {
    json!({
        "reason_code": reason.code().as_str(),
        "field": reason.field(),
        "reason": reason.sentence(),
        "hint": reason.hint(),
    })
}

/// A draft with every member, null where absent. Amounts are decimal strings with a currency.
pub fn draft_json(draft: &Draft) -> Value {
    let event = match &draft.event {
        EventClaim::Named(name) => json!({ "named": name }),
        EventClaim::ByValue { positive, zero } => {
            json!({ "by_value": { "positive": positive, "zero": zero } })
        }
    };
    let traits: Map<String, Value> =
        draft.traits.0.iter().map(|(name, value)| (name.name().to_owned(), json!(value))).collect();
    let mut document = json!({
        "source": draft.source,
        "event": event,
        "status": draft.status.map(Status::as_str),
        "transaction_id": draft.transaction_id,
        "click_id": draft.click_id,
        "item_id": draft.item_id,
        "value": draft.value.map(money_json),
        "payout": draft.payout.map(money_json),
        "revenue": draft.revenue.map(money_json),
        "sale_amount": draft.sale_amount.map(money_json),
        "event_time": draft.event_time,
        "traits": traits,
        "params": pairs_json(&draft.params),
        "note": notes_text(&draft.notes),
    });
    // Few senders say anything of these.
    if let (Value::Object(members), false) = (&mut document, draft.items.is_empty()) {
        members.insert("items".to_owned(), draft.items.iter().map(item_json).collect());
    }
    if let (Value::Object(members), Some(id)) = (&mut document, &draft.adjustment_id) {
        members.insert("adjustment_id".to_owned(), json!(id));
    }
    if let (Value::Object(members), true) = (&mut document, draft.consent != Consent::default()) {
        let Consent { ad_user_data, ad_personalization } = draft.consent;
        let answers = json!({"ad_user_data": ad_user_data, "ad_personalization": ad_personalization});
        members.insert("consent".to_owned(), answers);
    }
    document
}

fn item_json(item: &SoldItem) -> Value {
    let SoldItem { id, name, category, quantity, price } = item;
    let (quantity, price) = (quantity.map(|it| it.to_string()), price.map(|it| it.to_string()));
    json!({ "id": id, "name": name, "category": category, "quantity": quantity, "price": price })
}

fn money_json(money: Money) -> Value {
    json!({ "amount": money.amount.to_string(), "currency": money.currency.as_str() })
}

fn pairs_json(pairs: &Pairs) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

impl SourceTemplate {
    /// Each parameter that was received, with the field it became or why it did not; for previews and pages.
    /// What is missing, [`SourceTemplate::map`] says.
    pub fn explain(&self, binding: &SourceBinding, params: &Params) -> Vec<ExplainedParam> {
        let params = &*self.repaired(params);
        let derived = params.derived.iter().map(|param| (self.names.known(&param.name), param));
        let received = params.pairs.iter().map(|param| (self.names.find(&param.name), param));
        received
            .chain(derived)
            .map(|(index, param)| self.explain_one((binding, params), index, param))
            .collect()
    }

    fn explain_one(
        &self,
        (binding, params): (&SourceBinding, &Params),
        index: Option<usize>,
        param: &Param,
    ) -> ExplainedParam {
        let field = index.and_then(|index| self.field_of(index));
        let kept = index.is_some_and(|index| self.keep.contains(&index));
        let of_item = self.is_of_item(index, &param.name);
        let outcome = match index {
            Some(_) if param.is_damaged() => ParamOutcome::LeftOut("bytes that are no text"),
            Some(_) if params.other(&param.name).is_some() => {
                ParamOutcome::LeftOut("was received with two different values")
            }
            Some(index) if kept || field.is_some() => {
                self.wrong(binding, (index, field), param).map_or(ParamOutcome::Taken, ParamOutcome::LeftOut)
            }
            _ if of_item => ParamOutcome::Taken,
            _ => ParamOutcome::NotRead,
        };
        let name = field.map(Field::name).or(of_item.then_some("items"));
        let mapped = name.map(ExplainedField::Mapped);
        ExplainedParam {
            param: param.name.clone(),
            received_text: shown(&param.name, &param.value),
            field: mapped.or(kept.then_some(ExplainedField::KeptByName)),
            outcome,
        }
    }

    /// Whether it is, or is a list of, what is known of an item.
    fn is_of_item(&self, index: Option<usize>, name: &str) -> bool {
        self.items.as_ref().is_some_and(|rules| {
            index.is_some_and(|index| rules.reads(index)) || rules.place(&self.names.key(name)).is_some()
        })
    }

    pub(crate) fn field_of(&self, index: usize) -> Option<Field> {
        self.main_fields_of(index).next()
    }

    /// The fields that are read from a parameter alone; where there are none, those that it is a part of.
    pub(crate) fn main_fields_of(&self, index: usize) -> impl Iterator<Item = Field> {
        let alone = move |readings: &[FieldRule]| readings.contains(&FieldRule::One(index));
        let is_read_alone = self.fields.iter().any(|(_, readings)| alone(readings));
        let reads = move |reading: &FieldRule| reading.reads(index);
        let fields = self.fields.iter().filter(move |(_, readings)| match is_read_alone {
            true => alone(readings),
            false => readings.iter().any(reads),
        });
        fields.map(|(field, _)| *field)
    }

    /// Every field that is read from a parameter.
    pub(crate) fn fields_of(&self, index: usize) -> impl Iterator<Item = Field> {
        let reads = move |reading: &FieldRule| reading.reads(index);
        let fields = self.fields.iter().filter(move |(_, readings)| readings.iter().any(reads));
        fields.map(|(field, _)| *field)
    }

    /// What is wrong with a value that is read.
    fn wrong(
        &self,
        binding: &SourceBinding,
        (index, field): (usize, Option<Field>),
        param: &Param,
    ) -> Option<&'static str> {
        let used = match field {
            Some(Field::TransactionId | Field::ClickId | Field::ItemId) => ValueUse::Id,
            Some(Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount) => ValueUse::Amount,
            _ => ValueUse::Text,
        };
        let text = trim(&param.value);
        match self.classify(index, param, used) {
            ValueClass::Empty => Some("empty"),
            ValueClass::Nothing => Some("means nothing"),
            ValueClass::Macro(_) => Some("a macro that was not filled in"),
            ValueClass::Skeleton => Some("a placeholder that no one replaced"),
            ValueClass::Sound => match field {
                // Any currency serves to see whether it is a number.
                _ if used == ValueUse::Amount
                    && matches!(
                        self.amounts.read(text, Currency::parse("USD")),
                        Err(NoAmount::NotANumber | NoAmount::PartOfUnit)
                    ) =>
                {
                    Some("no decimal")
                }
                Some(Field::Currency) if Currency::parse(text).is_none() => Some("no currency of a sale"),
                Some(Field::AdUserData | Field::AdPersonalization) if yes_or_no(text).is_none() => {
                    Some("neither yes nor no")
                }
                Some(Field::EventTime) => match time::moment(self, binding, text) {
                    None => Some("a time in no known format"),
                    Some(Err(_)) => Some("a time before 2005"),
                    Some(Ok(_)) => None,
                },
                Some(Field::Trait(CustomerTrait::Ip)) if address::visitors(text).is_none() => {
                    Some("no address that a visitor can have")
                }
                Some(Field::Status) if self.status_of(binding, &text.to_lowercase()).is_none() => {
                    Some("an unknown status word")
                }
                _ => None,
            },
        }
    }
}
