//! A request that is not as the events' own: that of a change, and that of an event which is sent late.

use std::collections::BTreeMap;

use crate::template::destination::compile::{CompileContext, Encoding, TemplatedLine};
use crate::template::destination::envelope::Envelope;
use crate::template::destination::file::DestinationFile;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::payload_text;
use crate::template::destination::require::{self, EventBody, RequestParts, Requirement};
use crate::template::destination::variant_file::VariantPart;
use crate::template::diagnostic::Problem;

/// The files of such a request in a template's folder.
pub(crate) struct VariantFiles {
    /// The payload of one.
    pub payload: &'static str,
    /// What is around several of them.
    pub envelope: &'static str,
    /// What one may be.
    pub schema: &'static str,
    /// The table that says where it is sent.
    pub table: &'static str,
}

impl VariantFiles {
    /// Those that are there.
    pub(crate) fn found(&self, files: &BTreeMap<String, String>) -> Vec<&'static str> {
        let all = [self.payload, self.envelope, self.schema];
        all.into_iter().filter(|file| files.contains_key(*file)).collect()
    }
}

/// A request that is not as the events' own; each part that is absent is theirs.
pub(crate) struct RequestVariant {
    pub method: Option<String>,
    pub body: Option<EventBody>,
    pub envelope: Option<Envelope>,
    pub address: Option<(TemplatedLine, ParameterTable)>,
}

impl RequestVariant {
    /// Reads the files of a template's folder that are of such requests. `part`: where they are sent; `required`: what
    /// must be true of them, as far as they have the places that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub(crate) fn parse(
        (place, files, names): (&str, &BTreeMap<String, String>, &VariantFiles),
        file: &DestinationFile,
        (part, required): (Option<&VariantPart>, &[Requirement]),
        (query, form): (&ParameterTable, &ParameterTable),
    ) -> Result<RequestVariant, Vec<Problem>> {
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
        let variant = RequestVariant { method, body, envelope, address };
        if problems.is_empty() { Ok(variant) } else { Err(problems) }
    }

    /// Whether it has a payload of its own.
    pub(crate) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Its own URL, where it has one.
    pub(crate) fn url(&self) -> Option<&TemplatedLine> {
        self.address.as_ref().map(|(url, _)| url)
    }
}

/// What its files lack, and where they do not go together with the request.
fn lacking(
    (place, files, names): (&str, &BTreeMap<String, String>, &VariantFiles),
    file: &DestinationFile,
    method: Option<&str>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |what: String, hint: &str| problems.push(Problem::new(what, hint).in_file(place));
    let VariantFiles { payload, envelope, table, .. } = names;
    let has_payload = files.contains_key(*payload);
    if files.contains_key(*envelope) && !has_payload {
        let what = format!("{envelope} is around what {payload} writes, and there is no {payload}");
        add(what, "write what one looks like, or take the envelope out");
    }
    let has_form = !file.request.form.is_empty();
    if has_payload && has_form {
        add(format!("a request has one body: {payload}, or [request.form]"), "take one out");
        return problems;
    }
    // Without a payload of its own it has the event's, which was looked at with the event's own method.
    let of_event = || files.keys().find(|name| name.starts_with("event.") && name.ends_with(".hbs"));
    let body = match (has_payload, method) {
        (true, _) => Some(*payload),
        (false, None) => None,
        (false, Some(_)) if has_form => Some("[request.form]"),
        (false, Some(_)) => of_event().map(String::as_str),
    };
    if let Some(body) = body.filter(|_| method.unwrap_or(&file.request.method) == "GET") {
        let what = format!("{body} is a body, and a GET request has none");
        let hint = match method {
            Some(_) => format!("write method = \"POST\" under {table}"),
            None => {
                format!("name parameters under [{table}.query] in its place, or have [request] be a POST")
            }
        };
        add(what, &hint);
    }
    problems
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}
