//! What a change of an event looks like that was sent before, where it does not look like the event.

use std::collections::BTreeMap;

use crate::domain::change_rules::{OnRejected, OnValue};
use crate::template::destination::changes_file::ChangesSpec;
use crate::template::destination::file::DestinationFile;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::request_variant::{RequestVariant, VariantFiles};
use crate::template::diagnostic::Problem;

/// The files of it in a template's folder.
pub(crate) const CHANGE_FILES: VariantFiles = VariantFiles {
    payload: "change.json.hbs",
    envelope: "change.envelope.json.hbs",
    schema: "change.schema.json",
    table: "changes.request",
};

/// How a change is asked of the platform.
///
/// # Errors
/// Everything that is wrong with its files, at once.
pub(crate) fn parse(
    (place, files): (&str, &BTreeMap<String, String>),
    file: &DestinationFile,
    tables: (&ParameterTable, &ParameterTable),
) -> Result<RequestVariant, Vec<Problem>> {
    let mut problems = lacking((place, files), &file.changes);
    let part = (file.changes.request.as_ref(), file.requirements.as_slice());
    let form = RequestVariant::parse((place, files, &CHANGE_FILES), file, part, tables);
    let form = form.map_err(|found| problems.extend(found));
    form.ok().filter(|_| problems.is_empty()).ok_or(problems)
}

/// What the files lack that `[changes]` needs, and what is there for nothing.
fn lacking((place, files): (&str, &BTreeMap<String, String>), spec: &ChangesSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let all = spec.all_on_rejected();
    let payload = CHANGE_FILES.payload;
    if all.contains(&OnRejected::Retract) && !files.contains_key(payload) {
        let what = format!("`on_rejected` is \"retract\", and there is no {payload}");
        let hint = "write how the platform takes an event back: what was sent is named `sent.…` there";
        let at_table = Problem::new(what, hint).at(&format!("{place}/destination.toml"), spec.line.max(1));
        problems.push(at_table);
    }
    if spec.rules.on_value == OnValue::None && all.iter().all(|one| *one == OnRejected::None) {
        problems.extend(CHANGE_FILES.found(files).into_iter().map(|file| {
            let hint =
                "say under [changes] what becomes of another value and of a rejection, or take the file out";
            Problem::new(format!("{file} is there, and [changes] sends nothing"), hint).in_file(place)
        }));
    }
    problems
}
