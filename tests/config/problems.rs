//! Every mistake a person can make in the configuration, and what is said about it: golden files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use postbridge::config::configuration::Config;
use postbridge::template::diagnostic::LintCode;

use crate::support::golden;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/problems")
}

fn env(name: &str) -> Option<String> {
    let known = BTreeMap::from([
        ("CAKE_KEY", "k3y-of-the-network-4711"),
        ("OTHER_KEY", "k3y-of-another-one-4711"),
        ("META_ACCESS_TOKEN", "EAAB-token-of-the-account"),
        ("POSTBRIDGE_TOKEN", "t0ken-of-the-operators"),
        ("PLAIN_URL", "http://tracker.example/t0ken-of-a-tracker?cid=#s2#"),
        ("EMPTY", ""),
    ]);
    known.get(name).map(|value| (*value).to_owned())
}

/// What is said about the configuration in `folder`, with paths as seen from there.
fn findings(folder: &Path) -> String {
    let path = folder.join("postbridge.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (kind, found) = match Config::parse(path.to_str().unwrap(), &text, &env) {
        Ok(config) => ("warning: ", config.warnings),
        Err(problems) => ("", problems),
    };
    // What is not known for sure of a network is no mistake of the file.
    let found = found.iter().filter(|problem| problem.code != Some(LintCode::DoubtfulFact));
    let said: String = found.map(|problem| format!("{kind}{problem}\n")).collect();
    said.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn each_mistake_in_fixtures_problems_is_reported_as_its_golden_file_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(fixtures()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        count += 1;
        let said = findings(&folder);
        let golden = folder.join("expected.txt");
        if golden::is_rewritten() {
            fs::write(&golden, &said).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said.is_empty() || said != expected {
            wrong.push(format!("--- {}\nexpected:\n{expected}\nsaid:\n{said}", folder.display()));
        }
    }
    assert!(count >= 20, "only {count} mistakes are kept");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_problem_names_a_place_and_a_fix() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path().join("postbridge.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Err(problems) = Config::parse(path.to_str().unwrap(), &text, &env) else { continue };
        for problem in problems {
            assert!(problem.at.contains(".toml:") || problem.at.contains(".hbs:"), "no place: {problem}");
            assert!(!problem.hint.is_empty(), "no fix: {problem}");
        }
    }
}

#[test]
fn no_problem_and_no_debug_output_shows_a_secret() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let said = findings(&entry.unwrap().path());
        for secret in ["k3y-of", "EAAB-token", "t0ken-of", "user:secret"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
