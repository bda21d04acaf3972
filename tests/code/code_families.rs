//! Every list of codes is a family that `GET /api/v1/reason-codes` and `docs/reason-codes.md` have.

use std::collections::BTreeSet;

use postbridge::domain::code_family::CodeFamily;

use crate::code::layout_rules::files_under;

/// The words of the families that a file defines: in `Name = "word" {`, the first line of code after `codes! {`.
fn defined(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line == "codes! {") {
        let head = lines.by_ref().find(|line| line.ends_with("\" {")).expect("the family's word");
        words.push(head.split('"').nth(1).unwrap().to_owned());
    }
    words
}

#[test]
fn every_list_of_codes_is_a_family_with_a_word_of_its_own() {
    let defined: Vec<String> = files_under("src").iter().flat_map(|file| defined(&file.text)).collect();
    let words: BTreeSet<&str> = defined.iter().map(String::as_str).collect();
    assert_eq!(words.len(), defined.len(), "two families have one word: {defined:?}");
    let listed: BTreeSet<&str> = CodeFamily::all().iter().map(|family| family.word).collect();
    assert_eq!(words, listed, "src/domain/code_family.rs lists them");
}
