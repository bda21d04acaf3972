//! docs/platforms.md: the table of the built-in destination templates, written from them.

use std::path::{Path, PathBuf};

use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;

use crate::support::golden;

const BEGIN: &str = "<!-- platforms: made by tests/docs/platforms.rs -->\n";
const END: &str = "<!-- end of platforms -->\n";
const HEAD: &str = "| template | platform | verified | in doubt | events | auth | event time | largest age | batch | test mode | after delivery | stories | of replies | lines |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
const HOUR_MS: i64 = 3_600_000;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files in a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(inside).collect()
}

/// How many stories a template has, and how many of them are of a reply.
fn stories(name: &str) -> (usize, usize) {
    let files = files(&repository().join("fixtures/destinations").join(name));
    let stories: Vec<_> = files.iter().filter(|path| path.ends_with("story.toml")).collect();
    let is_of_reply = |path: &&&PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().any(|line| line.trim() == "[reply]")
    };
    (stories.len(), stories.iter().filter(is_of_reply).count())
}

fn lines(name: &str) -> usize {
    let files = files(&repository().join("templates/destinations").join(name));
    files.iter().map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum()
}

/// What the platform can be informed of after it was sent an event, in the words of `[changes]`.
fn after_delivery(template: &DestinationTemplate) -> String {
    let words = template.words_of_changes().into_iter().filter(|word| *word != "none");
    let words: Vec<&str> = words.map(|word| if word == "status" { "each change" } else { word }).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// The number that `[batch]` of a template names.
fn batch(name: &str) -> String {
    let file = repository().join("templates/destinations").join(name).join("destination.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let section = text.split("[batch]").nth(1).unwrap_or_default();
    let max = section.lines().find_map(|line| line.strip_prefix("max = "));
    max.and_then(|max| max.split_whitespace().next()).unwrap_or("1").to_owned()
}

/// In what unit it is sent, and of which events.
fn event_time(template: &DestinationTemplate) -> String {
    match (template.time_unit(), template.late_after_ms()) {
        (None, _) => "not sent".to_owned(),
        (Some(unit), None) => unit.to_owned(),
        (Some(unit), Some(after)) => format!("{unit}, after {} h", after / HOUR_MS),
    }
}

fn line(template: &DestinationTemplate) -> String {
    let name = template.name();
    let doubt = |doubt: &postbridge::template::provenance::FactDoubt| {
        format!("`{}` ({})", doubt.about, doubt.reason())
    };
    let doubts: Vec<String> = template.doubts().iter().map(doubt).collect();
    let (stories, replies) = stories(name);
    let age = template.max_age_ms().map_or("not known".to_owned(), |age| match age / HOUR_MS {
        hours if hours % 24 == 0 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    });
    let columns = [
        format!("`{name}`"),
        format!("[{}]({})", template.label(), template.docs()),
        if template.is_verified() { "yes" } else { "no" }.to_owned(),
        doubts.join(", "),
        match template.events().len() {
            0 => "the account's".to_owned(),
            some => some.to_string(),
        },
        template.auth_kinds().join(", "),
        event_time(template),
        age,
        batch(name),
        match template.test_counts() {
            None => "no".to_owned(),
            Some(counts) => format!("yes; counts: {}", counts.as_str()),
        },
        after_delivery(template),
        stories.to_string(),
        replies.to_string(),
        lines(name).to_string(),
    ];
    format!("| {} |\n", columns.join(" | "))
}

#[test]
fn the_page_of_platforms_has_a_row_for_every_built_in_template() {
    let file = repository().join("docs/platforms.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a beginning of the table");
    let (written, after) = rest.split_once(END).expect("an end of the table");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names().into_iter();
    let rows: String = names.map(|name| line(&catalog.destination(name).unwrap())).collect();
    let made = format!("{HEAD}{rows}");
    if golden::is_rewritten() {
        std::fs::write(&file, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, made, "run this test with BLESS=1 and look at what it changed in docs/platforms.md");
}
