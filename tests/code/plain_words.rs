//! Plain words: code, tests and everything a user reads use the trade's and Rust's own terms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Words that a reader who has never met us could not guess, and what says the same.
const WORDS: &[(&str, &str)] = &[
    ("told", "reported, sent, notified"),
    ("tell", "report, send, notify"),
    ("tells", "reports, sends, notifies"),
    ("telling", "report"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("stood", "was"),
    ("judge", "classify"),
    ("judges", "classifies"),
    ("judged", "classified"),
    ("judgement", "verdict"),
    ("judging", "classifying"),
    ("ward", "target health"),
    ("doorway", "target limiter"),
    ("lane", "worker"),
    ("lanes", "workers"),
    ("govern", "change_rules"),
    ("rulebook", "ruleset"),
    ("sight", "visitor enricher"),
    ("passage", "click context"),
    ("placement", "campaign ref"),
    ("door", "endpoint"),
    ("doors", "endpoints"),
    ("house", "codebase"),
    ("nobody", "no one"),
    ("anybody", "anyone"),
    ("somebody", "someone"),
    ("everybody", "everyone"),
    ("whoever", "the caller, anyone who"),
    ("came", "was received, was"),
    ("comes", "is received, is"),
    ("stands", "is"),
    ("lies", "is"),
    ("by itself", "automatically, alone"),
    ("for good", "permanently"),
    ("beside", "in addition to, next to"),
    ("map again", "reprocess"),
    ("maps again", "reprocesses"),
    ("mapped again", "reprocessed"),
    ("ambient", "clock"),
    // American spelling.
    ("normalise", "normalize"),
    ("normalised", "normalized"),
    ("recognise", "recognize"),
    ("recognised", "recognized"),
    ("behaviour", "behavior"),
    ("colour", "color"),
    ("honour", "honor"),
    ("favour", "favor"),
];

/// Where a word is allowed after all: a file or folder (empty: anywhere), the text around the word, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("tests/code/plain_words.rs", "", "the list itself"),
    ("tests/", "nobody", "ids that no one has, and the user of Unix"),
    ("tests/", "NOBODY", "the same"),
    ("tests/", "AsNobody", "the same"),
    ("", "AmbientCapabilities", "a key of systemd"),
];

/// The files that are read: all code, and what users read; of the fixtures the names too. The changelog says what was, in the words of its time.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "fixtures/README.md",
        "fuzz/README.md",
        "packaging/README.md",
        "src/config/default.toml",
    ];
    let mut files: Vec<PathBuf> = read.iter().map(|file| root.join(file)).collect();
    for (folder, endings) in [
        ("src", &["rs"][..]),
        ("tests", &["rs"]),
        ("benches", &["rs"]),
        ("docs", &["md"]),
        ("templates", &["css", "md", "hbs", "toml"]),
    ] {
        collect(&root.join(folder), endings, &mut files);
    }
    files
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, endings, files);
        } else if endings.contains(&ending) {
            files.push(path);
        }
    }
}

/// The paths of all fixtures: a story's folder says in words what it is about.
fn fixtures(folder: &Path, names: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fixtures(&path, names);
        }
        names.push(path);
    }
}

/// The words of a text in lower case, divided where an identifier has `_` or a capital.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphabetic()).flat_map(|token| {
        let mut parts = vec![String::new()];
        let mut after_lower = false;
        for c in token.chars() {
            if c.is_uppercase() && after_lower {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().extend(c.to_lowercase());
            after_lower = c.is_lowercase();
        }
        parts
    })
}

fn found(file: &str, text: &str) -> BTreeSet<(&'static str, &'static str)> {
    let allowed = EXCEPTIONS.iter().filter(|(place, ..)| file.starts_with(place));
    let text = allowed.fold(text.to_owned(), |text, (_, around, _)| match *around {
        "" => String::new(),
        around => text.replace(around, " "),
    });
    let words: BTreeSet<String> = words(&text).collect();
    let phrases = phrases(&text);
    let is_there =
        |word: &str| words.contains(word) || (word.contains(' ') && phrases.contains(&format!(" {word} ")));
    WORDS.iter().copied().filter(|(word, _)| is_there(word)).collect()
}

/// The text in lower case with one space for all that may be between the words of a phrase: spaces, the end of a
/// line, the slashes of a comment, `_`. Whatever else is there parts the words.
fn phrases(text: &str) -> String {
    let one = |c: char| match c {
        _ if c.is_alphabetic() => c.to_ascii_lowercase(),
        _ if c.is_whitespace() || matches!(c, '_' | '/') => ' ',
        _ => '|',
    };
    let spaced: String = text.chars().map(one).collect();
    let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" ").replace('|', " | "))
}

#[test]
fn no_private_word_is_in_code_or_in_what_users_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files();
    assert!(files.len() > 300, "{} files", files.len());
    let mut faults = Vec::new();
    for path in files {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        faults.extend(
            found(&name, &text).into_iter().map(|(word, plain)| format!("{name}: `{word}`; say: {plain}")),
        );
    }
    let mut names = Vec::new();
    fixtures(&root.join("fixtures"), &mut names);
    for path in names {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        faults.extend(
            found(&name, &name).into_iter().map(|(word, plain)| format!("{name}: `{word}`; say: {plain}")),
        );
    }
    assert!(faults.is_empty(), "{} words:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_list_finds_words_in_identifiers_and_sentences() {
    for text in [
        "by\n/// itself",
        "kept_for_good",
        "fn is_told(x)",
        "struct ToldBefore;",
        "// Told once.",
        "own_door",
        "\"the Lane\"",
    ] {
        assert_eq!(found("src/x.rs", text).len(), 1, "{text}");
    }
    for text in ["forward", "Forwarded", "toward", "plane", "outdoors", "settle", "housekeeping"] {
        assert!(found("src/x.rs", text).is_empty(), "{text}");
    }
}
