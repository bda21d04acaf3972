//! Every rule of the conformance suite is in the list by which engines run it.

use std::collections::BTreeSet;

use crate::code::layout_rules::files_under;

const SUITE: &str = "src/store/contract/conformance";

/// The rules, as `file::name`: every public function that is given an engine and nothing else.
fn written() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files_under(SUITE).iter().filter(|file| !file.path.contains("/fixture/")) {
        let module = file.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        let functions = file.text.split("\npub fn ").skip(1).filter_map(|text| text.split_once('('));
        for (name, rest) in functions {
            let given = rest.split(')').next().unwrap().trim().trim_end_matches(',');
            if given == "engine: &EngineUnderTest" {
                found.insert(format!("{module}::{name}"));
            }
        }
    }
    found
}

/// The same as the list has them: the name of a file, and those of its rules in braces.
fn listed() -> BTreeSet<String> {
    let list = std::fs::read_to_string(format!("{}/{SUITE}/rules.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let list = list.split("@rules $engine;\n").nth(1).unwrap().split("        }\n    };").next().unwrap();
    let (mut module, mut found) = ("", BTreeSet::new());
    for line in list.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            module = name;
        } else if let Some(rule) = line.strip_suffix(',') {
            found.insert(format!("{module}::{rule}"));
        }
    }
    found
}

#[test]
fn every_rule_of_the_suite_is_run_on_every_engine() {
    let (written, listed) = (written(), listed());
    assert!(written.len() > 100, "the rules were not found");
    let unlisted: Vec<_> = written.difference(&listed).collect();
    assert!(unlisted.is_empty(), "add to the list: {unlisted:?}");
    assert_eq!(listed, written);
}
