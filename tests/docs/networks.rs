//! docs/networks.md: the table of the built-in source templates, written from them.

use std::path::{Path, PathBuf};

use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::SourceTemplate;
use postbridge::template::story_counts::story_folders;

use crate::support::golden;

const BEGIN: &str = "<!-- networks: made by tests/docs/networks.rs -->\n";
const END: &str = "<!-- end of networks -->\n";
const HEAD: &str = "| template | network | verified | in doubt | click id in a link | fields | statuses | repeats by | signature | stories | lines |\n|---|---|---|---|---|---|---|---|---|---|---|\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn stories(name: &str) -> usize {
    story_folders(&repository().join("fixtures/sources").join(name))
}

#[test]
fn the_program_knows_how_many_stories_each_built_in_template_has() {
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.source_names().into_iter().filter(|name| stories(name) > 0);
    let table: String = names.map(|name| format!("{name}\t{}\n", stories(name))).collect();
    golden::compare("templates/stories.tsv", &table);
}

fn lines(name: &str) -> usize {
    let file = repository().join("templates/sources").join(format!("{name}.toml"));
    std::fs::read_to_string(file).unwrap().lines().count()
}

/// In a cell of a table a bar would begin the next one.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(template: &SourceTemplate) -> String {
    let doubts = template.doubts();
    let doubts: Vec<String> =
        doubts.iter().map(|(_, doubt)| format!("`{}` ({})", doubt.about, doubt.reason())).collect();
    let fields = template.field_params();
    let fields: Vec<String> = fields.iter().map(|(field, _)| format!("`{field}`")).collect();
    let statuses: Vec<String> =
        template.statuses().map(|(theirs, ours)| format!("`{theirs}` {}", ours.as_str())).collect();
    let or_dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let columns = [
        format!("`{}`", template.name()),
        match template.docs() {
            "" => template.title().to_owned(),
            docs => format!("[{}]({docs})", template.title()),
        },
        if template.is_verified() { "yes" } else { "no" }.to_owned(),
        or_dash(doubts.join(", ")),
        template.link_param().map_or("–".to_owned(), |param| format!("`{param}`")),
        match template.alias_of() {
            Some(of) => format!("as `{of}`"),
            None => fields.join(" "),
        },
        match template.alias_of() {
            Some(of) => format!("as `{of}`"),
            None => or_dash(statuses.join(", ")),
        },
        match template.adds_up() {
            true => "transaction, rows add up".to_owned(),
            false => template.default_dedup().as_str().to_owned(),
        },
        template.verification().map_or("–".to_owned(), |scheme| format!("`{}`", scheme.kind())),
        stories(template.name()).to_string(),
        lines(template.name()).to_string(),
    ];
    format!("| {} |\n", columns.map(|column| cell(&column)).join(" | "))
}

#[test]
fn the_page_of_networks_has_a_row_for_every_built_in_template() {
    let file = repository().join("docs/networks.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a beginning of the table");
    let (_, after) = rest.split_once(END).expect("an end of the table");
    let catalog = Catalog::load(None).unwrap();
    let templates: Vec<_> =
        catalog.source_names().into_iter().map(|name| catalog.source(name).unwrap()).collect();
    let rows: String = templates.iter().map(|template| line(template)).collect();
    let noted = templates.iter().filter(|template| !template.caveats().is_empty());
    let notes: String = noted
        .map(|template| format!("- `{}`: {}\n", template.name(), template.caveats().join(" ")))
        .collect();
    let verified = templates.iter().filter(|template| template.is_verified()).count();
    let count = format!("{} templates, {verified} of them verified.\n\n", templates.len());
    golden::compare(
        "docs/networks.md",
        &format!("{before}{BEGIN}{count}{HEAD}{rows}\n### What to know\n\n{notes}{END}{after}"),
    );
}

#[test]
fn an_alias_is_its_template_under_another_name_and_title() {
    let catalog = Catalog::load(None).unwrap();
    let (cake, alias) = (catalog.source("cake").unwrap(), catalog.source("clickdealer").unwrap());
    assert_eq!((alias.name(), alias.title(), alias.alias_of()), ("clickdealer", "ClickDealer", Some("cake")));
    assert_eq!(alias.field_params(), cake.field_params());
    assert_eq!(alias.link_query(), cake.link_query());
    assert!(!alias.is_verified(), "that it is CAKE's is what someone else says");
}
