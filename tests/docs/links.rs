//! What the documents refer to is there: every link, and every file, type and function that they name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A document in Markdown.
struct Document {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document but the changelog, which says what was.
fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                let is_made = matches!(name, "target" | "data" | ".git" | "artifacts");
                folders.extend((!is_made).then_some(path));
            } else if name.ends_with(".md") && name != "CHANGELOG.md" {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Document { path, text });
            }
        }
    }
    assert!(found.len() > 15, "{} documents", found.len());
    found
}

/// The text outside fenced code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The anchor that a heading gets where the documents are shown.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        _ if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c),
        _ => None,
    };
    heading.to_lowercase().chars().filter_map(kept).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// The targets of `[text](target)`, outside code.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let without_code: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let targets = without_code.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

fn broken(document: &Document, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => document.path.clone(),
        file => document.path.parent().unwrap().join(file),
    };
    let place = document.path.display();
    if !path.exists() {
        return Some(format!("{place}: {target} is not there"));
    }
    let has_anchor = || fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(fragment));
    (!fragment.is_empty() && !has_anchor()).then(|| format!("{place}: {target} is no heading there"))
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut seen = 0;
    let mut faults = Vec::new();
    for document in documents() {
        for target in links(&document.text) {
            seen += 1;
            faults.extend(broken(&document, &target));
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Whether a file of Rust defines a function, a type, a trait, a constant or a macro of this name; or a method of a
/// type, as `Type::name`.
fn defines(text: &str, name: &str) -> bool {
    let (of, name) = name.rsplit_once("::").map_or((None, name), |(of, name)| (Some(of), name));
    let defined = |name: &str| {
        let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!"];
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        kinds.iter().any(|kind| text.split(&format!("{kind} {name}")).skip(1).any(ends))
    };
    of.is_none_or(|of| text.contains(&format!(" {of}"))) && defined(name)
}

/// What is named in backquotes of a file of this repository, `file` or `file::name`, and is not there.
fn missing(text: &str) -> Vec<String> {
    let folders = ["src/", "tests/", "templates/", "fixtures/", "benches/", "docs/", "fuzz/", "packaging/"];
    let prose = prose(text);
    let named = prose.split('`').skip(1).step_by(2);
    let ours = named.filter(|name| folders.iter().any(|folder| name.starts_with(folder)));
    let is_example = |name: &&str| !name.contains(['<', '*', ' ', '…', '{']);
    let is_missing = |name: &&str| {
        let (file, item) = name.split_once("::").unwrap_or((name, ""));
        let path = root().join(file);
        match item {
            "" => !path.exists(),
            item => !fs::read_to_string(path).is_ok_and(|text| defines(&text, item)),
        }
    };
    ours.filter(is_example).filter(is_missing).map(str::to_owned).collect()
}

#[test]
fn every_file_type_and_function_that_a_document_names_exists() {
    let mut faults = Vec::new();
    for document in documents() {
        let place = document.path.strip_prefix(root()).unwrap().display().to_string();
        faults.extend(missing(&document.text).into_iter().map(|name| format!("{place} names {name}")));
    }
    assert!(faults.is_empty(), "not there:\n{}", faults.join("\n"));
}

#[test]
fn the_checks_find_what_is_not_there() {
    let document = Document { path: root().join("README.md"), text: String::new() };
    for target in ["nowhere.md", "README.md#nowhere", "#nowhere"] {
        assert!(broken(&document, target).is_some(), "{target}");
    }
    assert_eq!(broken(&document, "docs/adr/README.md#decisions"), None);
    assert_eq!(missing("see `src/lib.rs`, `src/domain/ids.rs::ClickId` and `ClickId::parse`"), [""; 0]);
    assert_eq!(missing("`src/domain/ids.rs::ClickId::parse`"), [""; 0]);
    assert_eq!(missing("`src/nowhere.rs` and `src/domain/ids.rs::Click`").len(), 2);
    assert_eq!(missing("`src/domain/ids.rs::Nowhere::parse`").len(), 1);
    assert_eq!(links("[a](b.md) `[c](d.md)` [`e`](f.md#g)\n```\n[h](i)\n```\n"), ["b.md", "f.md#g"]);
    assert_eq!(anchor("The tag: `tag/tag.js`"), "the-tag-tagtagjs");
}
