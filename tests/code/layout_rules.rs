//! The rules of the code that a machine can check: arrows between modules, sizes, headers, names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import in addition to itself. `clock` hands out `domain`'s `Time`, the one type that
/// times have everywhere: with its own it would be converted at every call. HTTP/1.1's timers read the clock
/// through `clock`, as everyone does. A preview runs what `ingest` runs, by its `Network`; `view` words it.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("template", &["domain"]),
    ("config", &["domain", "template"]),
    ("store", &["domain"]),
    ("send", &["domain"]),
    ("enrich", &["domain"]),
    ("ingest", &["domain", "template", "store", "enrich", "clock"]),
    ("dispatch", &["domain", "template", "store", "send", "clock"]),
    ("ops", &["domain", "template", "store", "ingest", "dispatch", "clock"]),
    ("maintenance", &["domain", "store", "clock"]),
    ("http1", &["clock"]),
    ("preview", &["domain", "template", "store", "ingest"]),
    ("view", &["domain", "template", "store", "preview"]),
    ("web", &["config", "ingest", "ops", "preview", "view", "store", "template", "domain", "http1", "clock"]),
];

/// These wire the others together and may import all.
const WIRING: &[&str] = &["app", "cli", "main", "lib", "story"];

/// Networks and platforms: their names belong in templates and fixtures. Names that are also plain
/// English words in code are left out.
const NAMES: &[&str] = &[
    "cake",
    "meta",
    "facebook",
    "instagram",
    "google",
    "tiktok",
    "everflow",
    "tune",
    "hasoffers",
    "clickbank",
    "anytrack",
    "shopify",
    "stripe",
    "voluum",
    "redtrack",
    "taboola",
    "outbrain",
    "pinterest",
    "snapchat",
    "linkedin",
    "reddit",
    "bing",
    "twitter",
    "awin",
    "hubspot",
    "klaviyo",
    "woocommerce",
    "impactradius",
];

/// The endpoint that is named after the protocol it speaks.
const NAMED_ENDPOINT: &str = "src/web/cake";

/// What people write to reach that endpoint: its table in the configuration, and the id of the source that
/// its conversions belong to. Both are part of the public surface and say which protocol is meant, so
/// these two spellings, whole, may stand anywhere.
const NAMED_KEYS: [&str; 2] = ["cake_api", "cake-api"];

const MAX_LINES: usize = 450;
const MAX_FUNCTION_LINES: usize = 70;

pub struct File {
    pub path: String,
    pub text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn files_under(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(File { path: relative(&path), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no source under {folder}");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/")
}

fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The code without line comments; a `//` inside a text ends the line too, which hides no import.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The modules that `crate::…` paths name, in `use` lines, groups and inline.
fn imported_modules(text: &str) -> BTreeSet<String> {
    let code = without_comments(text);
    let mut modules = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        // A macro is in no module.
        let is_macro = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').starts_with('!');
        match rest.strip_prefix('{') {
            _ if is_macro => {}
            Some(group) => modules.extend(group_heads(group)),
            None => modules.extend(head(rest)),
        }
    }
    modules
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first names of `{a::b, c::{d, e}}`, given what follows the first brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.extend(head(&std::mem::take(&mut item))),
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    heads.extend(head(&item));
    heads
}

fn forbidden_arrows(path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    if WIRING.contains(&module) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{path}: the table of modules has no `{module}`")];
    };
    for imported in imported_modules(text) {
        if imported != module && !allowed.contains(&imported.as_str()) {
            faults.push(format!("{path}: `{module}` may not import `{imported}`"));
        }
    }
    if without_comments(text).contains("super::super::") {
        faults.push(format!("{path}: write a path from `crate::` instead of climbing"));
    }
    faults
}

/// Every word of a text: whole, its parts where capitals divide it, and each two parts joined, since
/// some names have a capital inside.
fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for token in text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()) {
        words.insert(token.to_lowercase());
        let mut parts = vec![String::new()];
        let mut before = ' ';
        for c in token.chars() {
            if c.is_uppercase() && before.is_lowercase() {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().extend(c.to_lowercase());
            before = c;
        }
        words.extend(parts.windows(2).map(|pair| pair.concat()));
        words.extend(parts);
    }
    words
}

