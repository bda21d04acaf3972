//! Every destination template has its stories, and every story comes out as it says.

use std::path::Path;

use postbridge::template::catalog::Catalog;
use postbridge::template::stories::{Expectations, run_destination_stories};

fn expectations() -> Expectations {
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        Expectations::Rewrite
    } else {
        Expectations::Check
    }
}

#[test]
fn every_destination_template_tells_its_stories_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names();
    let report = run_destination_stories(&catalog, &names, &directory, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(report.passed.len() >= names.len() * 8, "{:?}", report.passed);
}

#[test]
fn a_folder_of_stories_belongs_to_a_template() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations");
    let catalog = Catalog::load(None).unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(catalog.destination(&name).is_some(), "fixtures/destinations/{name} has no template");
    }
}

#[test]
fn a_template_without_stories_fails() {
    let empty = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let report = run_destination_stories(&catalog, &["webhook"], empty.path(), Expectations::Check);
    assert_eq!(report.problems.len(), catalog.destination("webhook").unwrap().events().len() + 4);
}
