//! `[constant]` of a source template: the parameters of a URL that say something fixed.

use crate::template::diagnostic::Problem;
use crate::template::source::definition::{Field, FieldRule};
use crate::template::source::fields::field;
use crate::template::source::param_names::ParamNames;
use crate::template::toml_doc::table::Table;

/// Reads `[constant]`, *field* `=` *parameter*, and has each field read that parameter too, after those of `[map]`.
pub(crate) fn read(
    root: &Table<'_>,
    names: &mut ParamNames,
    fields: &mut Vec<(Field, Vec<FieldRule>)>,
) -> Vec<(Field, usize)> {
    let Some(table) = root.table("constant") else { return Vec::new() };
    let mut found = Vec::new();
    for key in table.keys() {
        let Some(field) = field(&table, key) else { continue };
        let param = table.parsed(key, |text| {
            if let Some(wrong) = never_constant(field) {
                let hint = "an id or a time is the network's to say: map it to a parameter with a macro";
                return Err(Problem::new(format!("a constant {wrong}"), hint));
            }
            match names.find(&text.value) {
                None => names.read(&text.value),
                Some(_) => Err(Problem::new(
                    format!("the parameter {} is there already", text.shown()),
                    "choose a name that neither the URL nor [map] has: what a field reads can be set without",
                )),
            }
        });
        let Some(param) = param else { continue };
        match fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, readings)) => readings.push(FieldRule::One(param)),
            None => fields.push((field, vec![FieldRule::One(param)])),
        }
        found.push((field, param));
    }
    found
}

/// What would be wrong with any constant for the field.
pub(crate) fn never_constant(field: Field) -> Option<&'static str> {
    match field {
        Field::TransactionId | Field::ClickId => Some("would be the same id for every postback"),
        Field::EventTime => Some("would be the same time for every postback"),
        _ => None,
    }
}
