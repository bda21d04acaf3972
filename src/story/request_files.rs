//! The files of a source's story: what the folder may hold, and a problem for each that no story has.

use std::fs;
use std::path::Path;

use crate::story::expected::EXPECTED;
use crate::template::diagnostic::{Problem, did_you_mean};

/// The query.
pub(super) const QUERY: &str = "query.txt";
/// The headers, each on a line.
pub(super) const HEADERS: &str = "headers.txt";
/// The content type of the body, where its file's name does not say it.
pub(super) const CONTENT_TYPE_FILE: &str = "content_type.txt";
/// What the source says over its template.
pub(super) const SOURCE: &str = "source.toml";

/// The files that may hold a story's body, and the content type that each means where
/// `content_type.txt` declares no other.
pub(super) const BODIES: [(&str, Option<&str>); 3] = [
    ("body.json", Some("application/json")),
    ("body.form", Some("application/x-www-form-urlencoded; charset=utf-8")),
    ("body.txt", None),
];

/// What is in the folder and is read by nothing: one that is spelled otherwise would be left out in silence. What an
/// editor or a system hides there is passed over.
pub(super) fn unknown(folder: &Path) -> Vec<Problem> {
    let known = || {
        let others = [QUERY, HEADERS, CONTENT_TYPE_FILE, SOURCE, EXPECTED];
        BODIES.iter().map(|(name, _)| *name).chain(others)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_hidden = |name: &str| name.starts_with('.') || name.ends_with('~');
    let mut names: Vec<String> =
        names.filter(|name| !is_hidden(name) && known().all(|known| known != name.as_str())).collect();
    names.sort();
    let problem = |name: String| {
        let hint = match did_you_mean(&name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a story has {}", known().collect::<Vec<_>>().join(", ")),
        };
        let what = format!("no story of a source has a file `{name}`, so it is not read");
        Problem::new(what, hint).in_file(&folder.join(name).display().to_string())
    };
    names.into_iter().map(problem).collect()
}
