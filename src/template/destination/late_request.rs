//! What an event looks like that is sent long after it happened, where the platform takes its time in another request
//! alone.

use std::collections::BTreeMap;

use crate::domain::time::HOUR_MS;
use crate::template::destination::expression::Expression;
use crate::template::destination::file::{DestinationFile, SettingSpec};
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::request_variant::{RequestVariant, VariantFiles};
use crate::template::diagnostic::Problem;

/// The files of it in a template's folder.
pub(crate) const LATE_FILES: VariantFiles = VariantFiles {
    payload: "late.json.hbs",
    envelope: "late.envelope.json.hbs",
    schema: "late.schema.json",
    table: "late.request",
};

/// How a late event is sent; `None`: as any other.
///
/// # Errors
/// Everything that is wrong with its files, at once.
pub(crate) fn parse(
    (place, files): (&str, &BTreeMap<String, String>),
    file: &DestinationFile,
    tables: (&ParameterTable, &ParameterTable),
) -> Result<Option<RequestVariant>, Vec<Problem>> {
    let found = LATE_FILES.found(files);
    let Some(spec) = &file.late else {
        let unused = found.into_iter().map(|file| {
            let what = format!("{file} is there, and destination.toml has no [late]");
            Problem::new(what, "say under [late] when an event is late, or take the file out").in_file(place)
        });
        let unused: Vec<Problem> = unused.collect();
        return if unused.is_empty() { Ok(None) } else { Err(unused) };
    };
    if spec.request.is_none() && !found.contains(&LATE_FILES.payload) {
        let what = "[late] has nothing that a late event is sent by";
        let hint = format!("write {}, or [late.request]", LATE_FILES.payload);
        return Err(vec![Problem::new(what, hint).at(&format!("{place}/destination.toml"), spec.line)]);
    }
    let toml = format!("{place}/destination.toml");
    if let Some(max_ms) = file.max_age_ms.filter(|max_ms| *max_ms <= spec.after_ms) {
        let what = format!("no event is late: none is sent that is {} hours old", max_ms / HOUR_MS);
        let hint = "write an `after_hours` below `max_age_hours`, or take [late] out";
        return Err(vec![Problem::new(what, hint).at(&toml, spec.line)]);
    }
    // What an event must have is asked of its own request, late or not.
    let part = (spec.request.as_ref(), [].as_slice());
    let late = RequestVariant::parse((place, files, &LATE_FILES), file, part, tables)?;
    let may_be_unset = |number: usize, setting: &SettingSpec| {
        !setting.required && setting.default.is_none() && !spec.needs.contains(&number)
    };
    let names_it = |number: usize| {
        late.url().is_some_and(|url| {
            url.any(&|expression| matches!(expression, Expression::Setting(index) if *index == number))
        })
    };
    let mut unset = file
        .settings
        .iter()
        .enumerate()
        .filter(|(number, one)| may_be_unset(*number, one) && names_it(*number));
    match unset.next() {
        None => Ok(Some(late)),
        Some((_, setting)) => {
            let what = format!("the URL of late events names `{}`, which an account may lack", setting.name);
            let hint =
                format!("write needs = [\"{}\"] under [late], or have the setting required", setting.name);
            Err(vec![Problem::new(what, hint).at(&toml, spec.line)])
        }
    }
}
