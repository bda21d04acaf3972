//! One name, one meaning: no two types of the crate have the same name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The types that a text of code defines, each at the beginning of a line: those inside of functions and the
/// associated types of traits are no one else's.
fn types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = match line.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => line,
        };
        let (keyword, rest) = line.split_once(' ')?;
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        matches!(keyword, "struct" | "enum" | "trait" | "type").then_some(name)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn no_two_types_have_the_same_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let place = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        for name in types(&text) {
            defined.entry(name.to_owned()).or_default().push(place.clone());
        }
    }
    assert!(defined.len() > 500, "{} types", defined.len());
    let twice: Vec<String> = defined
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(twice.is_empty(), "give each a name that says what it is:\n{}", twice.join("\n"));
}

#[test]
fn types_are_found_at_the_beginning_of_a_line() {
    let text = "pub struct One;\nenum Two {\n    Three,\n}\npub(crate) trait Four {\n    type Five;\n}\ntype Six<'a> = u8;\n";
    assert_eq!(types(text).collect::<Vec<_>>(), ["One", "Two", "Four", "Six"]);
}
