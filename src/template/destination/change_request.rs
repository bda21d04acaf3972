//! What a change of an event looks like that was sent before, where it does not look like the event.

use std::collections::BTreeMap;

use crate::domain::change_rules::{OnRejected, OnValue};
use crate::template::destination::changes_file::ChangesSpec;
use crate::template::destination::compile::{CompileContext, Encoding, TemplatedLine};
use crate::template::destination::envelope::Envelope;
use crate::template::destination::expression::Expression;
use crate::template::destination::file::DestinationFile;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::payload_text;
use crate::template::destination::require::{self, EventBody, RequestParts};
use crate::template::diagnostic::Problem;

/// The payload of a change, what is around several of them, and what one may be.
pub(crate) const CHANGE_FILE: &str = "change.json.hbs";
const CHANGE_ENVELOPE_FILE: &str = "change.envelope.json.hbs";
/// The schema of one change.
pub(crate) const CHANGE_SCHEMA_FILE: &str = "change.schema.json";

/// How a change is asked of the platform; each part that is absent is the event's.
pub(crate) struct ChangeRequest {
    pub body: Option<EventBody>,
    pub envelope: Option<Envelope>,
    pub address: Option<(TemplatedLine, ParameterTable)>,
}

impl ChangeRequest {
    /// Reads the files of a template's folder that are of changes.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub(crate) fn parse(
        (place, files): (&str, &BTreeMap<String, String>),
        file: &DestinationFile,
        (query, form): (&ParameterTable, &ParameterTable),
    ) -> Result<ChangeRequest, Vec<Problem>> {
        let settings: Vec<String> = file.settings.iter().map(|setting| setting.name.clone()).collect();
        let toml = format!("{place}/destination.toml");
        let mut problems = lacking((place, files), &file.changes);
        let address = file.changes.request.as_ref().and_then(|request| {
            let first_line = request.url.line;
            let source = CompileContext { file: &toml, first_line, settings: &settings, is_envelope: false };
            let url = TemplatedLine::parse(&source, &request.url.value, Encoding::Url);
            let query = ParameterTable::parse((&toml, &settings), &request.query);
            Some((keep(url, &mut problems)?, keep(query, &mut problems)?))
        });
        let query = address.as_ref().map_or(query, |(_, query)| query);
        let body = files.get(CHANGE_FILE).and_then(|text| {
            let file_place = format!("{place}/{CHANGE_FILE}");
            let source =
                CompileContext { file: &file_place, first_line: 1, settings: &settings, is_envelope: false };
            let mut payload = keep(payload_text::parse(&source, text), &mut problems)?;
            let parts = RequestParts { payload: Some(&mut payload), query, form };
            let requirements = require::bind_found(&file.requirements, parts);
            Some(EventBody { payload: Some(payload), requirements })
        });
        let envelope = files.get(CHANGE_ENVELOPE_FILE).and_then(|text| {
            let file = format!("{place}/{CHANGE_ENVELOPE_FILE}");
            let source =
                CompileContext { file: &file, first_line: 1, settings: &settings, is_envelope: true };
            keep(Envelope::parse(&source, text), &mut problems)
        });
        if problems.is_empty() { Ok(ChangeRequest { body, envelope, address }) } else { Err(problems) }
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        let payload = self.body.as_ref().and_then(|body| body.payload.as_ref());
        payload.is_some_and(|payload| payload.any(test))
            || self.envelope.as_ref().is_some_and(|envelope| envelope.any(test))
            || self.address.as_ref().is_some_and(|(url, query)| url.any(test) || query.any(test))
    }
}

/// What the files lack that `[changes]` needs, and what is there for nothing.
fn lacking((place, files): (&str, &BTreeMap<String, String>), spec: &ChangesSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let at_table = |problem: Problem| problem.at(&format!("{place}/destination.toml"), spec.line.max(1));
    let all = spec.all_on_rejected();
    let has_file = files.contains_key(CHANGE_FILE);
    if all.contains(&OnRejected::Retract) && !has_file {
        let what = format!("`on_rejected` is \"retract\", and there is no {CHANGE_FILE}");
        let hint = "write how the platform takes an event back: what was sent is named `sent.…` there";
        problems.push(at_table(Problem::new(what, hint)));
    }
    let sends_none = spec.rules.on_value == OnValue::None && all.iter().all(|one| *one == OnRejected::None);
    let mut unused = |file: &str| {
        let hint =
            "say under [changes] what becomes of another value and of a rejection, or take the file out";
        let what = format!("{file} is there, and [changes] sends nothing");
        problems.push(Problem::new(what, hint).in_file(place));
    };
    for file in [CHANGE_FILE, CHANGE_ENVELOPE_FILE, CHANGE_SCHEMA_FILE] {
        if files.contains_key(file) && sends_none {
            unused(file);
        }
    }
    if files.contains_key(CHANGE_ENVELOPE_FILE) && !has_file {
        let what = format!("{CHANGE_ENVELOPE_FILE} is around changes, and there is no {CHANGE_FILE}");
        let hint = "write what one change looks like, or take the envelope out";
        problems.push(Problem::new(what, hint).in_file(place));
    }
    problems
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}
