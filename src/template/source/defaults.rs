//! The `[default]` of a source template: what a field is taken to be where its parameter is absent.

use std::collections::HashMap;

use toml::de::DeTable;

use crate::domain::event::EventName;
use crate::domain::money::{Currency, DecimalMark, parse_decimal};
use crate::domain::status::Status;
use crate::template::source::definition::Field;
use crate::template::source::fields::field;
use crate::template::source::map::yes_or_no;
use crate::template::toml_reader::{TomlReader, in_order};

/// Reads the section; a default that could not have been received is a problem.
pub(crate) fn read(
    reader: &mut TomlReader<'_>,
    root: &DeTable<'_>,
    statuses: &[(String, Status)],
) -> HashMap<Field, String> {
    let mut found = HashMap::new();
    let Some(table) = reader.table(root, "default") else { return found };
    for (key, value) in in_order(table) {
        let Some(field) = field(reader, &key, "default") else { continue };
        let Some(text) = reader.as_text(value, key.get_ref()) else { continue };
        if let Some(wrong) = wrong_default(field, text.get_ref(), statuses) {
            reader.problem(
                &text.span(),
                format!("`{}` {wrong}", text.get_ref()),
                "a default is read as if it had come",
            );
        }
        found.insert(field, text.into_inner());
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
        Field::Currency => "is no code of ISO 4217",
        Field::Status => "is no word of [status]",
        Field::Event => "is no event name",
        Field::AdUserData | Field::AdPersonalization => "is neither yes nor no",
        Field::ItemId | Field::Trait(_) => "is empty",
        _ => "is not a decimal",
    })
}
