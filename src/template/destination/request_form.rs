//! A request that is not as the events' own: that of a change, and that of an event which is sent late.

use std::collections::BTreeMap;

use crate::template::destination::compile::{CompileContext, Encoding, TemplatedLine};
use crate::template::destination::envelope::Envelope;
use crate::template::destination::expression::Expression;
use crate::template::destination::file::DestinationFile;
use crate::template::destination::form_file::RequestFormPart;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::payload_text;
use crate::template::destination::require::{self, EventBody, RequestParts, Requirement};
use crate::template::diagnostic::Problem;

/// The files of such a request in a template's folder.
pub(crate) struct FormFiles {
    /// The payload of one.
    pub payload: &'static str,
    /// What is around several of them.
    pub envelope: &'static str,
    /// What one may be.
    pub schema: &'static str,
}

impl FormFiles {
    /// Those that are there.
    pub(crate) fn found(&self, files: &BTreeMap<String, String>) -> Vec<&'static str> {
        let all = [self.payload, self.envelope, self.schema];
        all.into_iter().filter(|file| files.contains_key(*file)).collect()
    }
}

/// A request that is not as the events' own; each part that is absent is theirs.
pub(crate) struct RequestForm {
    pub method: Option<String>,
    pub body: Option<EventBody>,
    pub envelope: Option<Envelope>,
    pub address: Option<(TemplatedLine, ParameterTable)>,
}

/// What a request of one event is made by.
pub(crate) struct RequestShape<'t> {
    pub method: &'t str,
    pub url: &'t TemplatedLine,
    pub query: &'t ParameterTable,
    /// `None`: the template has no request for the event.
    pub body: Option<&'t EventBody>,
    pub envelope: Option<&'t Envelope>,
}

impl RequestForm {
    /// Reads the files of a template's folder that are of such requests. `part`: where they are sent; `required`: what
    /// must be true of them, as far as they have the places that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub(crate) fn parse(
        (place, files, names): (&str, &BTreeMap<String, String>, &FormFiles),
        file: &DestinationFile,
        (part, required): (Option<&RequestFormPart>, &[Requirement]),
        (query, form): (&ParameterTable, &ParameterTable),
    ) -> Result<RequestForm, Vec<Problem>> {
        let settings: Vec<String> = file.settings.iter().map(|setting| setting.name.clone()).collect();
        let toml = format!("{place}/destination.toml");
        let method = part.and_then(|part| part.method.clone());
        let mut problems = lacking((place, files, names), file, method.as_deref());
        let address = part.and_then(|part| {
            let first_line = part.url.line;
            let source = CompileContext { file: &toml, first_line, settings: &settings, is_envelope: false };
            let url = TemplatedLine::parse(&source, &part.url.value, Encoding::Url);
            let query = ParameterTable::parse((&toml, &settings), &part.query);
            Some((keep(url, &mut problems)?, keep(query, &mut problems)?))
        });
        let query = address.as_ref().map_or(query, |(_, query)| query);
        let body = files.get(names.payload).and_then(|text| {
            let file_place = format!("{place}/{}", names.payload);
            let source =
                CompileContext { file: &file_place, first_line: 1, settings: &settings, is_envelope: false };
            let mut payload = keep(payload_text::parse(&source, text), &mut problems)?;
            let parts = RequestParts { payload: Some(&mut payload), query, form };
            let requirements = require::bind_found(required, parts);
            Some(EventBody { payload: Some(payload), requirements })
        });
        let envelope = files.get(names.envelope).and_then(|text| {
            let file = format!("{place}/{}", names.envelope);
            let source =
                CompileContext { file: &file, first_line: 1, settings: &settings, is_envelope: true };
            keep(Envelope::parse(&source, text), &mut problems)
        });
        let form = RequestForm { method, body, envelope, address };
        if problems.is_empty() { Ok(form) } else { Err(problems) }
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        let payload = self.body.as_ref().and_then(|body| body.payload.as_ref());
        payload.is_some_and(|payload| payload.any(test))
            || self.envelope.as_ref().is_some_and(|envelope| envelope.any(test))
            || self.address.as_ref().is_some_and(|(url, query)| url.any(test) || query.any(test))
    }
}

/// What its files lack, and where they do not go together with the request.
fn lacking(
    (place, files, names): (&str, &BTreeMap<String, String>, &FormFiles),
    file: &DestinationFile,
    method: Option<&str>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |what: String, hint: &str| problems.push(Problem::new(what, hint).in_file(place));
    let FormFiles { payload, envelope, .. } = names;
    if !files.contains_key(*payload) {
        if files.contains_key(*envelope) {
            let what = format!("{envelope} is around what {payload} writes, and there is no {payload}");
            add(what, "write what one looks like, or take the envelope out");
        }
        return problems;
    }
    if !file.request.form.is_empty() {
        add(format!("a request has one body: {payload}, or [request.form]"), "take one out");
    } else if method.unwrap_or(&file.request.method) == "GET" {
        let what = format!("{payload} is a body, and a GET request has none");
        add(what, "write method = \"POST\" where it is sent, or parameters of the query in its place");
    }
    problems
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}
