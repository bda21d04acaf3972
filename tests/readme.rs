//! The README is true: the files it names exist, and its configuration passes the check.

use std::path::Path;

use postbridge::config::Config;

const README: &str = include_str!("../README.md");

/// The text of the first code block of a language.
fn block(language: &str) -> String {
    let opening = format!("```{language}\n");
    let text = README.split(&opening).nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    text.lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named: Vec<&str> = README
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| {
            ["tests/", "fixtures/", "templates/", "src/"].iter().any(|folder| text.starts_with(folder))
        })
        .collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(root.join(name).exists(), "the README names {name}, which is not there");
    }
}

#[test]
fn the_readmes_configuration_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for secret in ["token", "cake-key", "meta-token"] {
        std::fs::write(folder.path().join("secrets").join(secret), "0123456789abcdef\n").unwrap();
    }
    let file = folder.path().join("postbridge.toml");
    std::fs::write(&file, block("toml")).unwrap();
    let config = Config::load(&file).map_err(|problems| format!("{problems:?}")).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!((config.sources.len(), config.destinations.len()), (1, 1));
}

#[test]
fn the_readmes_click_is_one_that_the_api_takes() {
    let draft = postbridge::web::click::read(block("json").as_bytes()).unwrap();
    assert_eq!(draft.params, [("fbclid".to_owned(), "IwAR0abc".to_owned())]);
}
