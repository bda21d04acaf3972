//! Golden stories of the source templates: a request next to what it becomes. `BLESS=1` rewrites.

use std::path::Path;

use postbridge::story::expected::Expectations;
use postbridge::story::source::run_source_stories;
use postbridge::template::catalog::Catalog;

use crate::support::stories::{expectations, folders_of};

#[test]
fn every_story_of_a_source_template_ends_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sources");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.source_names();
    let report = run_source_stories(&catalog, &names, &directory, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(report.passed.len() >= names.len() * 2, "{:?}", report.passed);
}

#[test]
fn a_source_template_needs_an_accepted_and_a_quarantined_story() {
    let empty = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let report = run_source_stories(&catalog, &["cake"], empty.path(), Expectations::Check);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
}

#[test]
fn every_folder_of_stories_belongs_to_a_template() {
    let catalog = Catalog::load(None).unwrap();
    for name in folders_of("fixtures/sources") {
        assert!(catalog.source(&name).is_some(), "fixtures/sources/{name} has no template");
    }
}