fn proper_names(path: &str, text: &str) -> Vec<String> {
    if path.starts_with(NAMED_ENDPOINT) {
        return Vec::new();
    }
    // The name of the endpoint is said wherever it is opened; `meta` is also a word of Rust's macros, and an
    // element of HTML.
    let text =
        text.replace("mod cake;", "").replace("web::cake", "").replace(":meta]", "").replace(":meta)", "");
    let text = text.replace("<meta charset=", "<").replace("<meta name=", "<");
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let plain: Vec<&str> = text.split(|c| !is_part(c)).filter(|word| !NAMED_KEYS.contains(word)).collect();
    let found = words(&plain.join(" "));
    NAMES
        .iter()
        .filter(|name| found.contains(**name))
        .map(|name| format!("{path}: says `{name}`; a network's or platform's name belongs in a template"))
        .collect()
}

fn shape_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let first = text.lines().next().unwrap_or_default();
    if !first.starts_with("//! ") || first.len() < 12 {
        faults.push(format!("{path}: does not open with a line `//! ` that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{path}: has {lines} lines, more than {MAX_LINES}; split it along its nouns"));
    }
    faults
}

/// Functions longer than the wall, by the indentation that rustfmt gives.
fn long_functions(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let is_function =
            code.split_whitespace().take_while(|word| !word.contains('(')).any(|word| word == "fn")
                || code.starts_with("fn ");
        if !is_function || code.starts_with("//") || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let close = format!("{indent}}}");
        let length = lines[number..].iter().position(|line| *line == close).unwrap_or(0) + 1;
        if length > MAX_FUNCTION_LINES {
            faults.push(format!("{path}:{}: a function of {length} lines", number + 1));
        }
    }
    faults
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    let found = marks.iter().filter(|mark| text.contains(**mark));
    found.map(|mark| format!("{path}: `{mark}` is unfinished work")).collect()
}

/// What only Linux has, where no `cfg` says so: people build the program on other systems too.
fn unguarded_linux(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_guarded = |at: usize| {
        lines[at.saturating_sub(4)..at].iter().any(|line| line.contains("cfg(target_os = \"linux\")"))
    };
    let of_linux = (0..lines.len()).filter(|at| lines[*at].contains("os::linux") && !is_guarded(*at));
    of_linux.map(|at| format!("{path}:{}: {}", at + 1, lines[at].trim())).collect()
}

fn check_all(files: &[File], rule: fn(&str, &str) -> Vec<String>) {
    let faults: Vec<String> = files.iter().flat_map(|file| rule(&file.path, &file.text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn modules_import_only_what_the_table_of_the_design_allows() {
    check_all(&files_under("src"), forbidden_arrows);
}

#[test]
fn every_source_file_says_what_it_is_for_and_fits_450_lines() {
    check_all(&files_under("src"), shape_faults);
    check_all(&files_under("tests"), shape_faults);
}

#[test]
fn no_function_is_longer_than_the_wall() {
    check_all(&files_under("src"), long_functions);
}

#[test]
fn no_source_file_names_a_network_or_platform() {
    check_all(&files_under("src"), proper_names);
}

#[test]
fn what_only_linux_has_is_behind_a_cfg() {
    check_all(&files_under("src"), unguarded_linux);
    assert_eq!(unguarded_linux("x.rs", "use std::os::linux::net::SocketAddrExt;").len(), 1);
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    check_all(&files_under("src"), unfinished);
    check_all(&files_under("tests"), unfinished);
}

/// The modules that `main.rs` or `mod.rs` of a folder of tests lists, and those that are there.
fn test_modules(folder: &Path, file: &str) -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let name = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    let mut there: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "main" && name != "mod")
        .collect();
    there.sort();
    (text.lines().filter_map(name).collect(), there)
}

#[test]
fn every_test_file_is_a_module_of_the_one_test_binary() {
    let tests = root().join("tests");
    let (listed, there) = test_modules(&tests, "main.rs");
    assert_eq!(listed, there, "tests/main.rs lists every folder next to it, sorted");
    for area in there {
        assert!(tests.join(&area).is_dir(), "tests/{area}.rs belongs in the folder of what it tests");
        let (listed, there) = test_modules(&tests.join(&area), "mod.rs");
        assert_eq!(listed, there, "tests/{area}/mod.rs lists every file next to it, sorted");
    }
}

#[test]
fn what_the_fast_tier_leaves_out_is_there() {
    let slow = fs::read_to_string(root().join("tests/slow")).unwrap();
    let names = slow.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next());
    for name in names {
        let parts: Vec<&str> = name.trim_end_matches("::").split("::").collect();
        let file = |parts: &[&str]| root().join("tests").join(parts.join("/")).with_extension("rs");
        let is_test = |file: PathBuf, test: &str| {
            fs::read_to_string(file).is_ok_and(|text| text.contains(test.trim_matches(':')))
        };
        let is_there = match *parts.as_slice() {
            [area] => root().join("tests").join(area).is_dir(),
            [_, _] => file(&parts).is_file(),
            // A rule of the store has an engine in its name, and is in `src`.
            ["store", "conformance", _, module, test] => {
                is_test(root().join("src/store/contract/conformance").join(module).with_extension("rs"), test)
            }
            // What runs on every engine has that in its name too.
            [area, module, .., test] => is_test(file(&[area, module]), test),
            [] => false,
        };
        assert!(is_there, "tests/slow names {name}, which is not there");
    }
}

