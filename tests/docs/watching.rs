//! The guide to watching is complete: every metric is in it, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

const GUIDE: &str = include_str!("../../docs/watching.md");

/// Every name of a metric in a text, of those that begin with `opening`.
fn names(text: &str, opening: &str) -> BTreeSet<String> {
    let begins = format!("{opening}postbridge_");
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let rests = text.split(&begins).skip(1);
    rests.map(|rest| format!("postbridge_{}", rest.split(|c| !is_part(c)).next().unwrap())).collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

fn all_sources() -> Vec<String> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

#[test]
fn every_metric_is_in_the_guide_and_every_metric_of_the_guide_is_there() {
    let written: BTreeSet<String> = all_sources().iter().flat_map(|text| names(text, "\"")).collect();
    assert!(written.len() > 20, "{written:?}");
    let listed = names(GUIDE, "");
    let missing: Vec<_> = written.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/watching.md does not list {missing:?}");
    let gone: Vec<_> = listed.difference(&written).collect();
    assert!(gone.is_empty(), "docs/watching.md lists what there is not: {gone:?}");
}

#[test]
fn every_fixed_label_of_a_metric_is_in_the_guide() {
    let mut seen = 0;
    for text in all_sources() {
        for call in text.split("\"postbridge_").skip(1) {
            let Some((call, _)) = call.split_once(')') else { continue };
            for label in call.split("=> \"").skip(1) {
                let value = label.split('"').next().unwrap();
                assert!(GUIDE.contains(&format!("`{value}`")), "{value} of postbridge_{call}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");
}
