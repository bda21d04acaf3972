//! Runs the stories of source templates: a request's bytes beside the draft or the quarantine they become.

use std::fs;
use std::path::Path;

use crate::domain::conversion::EventName;
use crate::domain::ids::SourceId;
use crate::domain::money::Currency;
use crate::problem::Problem;
use crate::template::catalog::Catalog;
use crate::template::source::{SourceBinding, SourceTemplate};
use crate::template::source_story::outcome;
use crate::template::stories::{Expectations, StoryReport, compare, file_name, folders};

/// Runs `directory/<template>/<story>/` for every source template of the catalog that `wanted` names.
/// A template lacks stories until one is accepted and one quarantined.
pub fn run_source_stories(
    catalog: &Catalog,
    wanted: &[String],
    directory: &Path,
    expectations: Expectations,
) -> StoryReport {
    let mut report = StoryReport::default();
    for name in wanted {
        let Some(template) = catalog.source(name) else {
            let what = format!("there is no source template `{name}`");
            report.problems.push(Problem::new(what, "name one of the catalog"));
            continue;
        };
        let mut endings = Vec::new();
        for folder in folders(&directory.join(name)) {
            match run(&template, &folder, expectations) {
                Ok(ending) => {
                    report.passed.push(format!("{name}/{}", file_name(&folder)));
                    endings.push(ending);
                }
                Err(problem) => report.problems.push(problem),
            }
        }
        for ending in ["accepted", "quarantined"].into_iter().filter(|ending| !endings.contains(ending)) {
            let what = format!("no story of `{name}` is {ending}");
            let hint = "add a folder with query.txt and run with BLESS=1";
            let place = directory.join(name).display().to_string();
            report.problems.push(Problem::new(what, hint).in_file(&place));
        }
    }
    report
}

/// Says whether the story's request was accepted or quarantined.
fn run(
    template: &SourceTemplate,
    folder: &Path,
    expectations: Expectations,
) -> Result<&'static str, Problem> {
    let read = |name: &str| {
        fs::read(folder.join(name)).ok().map(|bytes| bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec())
    };
    let bodies = [
        ("body.json", Some("application/json")),
        ("body.form", Some("application/x-www-form-urlencoded; charset=utf-8")),
        ("body.txt", None),
    ];
    let body = bodies.into_iter().find_map(|(name, kind)| read(name).map(|bytes| (kind, bytes)));
    let body = body.as_ref().map(|(kind, bytes)| (*kind, bytes.as_slice()));
    let query = read("query.txt").unwrap_or_default();
    let found = outcome(template, &binding(template, folder)?, &query, body);
    compare(folder, &found, expectations)?;
    Ok(if found.get("accepted").is_some() { "accepted" } else { "quarantined" })
}

/// The source of a story: `source.toml` beside it, else US dollars where the template maps no currency.
fn binding(template: &SourceTemplate, folder: &Path) -> Result<SourceBinding, Problem> {
    let path = folder.join("source.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if template.maps_currency() => String::new(),
        Err(_) => "currency = \"USD\"".to_owned(),
    };
    let place = path.display().to_string();
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Problem::new(error.message(), "write currency, positive_event or zero_event as text").in_file(&place)
    })?;
    let word = |key: &str| table.get(key).and_then(toml::Value::as_str);
    let source = SourceId::parse("story").map_err(|error| Problem::new(error.to_string(), ""))?;
    Ok(SourceBinding {
        source,
        currency: word("currency").and_then(Currency::parse),
        positive_event: word("positive_event").and_then(EventName::parse),
        zero_event: word("zero_event").and_then(EventName::parse),
    })
}
