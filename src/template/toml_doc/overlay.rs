//! One document over another: what it does not say is as in the other, member by member.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::template::diagnostic::Problem;
use crate::template::toml_doc::document::Document;
use crate::template::toml_doc::table::Table;

/// The key that names what of the other document does not count: `without = ["click", "conversion.value"]`.
const WITHOUT: &str = "without";

/// Reads the document `text`, which problems call `file`, over `base`, by `build`.
///
/// # Errors
/// Every problem of the document at once. What is wrong with the base has been found by reading it alone.
pub fn read_over<T>(
    (file, text): (&str, &str),
    base: (&str, &str),
    build: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let (document, base) = (Document::new(file, text), Document::new(base.0, base.1));
    let mut built = None;
    if let (Some(mut table), Some(mut below)) = (document.parse(), base.parse()) {
        take_out(&document, &mut table, &mut below);
        lay_under(&mut table, below);
        let root = Table::root(&document, &table, None);
        built = build(&root);
        root.finish();
    }
    let (mut problems, _) = document.into_findings();
    problems.extend(base.into_findings().0);
    match built {
        Some(built) if problems.is_empty() => Ok(built),
        _ => Err(problems),
    }
}

/// Takes out of `below` what the document names under `without`, and the key itself.
fn take_out(document: &Document<'_>, table: &mut DeTable<'_>, below: &mut DeTable<'_>) {
    let Some(named) = table.remove(WITHOUT) else { return };
    let line = document.line(named.span().start);
    let names: Option<Vec<&str>> = named
        .get_ref()
        .as_array()
        .map(|names| names.iter().filter_map(|name| name.get_ref().as_str()).collect());
    for name in names.unwrap_or_default() {
        if !removed(below, name) {
            let what = format!("`{WITHOUT}` names `{name}`, and there is no such default");
            document.problem(line, Problem::new(what, "take the name out"));
        }
    }
}

/// Removes the member of a dotted name; says whether it was there.
fn removed(table: &mut DeTable<'_>, name: &str) -> bool {
    match name.split_once('.') {
        None => table.remove(name).is_some(),
        Some((first, rest)) => match table.get_mut(first).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => removed(inner, rest),
            _ => false,
        },
    }
}

/// Gives a table the members that it lacks; of one that both have as tables, the members inside.
fn lay_under<'a>(table: &mut DeTable<'a>, below: DeTable<'a>) {
    for (key, value) in below {
        match (table.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (None, _) => {
                table.insert(key, value);
            }
            (Some(DeValue::Table(inner)), DeValue::Table(_)) => {
                if let DeValue::Table(below) = value.into_inner() {
                    lay_under(inner, below);
                }
            }
            (Some(_), _) => {}
        }
    }
}
