//! The workflow of continuous integration is YAML, runs what a developer runs, and knows the oldest Rust.

use yaml_rust2::{Yaml, YamlLoader};

const WORKFLOW: &str = include_str!("../../.github/workflows/ci.yml");
const TEST_COMMAND: &str = include_str!("../run");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The steps of every job, in order: what each runs or uses.
fn steps(workflow: &Yaml) -> Vec<String> {
    let jobs = workflow["jobs"].as_hash().unwrap();
    let steps = jobs.iter().flat_map(|(_, job)| job["steps"].as_vec().unwrap());
    let said = |step: &Yaml| step["run"].as_str().or(step["uses"].as_str()).unwrap().to_owned();
    steps.map(said).collect()
}

#[test]
fn the_workflow_runs_the_one_test_command_and_the_oldest_rust_that_the_manifest_names() {
    let documents = YamlLoader::load_from_str(WORKFLOW).unwrap();
    let steps = steps(&documents[0]);
    let runs = |what: &str| steps.iter().any(|step| step.contains(what));
    let version = MANIFEST.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    for wanted in [
        "cargo fmt --all -- --check",
        "cargo clippy --locked --all-targets -- -D warnings",
        "cargo doc --locked --no-deps",
        "typos",
        "tests/run",
        "tests/run --long",
        "cargo-deny-action",
        "cargo fuzz build",
        &format!("rust-toolchain@{version}"),
    ] {
        assert!(runs(wanted), "{wanted} is not in {steps:#?}");
    }
}

#[test]
fn the_workflow_installs_the_versions_of_tools_that_the_test_command_does() {
    let pinned = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || c == ';').filter(|word| word.contains("=="));
        words.map(str::to_owned).collect()
    };
    let here = pinned(TEST_COMMAND);
    for step in steps(&YamlLoader::load_from_str(WORKFLOW).unwrap()[0]) {
        let is_pinned = !step.contains("pipx install") || !pinned(&step).is_empty();
        assert!(is_pinned, "{step} installs whatever version is newest");
        for tool in pinned(&step) {
            assert!(here.contains(&tool), "{tool} is not what tests/run installs: {here:?}");
        }
    }
}
