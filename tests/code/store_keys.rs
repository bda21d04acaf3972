//! The page of keys in ARCHITECTURE names every key of the store, and the file that makes it.

use std::collections::BTreeSet;

use crate::code::layout_rules::files_under;

/// The prefix and the file of every key that the tables make: `numbered(b'A', …)`, `PREFIX: u8 = b'A'`, `[b"A", …]`, `= b"Aname"`.
fn made() -> BTreeSet<(char, String)> {
    let mut found = BTreeSet::new();
    for file in files_under("src/store/table") {
        let text = file.text;
        let name = file.path.rsplit('/').next().unwrap().trim_end_matches(".rs").to_owned();
        for begin in ["numbered(b'", "PREFIX: u8 = b'", "[b\"", "&[u8] = b\""] {
            for (at, _) in text.match_indices(begin) {
                let prefix = text[at + begin.len()..].chars().next().unwrap();
                found.insert((prefix, name.clone()));
            }
        }
    }
    found
}

/// The same as the page says it: rows of `| `A` … | record | `file`, `file` | written |`.
fn described() -> BTreeSet<(char, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    let keys = page.split("### The keys").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut found = BTreeSet::new();
    for row in keys.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let prefix = cells[0].chars().nth(3).unwrap();
        found.extend(cells[2].split(", ").map(|file| (prefix, file.trim_matches('`').to_owned())));
    }
    found
}

#[test]
fn the_page_of_keys_names_every_key_and_the_file_that_makes_it() {
    let made = made();
    assert!(made.len() > 15, "the tables were not found");
    assert_eq!(made, described());
}
