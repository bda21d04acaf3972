//! The `[default]` of a source template: what a field is taken to be where its parameter is absent.

use std::collections::HashMap;

use crate::domain::event::EventName;
use crate::domain::money::{Currency, DecimalMark, parse_decimal};
use crate::domain::status::Status;
use crate::template::diagnostic::Problem;
use crate::template::source::definition::Field;
use crate::template::source::fields::field;
use crate::template::source::map::yes_or_no;
use crate::template::toml_doc::table::Table;

/// Reads the section; a default that could not have been received is a problem.
pub(crate) fn read(root: &Table<'_>, statuses: &[(String, Status)]) -> HashMap<Field, String> {
    let Some(table) = root.table("default") else { return HashMap::new() };
    let mut found = HashMap::new();
    for key in table.keys() {
        let Some(field) = field(&table, key) else { continue };
        let text = table.parsed(key, |text| match wrong_default(field, &text.value, statuses) {
            None => Ok(text.value.clone()),
            Some(wrong) => Err(Problem::new(
                format!("{} {wrong}", text.shown()),
                "a default is read as if it had been received",
            )),
        });
        found.extend(text.map(|text| (field, text)));
    }
    found
}

fn wrong_default(field: Field, text: &str, statuses: &[(String, Status)]) -> Option<&'static str> {
    let fine = match field {
        Field::TransactionId | Field::ClickId => return Some("would be the same id for every postback"),
        Field::EventTime => return Some("would be the same time for every postback"),
        Field::Currency => Currency::parse(text).is_some(),
        Field::Status => statuses.iter().any(|(word, _)| *word == text.trim().to_lowercase()),
        Field::Event => EventName::parse(text).is_some(),
        Field::AdUserData | Field::AdPersonalization => yes_or_no(text).is_some(),
        Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount => {
            parse_decimal(text, DecimalMark::Dot).is_some()
        }
        Field::ItemId | Field::Trait(_) => !text.trim().is_empty(),
    };
    (!fine).then_some(match field {
        Field::Currency => "is not a code of ISO 4217",
        Field::Status => "is not a word of [status]",
        Field::Event => "is not an event's name",
        Field::AdUserData | Field::AdPersonalization => "is neither yes nor no",
        Field::ItemId | Field::Trait(_) => "is empty",
        _ => "is not a decimal",
    })
}
