//! The `[map]` of a source template: which parameters each field reads.

use toml::Spanned;
use toml::de::DeTable;

use crate::domain::click::Trait;
use crate::domain::money::DecimalMark;
use crate::template::destination::calculation;
use crate::template::source::definition::{Field, Names, Piece, Reading, TimeFormat};
use crate::template::source::keys::{missing, param_name};
use crate::template::toml_reader::{TomlReader, in_order};

/// Reads the section.
pub(crate) fn read(
    reader: &mut TomlReader<'_>,
    root: &DeTable<'_>,
    names: &mut Names,
    (decimal, times): (DecimalMark, &[TimeFormat]),
) -> Vec<(Field, Vec<Reading>)> {
    let Some(map) = reader.table(root, "map") else {
        if !root.contains_key("map") {
            missing(reader, "map", "[map] with lines such as transaction_id = \"tid\"");
        }
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in in_order(map) {
        let Some(field) = field(reader, &key, "map") else { continue };
        let texts = reader.as_texts(value, key.get_ref());
        let number = number_mark(field, decimal, times);
        let mut readings = Vec::new();
        for text in &texts {
            let Some(reading) = reading(reader, text, names) else { continue };
            if let (Reading::Join(pieces), Some(mark)) = (&reading, number)
                && calculation::joins_no_number(pieces, mark)
            {
                let (key, first) = (key.get_ref(), first_name(pieces, names));
                let what = format!("`{key}` joins `{}`, which is never a number", text.get_ref());
                reader.problem(&text.span(), what, calculation::hint(&format!("{key} = \"{first}\"")));
            }
            readings.push(reading);
        }
        if readings.is_empty() && !texts.is_empty() {
            continue;
        }
        found.push((field, readings));
    }
    found
}

/// How the numbers of a field are written; `None` where it holds no number.
fn number_mark(field: Field, decimal: DecimalMark, times: &[TimeFormat]) -> Option<DecimalMark> {
    match field {
        Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount => Some(decimal),
        Field::EventTime => {
            let numbers = times.iter().all(|format| matches!(format, TimeFormat::Epoch(_)));
            numbers.then_some(DecimalMark::Dot)
        }
        _ => None,
    }
}

fn first_name<'n>(pieces: &[Piece], names: &'n Names) -> &'n str {
    let mut params = pieces.iter().filter_map(|piece| match piece {
        Piece::Param(index) => Some(names.name(*index)),
        Piece::Text(_) => None,
    });
    params.next().unwrap_or("…")
}

pub(crate) fn field(reader: &mut TomlReader<'_>, key: &Spanned<String>, place: &str) -> Option<Field> {
    let field = Field::parse(key.get_ref());
    if field.is_none() {
        let known: Vec<&str> = Field::NAMES
            .iter()
            .map(|(_, name)| *name)
            .chain(Trait::NAMES.iter().map(|(_, name)| *name))
            .collect();
        reader.unknown(&key.span(), key.get_ref(), &known, place);
    }
    field
}

/// A parameter's name, or a text with `{{name}}` in it.
fn reading(reader: &mut TomlReader<'_>, text: &Spanned<String>, names: &mut Names) -> Option<Reading> {
    if let Some(calculation) = calculated(text.get_ref()) {
        let what = format!("`{calculation}` is a calculation, not a parameter's name");
        reader.problem(&text.span(), what, calculation::hint("as in value = \"price\""));
        return None;
    }
    if !text.get_ref().contains("{{") {
        return param_name(reader, text.get_ref(), &text.span())
            .then(|| Reading::One(names.intern(text.get_ref())));
    }
    let mut pieces = Vec::new();
    let mut rest = text.get_ref().as_str();
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((name, after)) = behind.split_once("}}") else {
            reader.problem(&text.span(), "`{{` without `}}`", "write each parameter as {{name}}");
            return None;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        if !param_name(reader, name.trim(), &text.span()) {
            return None;
        }
        pieces.push(Piece::Param(names.intern(name.trim())));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(Reading::Join(pieces))
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
