//! Alerts and dashboard ask for metrics that there are, by labels that they have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use yaml_rust2::YamlLoader;

const ALERTS: &str = include_str!("../../packaging/alerts.yml");
const DASHBOARD: &str = include_str!("../../packaging/grafana.json");
/// A test of its own compares it with the program.
const GUIDE: &str = include_str!("../../docs/watching.md");

/// The metrics that a text names.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("postbridge_"));
    words.map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

/// The values that an expression compares a label with: those of `reason=~"a|b"`.
fn values(expression: &str) -> Vec<&str> {
    let quoted = expression.split('"').skip(1).step_by(2);
    quoted.flat_map(|text| text.split('|')).filter(|value| !value.starts_with('$')).collect()
}

/// The expressions of all rules, and those of all panels.
fn expressions() -> Vec<String> {
    let rules = YamlLoader::load_from_str(ALERTS).unwrap();
    let groups = rules[0]["groups"].as_vec().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_vec().unwrap());
    let mut all = Vec::new();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        for part in ["summary", "description"] {
            assert!(rule["annotations"][part].as_str().is_some(), "{name} has no {part}");
        }
        all.push(rule["expr"].as_str().unwrap().to_owned());
    }
    assert!(all.len() > 10, "{all:?}");
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        all.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    all
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let known = metrics(GUIDE);
    for expression in expressions() {
        let asked = metrics(&expression);
        assert!(!asked.is_empty() || expression.starts_with("up{"), "{expression}");
        let gone: Vec<_> = asked.difference(&known).collect();
        assert!(gone.is_empty(), "{expression} asks for {gone:?}, which docs/watching.md does not list");
        for value in values(&expression).into_iter().filter(|value| *value != "postbridge") {
            assert!(GUIDE.contains(&format!("`{value}`")), "{value} of {expression}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric_that_an_alert_is_about() {
    let shown = metrics(DASHBOARD);
    // One destination's is shown by the worst of all.
    let alerted = metrics(ALERTS).into_iter().map(|name| name.replace("_destination_oldest_", "_oldest_"));
    let missing: Vec<String> = alerted.filter(|name| !shown.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn prometheus_takes_the_rules() {
    let Some(promtool) = [PathBuf::from("/usr/bin/promtool")].into_iter().find(|path| path.exists()) else {
        assert!(std::env::var_os("CI").is_none(), "missing in CI: apt-get install prometheus");
        return eprintln!("skipped: promtool is not installed");
    };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/alerts.yml");
    let done = Command::new(promtool).args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Alerts and the first series that must raise each: a counter that is at 0, and then at what it counts.
const RAISED: [(&str, &str, &str); 3] = [
    ("PostbridgeQuarantine", r#"postbridge_postbacks_total{source="a",verdict="quarantined"}"#, "0x5 1x20"),
    ("PostbridgeDeadLetters", r#"postbridge_dead_total{destination="a",reason_code="gave_up"}"#, "0x5 1x20"),
    ("PostbridgeBadKeys", r#"postbridge_refused_total{reason_code="bad_key"}"#, "0x5 30x20"),
];

#[test]
fn the_first_of_what_an_alert_counts_raises_it() {
    let Some(promtool) = [PathBuf::from("/usr/bin/promtool")].into_iter().find(|path| path.exists()) else {
        assert!(std::env::var_os("CI").is_none(), "missing in CI: apt-get install prometheus");
        return eprintln!("skipped: promtool is not installed");
    };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/alerts.yml");
    let mut cases = format!("rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n", rules.display());
    for (alert, series, values) in RAISED {
        let firing = |minute, samples: &str| {
            format!(
                "      - expr: count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})\n        eval_time: {minute}m\n        exp_samples: {samples}\n"
            )
        };
        let never = firing(4, "[]");
        let once = firing(10, "[{labels: '{}', value: 1}]");
        cases.push_str(&format!(
            "  - interval: 1m\n    input_series:\n      - series: '{series}'\n        values: '{values}'\n    promql_expr_test:\n{never}{once}"
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts_test.yml");
    std::fs::write(&file, &cases).unwrap();
    let done = Command::new(promtool).args(["test", "rules"]).arg(file).output().unwrap();
    assert!(done.status.success(), "{cases}\n{}", String::from_utf8_lossy(&done.stderr));
}
