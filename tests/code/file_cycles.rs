//! No file imports one that imports it again, itself or by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module imports, by the paths of modules (`domain::click`).
type Graph = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of every file of `src`, by its module's path; `lib.rs` and `main.rs` are the wiring.
fn modules() -> BTreeMap<String, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(module) = module_of(&path) {
                found.insert(module, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// `src/domain/mod.rs` → `domain`, `src/domain/click.rs` → `domain::click`.
fn module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root()).ok()?.to_str()?.strip_suffix(".rs")?;
    let module = inside.strip_suffix("/mod").unwrap_or(inside).replace('/', "::");
    (module != "lib" && module != "main").then_some(module)
}

fn graph(modules: &BTreeMap<String, String>) -> Graph {
    let imports = |(module, text): (&String, &String)| {
        let mut imported = BTreeSet::new();
        for path in paths(module, text) {
            imported.extend(nearest(modules, &path).filter(|found| found != module));
        }
        (module.clone(), imported)
    };
    modules.iter().map(imports).collect()
}

/// The module that a path leads into.
fn nearest(modules: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let mut path = path;
    loop {
        if modules.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// Every path from the crate's root that the code of `module` names, groups written out.
fn paths(module: &str, text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    let code = lines.collect::<Vec<_>>().join("\n");
    // What is in a `mod tests` is the tests' own.
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = Vec::new();
    for (start, base) in [("crate::", ""), ("super::", parent)] {
        for (at, _) in code.match_indices(start) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            if !code[..at].ends_with(is_part) {
                spread(base, &code[at + start.len()..], &mut found);
            }
        }
    }
    found
}

/// The paths that begin with `base` and go on with what `rest` begins with: `a::b`, or `a::{b, c::d}`.
fn spread<'a>(base: &str, rest: &'a str, found: &mut Vec<String>) -> &'a str {
    let joined = |name: &str| if base.is_empty() { name.to_owned() } else { format!("{base}::{name}") };
    let rest = rest.trim_start();
    if let Some(mut group) = rest.strip_prefix('{') {
        loop {
            group = spread(base, group, found).trim_start();
            match group.strip_prefix(',') {
                Some(more) => group = more,
                None => return group.strip_prefix('}').unwrap_or(group),
            }
        }
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() {
        return after;
    }
    match after.strip_prefix("::") {
        Some(more) if !more.starts_with('<') => spread(&joined(name), more, found),
        _ => {
            found.push(if name == "self" { base.to_owned() } else { joined(name) });
            // `as another_name`
            after.trim_start().strip_prefix("as ").map_or(after, |alias| {
                let alias = alias.trim_start();
                let end = alias.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(alias.len());
                &alias[end..]
            })
        }
    }
}

/// Every module that imports itself by way of others, with those ways' first steps.
fn cyclic(graph: &Graph) -> Vec<String> {
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(module) = open.pop() {
            for next in graph.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let mut found = Vec::new();
    for (module, imports) in graph.iter().filter(|(module, _)| reach(module).contains(*module)) {
        let back = |next: &&String| reach(next).contains(module);
        let steps: Vec<&str> = imports.iter().filter(back).map(String::as_str).collect();
        found.push(format!("`{module}` imports {}, which lead back to it", steps.join(", ")));
    }
    found
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let looked_at = graph(&modules());
    assert!(looked_at.len() > 100, "the sources were not found");
    let found = cyclic(&looked_at);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// What each part of the store may import of the others, from the lowest up: a record knows nothing of the writes
/// that make it, a decision nothing of the engine that it is made for, and a write nothing of the reads of others. The contract, with the rules that engines are held to,
/// knows nothing of any engine.
const STORE_PARTS: [(&str, &[&str]); 6] = [
    ("store::contract", &["store::contract"]),
    ("store::engine", &["store::codec", "store::contract", "store::crash", "store::engine"]),
    ("store::table", &["store::codec", "store::contract", "store::engine", "store::reader", "store::table"]),
    (
        "store::decision",
        &["store::codec", "store::contract", "store::decision", "store::table", "store::weight"],
    ),
    (
        "store::commit",
        &[
            "store::codec",
            "store::commit",
            "store::contract",
            "store::decision",
            "store::engine",
            "store::index",
            "store::reader",
            "store::records",
            "store::table",
            "store::weight",
        ],
    ),
    (
        "store::query",
        &[
            "store::codec",
            "store::contract",
            "store::engine",
            "store::query",
            "store::reader",
            "store::records",
            "store::table",
        ],
    ),
];

#[test]
fn the_parts_of_the_store_import_only_what_is_below_them() {
    let mut found = Vec::new();
    for (module, imports) in graph(&modules()) {
        let part = STORE_PARTS.iter().find(|(part, _)| module.starts_with(&format!("{part}::")));
        let Some((_, allowed)) = part else { continue };
        let is_allowed = |import: &String| {
            allowed.iter().any(|area| import == area || import.starts_with(&format!("{area}::")))
        };
        let of_store = imports.iter().filter(|import| import.starts_with("store::"));
        found
            .extend(of_store.filter(|import| !is_allowed(import)).map(|i| format!("`{module}` imports {i}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_cycle_is_found_however_the_import_is_written() {
    let cycle = |first: &str, second: &str| {
        let texts = [("a", ""), ("a::b", first), ("a::c", second), ("d", "use crate::a::b::B;")];
        cyclic(&graph(&texts.map(|(module, text)| (module.to_owned(), text.to_owned())).into())).len()
    };
    let back = "use crate::a::b::B;";
    assert_eq!(cycle("use crate::a::c::C;", back), 2);
    assert_eq!(cycle("use crate::a::{c::{C, D}};", back), 2);
    assert_eq!(cycle("use crate::{\n    d,\n    a::c as e,\n};", "use crate::d::D;"), 3, "by way of d");
    assert_eq!(cycle("use super::c::C;", back), 2);
    assert_eq!(cycle("fn f() -> crate::a::c::C {}", back), 2);
    assert_eq!(cycle("// crate::a::c", back), 0);
    assert_eq!(cycle("#[cfg(test)]\nmod tests {\n    use crate::a::c::C;\n}", back), 0);
    assert_eq!(cycle("use crate::a::b::{self, B};", back), 0, "a file may name itself");
}
