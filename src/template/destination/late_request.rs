//! What an event looks like that is sent long after it happened, where the platform takes its time in another request
//! alone.

use std::collections::BTreeMap;

use crate::template::destination::file::DestinationFile;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::request_form::{FormFiles, RequestForm};
use crate::template::diagnostic::Problem;

/// The files of it in a template's folder.
pub(crate) const LATE_FILES: FormFiles =
    FormFiles { payload: "late.json.hbs", envelope: "late.envelope.json.hbs", schema: "late.schema.json" };

/// How a late event is sent; `None`: as any other.
///
/// # Errors
/// Everything that is wrong with its files, at once.
pub(crate) fn parse(
    (place, files): (&str, &BTreeMap<String, String>),
    file: &DestinationFile,
    tables: (&ParameterTable, &ParameterTable),
) -> Result<Option<RequestForm>, Vec<Problem>> {
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
    // What an event must have is asked of its own request, late or not.
    RequestForm::parse((place, files, &LATE_FILES), file, (spec.request.as_ref(), &[]), tables).map(Some)
}
