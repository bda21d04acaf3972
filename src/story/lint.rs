//! What is wrong with a destination template although it can be used: what its stories send is checked against its
//! schema, and the template for what it lacks.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::story::schemas::{EVENT_SCHEMA, SchemaFile, StorySchemas};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::schema::{SchemaFault, event_of};
use crate::template::diagnostic::{LintCode, Problem};

/// The folder among a template's stories with payloads that its schema must refuse.
pub(crate) const BROKEN: &str = "broken";

/// A payload that a schema must refuse, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokenPayload {
    breaks: String,
    /// The file of the schema.
    #[serde(default = "event_schema")]
    schema: String,
    payload: Json,
}

fn event_schema() -> String {
    EVENT_SCHEMA.to_owned()
}

/// What an ad platform's template lacks.
pub fn lacking(template: &DestinationTemplate) -> Vec<Problem> {
    let at = |problem: Problem, line| problem.at(&format!("{}/destination.toml", template.place()), line);
    let mut problems = Vec::new();
    if template.is_personal() && template.requirements() == 0 {
        let what = format!(
            "`{}` requires nothing, so what the platform refuses for certain is sent",
            template.name()
        );
        let hint = "say under [[require]] what an event needs: an identifier, a value with its currency";
        problems.push(at(Problem::new(what, hint).coded(LintCode::NoMinimum), 1));
    }
    if !template.names_an_id() {
        let what = format!("no request of `{}` names `event_id` or `transaction_id`", template.name());
        let hint =
            "write `{{json event_id}}` where the platform knows an event again by: it is the same in retries";
        problems.push(at(Problem::new(what, hint).coded(LintCode::NoDedupId), 1));
    }
    problems
}

/// What is wrong with an event that a story sends. `place` is the story's.
pub(crate) fn wrong_event(
    template: &DestinationTemplate,
    file: &SchemaFile,
    place: &Path,
    event: &EventPart,
) -> Vec<Problem> {
    let faults = file.schema.faults(&event_of(event)).into_iter();
    faults.map(|fault| placed(template, file.name, place, &fault)).collect()
}

fn placed(template: &DestinationTemplate, file: &str, story: &Path, fault: &SchemaFault) -> Problem {
    let what = match fault.at.as_str() {
        "" => format!("{file}: {}", fault.what),
        at => format!("{file}: `{at}`: {}", fault.what),
    };
    if !fault.is_in_another_unit {
        let hint = "fix the template, or the schema by the platform's page";
        return Problem::new(what, hint).in_file(&story.display().to_string());
    }
    let hint = format!(
        "`{{{{unix …}}}}` writes seconds, `{{{{unix_ms …}}}}` milliseconds: take the one that {file} has"
    );
    let problem = Problem::new(what, hint).coded(LintCode::WrongTimeUnit);
    match line_of_member(template.place(), file, &fault.at) {
        Some((file, line)) => problem.at(&file, line),
        None => problem.in_file(&story.display().to_string()),
    }
}

/// Where the template writes the member with this pointer: the first line that has its name, of a payload that is of this
/// schema.
fn line_of_member(folder: &str, schema: &str, at: &str) -> Option<(String, usize)> {
    let member = format!("\"{}\"", at.rsplit('/').next()?);
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "hbs")).collect();
    // `late.schema.json` is of `late.json.hbs`.
    let own = schema.strip_suffix(EVENT_SCHEMA).unwrap_or_default();
    let is_own = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(own));
    files.sort_by_key(|path| (!is_own(path), path.clone()));
    files.into_iter().find_map(|path| {
        let line = fs::read_to_string(&path).ok()?.lines().position(|line| line.contains(&member))?;
        Some((path.display().to_string(), line + 1))
    })
}

/// Whether the schemas refuse each of the payloads in the folder `broken` of a template's stories, and for what it is
/// there. Answers the rules that are broken.
pub(crate) fn check_broken(
    schemas: &StorySchemas,
    stories: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let entries = fs::read_dir(stories.join(BROKEN)).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let mut broken = Vec::new();
    for path in files {
        match check_one(schemas, &path) {
            Ok((EVENT_SCHEMA, breaks)) => broken.push(breaks),
            Ok((other, breaks)) => broken.push(format!("{other}/{breaks}")),
            Err(problem) => problems.push(problem.in_file(&path.display().to_string())),
        }
    }
    broken
}

fn check_one(schemas: &StorySchemas, path: &Path) -> Result<(&'static str, String), Problem> {
    let hint = "write {\"breaks\": \"type\", \"payload\": {…}}";
    let text = fs::read_to_string(path)
        .map_err(|error| Problem::new(format!("it cannot be read: {error}"), hint))?;
    let BrokenPayload { breaks, schema: name, payload } =
        serde_json::from_str(&text).map_err(|error| Problem::new(format!("it is none: {error}"), hint))?;
    let Some(SchemaFile { name, schema }) = schemas.named(&name) else {
        let hint = "write what one may be into the template's folder";
        return Err(Problem::new(format!("there is no {name} that could refuse it"), hint));
    };
    let Some(keywords) = keywords(&breaks) else {
        let what = format!("`{breaks}` is no rule of a schema");
        let hint = "write a keyword as `type`, `enum` or `additionalProperties`, else `missing` or `unit`";
        return Err(Problem::new(what, hint));
    };
    let faults = schema.faults(&payload);
    let is_meant = |fault: &SchemaFault| keywords.contains(&fault.keyword.as_str());
    if faults.is_empty() {
        let what = format!("{name} lets it through, and it breaks `{breaks}`");
        return Err(Problem::new(what, format!("bound the member in {name}")));
    }
    match faults.iter().find(|fault| !is_meant(fault)) {
        Some(other) => {
            let at = if other.at.is_empty() { String::new() } else { format!("`{}`: ", other.at) };
            let what = format!("it breaks `{}` and not `{breaks}`: {at}{}", other.keyword, other.what);
            Err(Problem::new(what, "let it break one rule"))
        }
        None => Ok((name, breaks)),
    }
}

/// What says how large or of what form a value is.
const UNITS: [&str; 6] = ["maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "pattern", "format"];

/// The other rules of JSON Schema that a payload may break.
const RULES: [&str; 23] = [
    "type",
    "enum",
    "const",
    "multipleOf",
    "minLength",
    "maxLength",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "required",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "dependentRequired",
    "additionalProperties",
    "unevaluatedProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
];

/// The keywords of a schema that a word of `breaks` is for; `None` of a word that is for none.
fn keywords(breaks: &str) -> Option<Vec<&str>> {
    match breaks {
        "missing" => Some(vec!["required"]),
        "unit" => Some(UNITS.to_vec()),
        keyword => UNITS.iter().chain(&RULES).any(|rule| *rule == keyword).then(|| vec![keyword]),
    }
}
