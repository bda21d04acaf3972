//! The configurations of the README and of docs/network.md pass the check, and the README is one that is read.

use std::os::unix::fs::PermissionsExt;

use postbridge::config::configuration::Config;
use postbridge::template::diagnostic::LintCode;

const README: &str = include_str!("../../README.md");
const NETWORK: &str = include_str!("../../docs/network.md");

/// The text of a document's code block of a language, counted from 0.
fn block(document: &str, language: &str, number: usize) -> String {
    let opening = format!("```{language}\n");
    let text = document.split(&opening).nth(number + 1).and_then(|rest| rest.split("```").next()).unwrap();
    text.lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// What the check makes of a `postbridge.toml`, with the secrets that the README has its reader write.
fn checked(written: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for secret in ["token", "cake-key", "meta-token"] {
        let file = folder.path().join("secrets").join(secret);
        std::fs::write(&file, "3f9c1e0b7a52d846c0f1e2d3\n").unwrap();
        // The README has its reader say `umask 077` before.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = folder.path().join("postbridge.toml");
    std::fs::write(&file, written).unwrap();
    let config = Config::load(&file).map_err(|problems| format!("{problems:?}")).unwrap();
    // What is not known for sure of the network is all that it says.
    let codes: Vec<_> = config.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, [Some(LintCode::DoubtfulFact)], "{:?}", config.warnings);
    config
}

#[test]
fn the_readme_is_read_in_minutes() {
    let lines = README.lines().count();
    assert!(lines <= 200, "{lines} lines: details belong into docs/");
}

#[test]
fn the_readmes_configuration_passes_the_check() {
    let config = checked(&block(README, "toml", 0));
    assert_eq!((config.sources.len(), config.destinations.len()), (1, 1));
}

#[test]
fn the_offer_of_the_networks_guide_added_to_the_readmes_configuration_passes_the_check() {
    let config = checked(&format!("{}\n{}", block(README, "toml", 0), block(NETWORK, "toml", 0)));
    assert_eq!((config.offers.len(), config.campaigns.len(), config.outgoing.len()), (1, 1, 1));
    assert_eq!(config.tag.origins, ["https://shop.example"]);
}

#[test]
fn the_creatives_of_the_networks_guide_listed_by_its_campaign_pass_the_check() {
    let listed = block(NETWORK, "toml", 0).replace("creative = \"761\"", "creative = [\"761\", \"762\"]");
    let config = checked(&format!("{}\n{listed}\n{}", block(README, "toml", 0), block(NETWORK, "toml", 1)));
    let links = config.links(&config.campaigns[0]);
    let direct: Vec<&str> = links.iter().map(|one| one.direct.as_ref().unwrap().url.as_str()).collect();
    assert_eq!(
        direct,
        ["https://advertiser.example/lp?a=200&c=761", "https://advertiser.example/summer?a=200&c=762"]
    );
}

#[test]
fn the_readmes_click_is_one_that_the_api_takes() {
    let now = postbridge::domain::time::Time::parse("2026-11-27T12:00:00Z").unwrap();
    let landing = postbridge::ingest::landing::Landing::built_in();
    let read = postbridge::web::click_body::read(block(README, "json", 0).as_bytes(), &landing, now).unwrap();
    assert_eq!(read.notes, []);
    assert_eq!(read.draft.params, [("fbclid".to_owned(), "IwAR0abc".to_owned())]);
}