#[test]
fn the_arrow_check_finds_forbidden_imports_however_they_are_written() {
    let find = |path: &str, text: &str| forbidden_arrows(path, text).len();
    assert_eq!(find("src/domain/click.rs", "use crate::domain::ids::ClickId;"), 0);
    assert_eq!(find("src/domain/click.rs", "use crate::store::contract::Store;"), 1);
    assert_eq!(find("src/domain/click.rs", "fn f() -> crate::web::Answer {}"), 1);
    assert_eq!(
        find("src/domain/click.rs", "use crate::{\n    domain::ids,\n    store::{Store, Later},\n};"),
        1
    );
    assert_eq!(find("src/domain/click.rs", "pub(crate) fn f() {} // crate::store"), 0);
    assert_eq!(find("src/store/engine/sled.rs", "use super::super::web;"), 1);
    assert_eq!(find("src/web/mod.rs", "use crate::dispatch::Dispatch;"), 1);
    assert_eq!(find("src/attic/mod.rs", ""), 1, "a module must be in the table");
    assert_eq!(find("src/app.rs", "use crate::{web, dispatch};"), 0);
}

#[test]
fn the_name_check_finds_words_and_not_parts_of_words() {
    let find = |text: &str| proper_names("src/send/client.rs", text).len();
    assert_eq!(find("// as Meta does"), 1);
    assert_eq!(find("struct MetaAccount;"), 1);
    assert_eq!(find("let meta_main = 1;"), 1);
    assert_eq!(find("enum TikTokEvent {}"), 1);
    assert_eq!(find("\"https://graph.facebook.com\""), 1);
    assert_eq!(find("CAKE's s1"), 1);
    assert_eq!(find("fs::metadata(path); pancake(); fortune();"), 0);
    assert_eq!(proper_names("src/web/cake.rs", "the CAKE-shaped endpoint").len(), 0);
    assert_eq!(find("const API: &str = \"cake-api\"; // [cake_api]"), 0);
    assert_eq!(find("let cake_api_key = 1;"), 1);
    assert_eq!(find("\"cake-apis\""), 1);
}

#[test]
fn the_shape_checks_find_what_they_look_for() {
    let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    step();\n".repeat(lines));
    assert_eq!(shape_faults("a.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(shape_faults("a.rs", "//! What this is for.\n").len(), 0);
    assert_eq!(shape_faults("a.rs", &format!("//! What this is for.\n{}", "\n".repeat(500))).len(), 1);
    assert_eq!(long_functions("a.rs", &body(68)).len(), 0);
    assert_eq!(long_functions("a.rs", &body(69)).len(), 1);
    assert_eq!(long_functions("a.rs", &format!("pub async {}", body(80))).len(), 1);
    assert_eq!(unfinished("a.rs", concat!("todo", "!()")).len(), 1);
    assert_eq!(unfinished("a.rs", concat!("#[", "ignore]")).len(), 1);
}
