//! `/api/v1/reason-codes`: what docs/reason-codes.md says, for programs.

use serde_json::Value;

use crate::support::relay::Setup;

/// A row of the page, without its example.
fn row(code: &Value) -> String {
    let cell = |name: &str| code[name].as_str().unwrap().replace('|', "\\|");
    format!("| `{}` | {} | {} | ", cell("code"), cell("meaning"), cell("fix"))
}

#[test]
fn the_list_of_reason_codes_has_the_rows_of_the_page_in_its_families() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    let listed = relay.api("/api/v1/reason-codes");
    assert_eq!(listed["next_cursor"], Value::Null);
    let codes = listed["items"].as_array().unwrap();
    let page = include_str!("../../docs/reason-codes.md");
    let mut sections = page.split("\nFamily `").skip(1);
    for family in codes.chunk_by(|one, other| one["family"] == other["family"]) {
        let word = family[0]["family"].as_str().unwrap();
        let (written_word, section) = sections.next().unwrap().split_once('`').unwrap();
        assert_eq!(word, written_word);
        let written: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(family.len(), written.len(), "{word}");
        for (code, line) in family.iter().zip(written) {
            assert!(line.starts_with(&row(code)), "{word}: {code} is not {line}");
        }
    }
    assert_eq!(sections.next(), None, "families of the page that are not listed");
}

#[test]
fn the_list_of_reason_codes_has_no_filters() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    let refused = relay.get("/api/v1/reason-codes?family=skipped");
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "bad_parameter");
}
