//! Golden stories of the source templates: a request beside what it becomes. `BLESS=1` rewrites.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use postbridge::domain::conversion::EventName;
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::template::source::{SourceBinding, SourceTemplate};
use postbridge::template::source_story;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every template of the catalog by its name.
fn templates() -> BTreeMap<String, SourceTemplate> {
    folders(&root().join("templates/sources"))
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let template = SourceTemplate::parse(&path.display().to_string(), &text).unwrap();
            assert_eq!(
                path.file_stem().unwrap().to_str().unwrap(),
                template.name(),
                "a file is named as its template"
            );
            (template.name().to_owned(), template)
        })
        .collect()
}

/// The source of a story: `source.toml` beside it, else US dollars where the template maps no currency.
fn binding(template: &SourceTemplate, story: &Path) -> SourceBinding {
    let text = fs::read_to_string(story.join("source.toml"))
        .unwrap_or_else(|_| (if template.maps_currency() { "" } else { "currency = \"USD\"" }).to_owned());
    let table: toml::Table = text.parse().unwrap();
    let word = |key: &str| table.get(key).and_then(toml::Value::as_str);
    SourceBinding {
        source: SourceId::parse("story").unwrap(),
        currency: word("currency").and_then(Currency::parse),
        positive_event: word("positive_event").and_then(EventName::parse),
        zero_event: word("zero_event").and_then(EventName::parse),
    }
}

fn outcome(template: &SourceTemplate, story: &Path) -> Value {
    let read = |name: &str| {
        fs::read(story.join(name)).ok().map(|bytes| bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec())
    };
    let bodies = [
        ("body.json", Some("application/json")),
        ("body.form", Some("application/x-www-form-urlencoded; charset=utf-8")),
        ("body.txt", None),
    ];
    let body = bodies.into_iter().find_map(|(name, kind)| read(name).map(|bytes| (kind, bytes)));
    let query = read("query.txt").unwrap_or_default();
    let body = body.as_ref().map(|(kind, bytes)| (*kind, bytes.as_slice()));
    source_story::outcome(template, &binding(template, story), &query, body)
}

#[test]
fn every_story_of_a_source_template_ends_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, template) in templates() {
        for story in folders(&root().join("fixtures/sources").join(name)) {
            let came = serde_json::to_string_pretty(&outcome(&template, &story)).unwrap() + "\n";
            let file = story.join("expected.json");
            if bless {
                fs::write(&file, &came).unwrap();
            }
            let expected = fs::read_to_string(&file).unwrap_or_default();
            if came != expected {
                wrong.push(format!("{}:\n{came}", story.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these stories end otherwise (BLESS=1 rewrites):\n{}", wrong.join("\n"));
}

#[test]
fn every_source_template_has_an_accepted_and_a_quarantined_story() {
    for (name, template) in templates() {
        let stories = folders(&root().join("fixtures/sources").join(&name));
        for ending in ["accepted", "quarantined"] {
            let told = stories.iter().any(|story| outcome(&template, story).get(ending).is_some());
            assert!(told, "the template `{name}` has no {ending} story in fixtures/sources/{name}");
        }
    }
}

#[test]
fn every_folder_of_stories_belongs_to_a_template() {
    let templates = templates();
    for folder in folders(&root().join("fixtures/sources")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(templates.contains_key(&name), "fixtures/sources/{name} has no template");
    }
}
