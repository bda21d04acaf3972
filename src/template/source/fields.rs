//! The `[map]` of a source template: which parameters, headers and name/value pairs each field reads.

use crate::domain::click::CustomerTrait;
use crate::domain::money::NumberFormat;
use crate::template::destination::calculation;
use crate::template::diagnostic::Problem;
use crate::template::source::definition::{Field, FieldRule, TimeFormat, ValuePiece};
use crate::template::source::items::{self, ITEMS, ItemRules};
use crate::template::source::param_names::ParamNames;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// Which parameters each field reads.
type MappedFields = Vec<(Field, Vec<FieldRule>)>;

/// Reads the section: the fields, and where the things of an order are.
pub(crate) fn read(
    root: &Table<'_>,
    names: &mut ParamNames,
    (decimal, times): (NumberFormat, &[TimeFormat]),
) -> (MappedFields, Option<ItemRules>) {
    if !root.has("map") {
        let hint = "write [map] with lines such as transaction_id = \"tid\"";
        root.problem("map", "`map` is missing", hint);
    }
    let Some(map) = root.table("map") else { return (Vec::new(), None) };
    let mut found = Vec::new();
    for key in map.keys().into_iter().filter(|key| *key != ITEMS) {
        let Some(field) = field(&map, key) else { continue };
        let texts = map.readable_texts(key);
        let mark = number_mark(field, decimal, times);
        let mut readings = Vec::new();
        for text in &texts {
            match reading(text, names).and_then(|reading| check_number(key, text, reading, (mark, &*names))) {
                Ok(reading) => readings.push(reading),
                Err(problem) => map.document().problem(text.line, problem),
            }
        }
        if !readings.is_empty() || texts.is_empty() {
            found.push((field, readings));
        }
    }
    let items = items::read(&map, names);
    (found, items)
}

/// Refuses to join what must be a number, written with `mark`, of pieces that make none.
fn check_number(
    key: &str,
    text: &Text,
    reading: FieldRule,
    (mark, names): (Option<NumberFormat>, &ParamNames),
) -> Result<FieldRule, Problem> {
    match (&reading, mark) {
        (FieldRule::Join(pieces), Some(mark)) if calculation::joins_no_number(pieces, mark) => {
            let what = format!("`{key}` joins {}, which is never a number", text.shown());
            let example = format!("{key} = \"{}\"", first_name(pieces, names));
            Err(Problem::new(what, calculation::hint(&example)))
        }
        _ => Ok(reading),
    }
}

/// How the numbers of a field are written; `None` where it holds no number.
fn number_mark(field: Field, decimal: NumberFormat, times: &[TimeFormat]) -> Option<NumberFormat> {
    match field {
        Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount => Some(decimal),
        Field::EventTime => {
            let numbers = times.iter().all(|format| matches!(format, TimeFormat::Epoch(_)));
            numbers.then_some(NumberFormat::Plain)
        }
        _ => None,
    }
}

fn first_name<'n>(pieces: &[ValuePiece], names: &'n ParamNames) -> &'n str {
    let mut params = pieces.iter().filter_map(|piece| match piece {
        ValuePiece::Param(index) => Some(names.name(*index)),
        ValuePiece::Text(_) => None,
    });
    params.next().unwrap_or("…")
}

/// The field that a key of `[map]` or `[default]` names; another key is unknown.
pub(crate) fn field(table: &Table<'_>, key: &str) -> Option<Field> {
    let field = Field::parse(key);
    if field.is_none() {
        let fields = Field::NAMES.iter().map(|(_, name)| *name);
        let known: Vec<&str> = fields.chain(CustomerTrait::NAMES.iter().map(|(_, name)| *name)).collect();
        table.unknown(key, &known, None);
    }
    field
}

/// A parameter's name, or a text with `{{name}}` in it.
pub(crate) fn reading(text: &Text, names: &mut ParamNames) -> Result<FieldRule, Problem> {
    let text = text.value.as_str();
    if let Some(calculation) = calculated(text) {
        let what = format!("`{calculation}` is a calculation, not a parameter's name");
        return Err(Problem::new(what, calculation::hint("as in value = \"price\"")));
    }
    if !text.contains("{{") {
        return names.read(text).map(FieldRule::One);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let unclosed = || Problem::new("`{{` without `}}`", "write each parameter as {{name}}");
        let (name, after) = behind.split_once("}}").ok_or_else(unclosed)?;
        if !before.is_empty() {
            pieces.push(ValuePiece::Text(before.to_owned()));
        }
        pieces.push(ValuePiece::Param(names.read(name.trim())?));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(ValuePiece::Text(rest.to_owned()));
    }
    Ok(FieldRule::Join(pieces))
}

/// What of a reading is in the place of a name and is a calculation: the whole of one without braces, or
/// what is between two of them.
fn calculated(text: &str) -> Option<&str> {
    if !text.contains("{{") {
        return calculation::is_of_names(text).then_some(text);
    }
    let mut inside = text.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    inside.find(|(name, _)| calculation::is_of_names(name)).map(|(name, _)| name)
}
