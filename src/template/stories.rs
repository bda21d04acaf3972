//! Fixture stories of templates: what goes in, and exactly what must come out. For our tests and for a user's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::problem::Problem;
use crate::template::catalog::Catalog;
use crate::template::destination_stories::run_destination_stories;
use crate::template::source_stories::run_source_stories;

/// What to do with `expected.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectations {
    /// Compare, and report every difference.
    Check,
    /// Write what came out; a person looks at the change.
    Rewrite,
}

/// How the stories of one directory went.
#[derive(Debug, Default)]
pub struct StoryReport {
    /// `template/story` of each that came out as expected, or was written.
    pub passed: Vec<String>,
    /// Each that did not, and each that a template lacks.
    pub problems: Vec<Problem>,
}

/// Runs the stories of a user's own templates: those of `directory/sources` and
/// `directory/destinations`, told in `directory/fixtures` as the built-in ones are.
///
/// # Errors
/// What is wrong with the templates themselves.
pub fn run_own_stories(directory: &Path, expectations: Expectations) -> Result<StoryReport, Vec<Problem>> {
    let catalog = Catalog::load(Some(directory))?;
    let (sources, destinations) = Catalog::names_in(directory);
    let fixtures = directory.join("fixtures");
    let mut report = run_source_stories(&catalog, &sources, &fixtures.join("sources"), expectations);
    let told = run_destination_stories(&catalog, &destinations, &fixtures.join("destinations"), expectations);
    report.passed.extend(told.passed);
    report.problems.extend(told.problems);
    Ok(report)
}

/// Compares with `expected.json`, text by text: even the order of members and the digits of numbers.
pub(crate) fn compare(folder: &Path, found: &Json, expectations: Expectations) -> Result<(), Problem> {
    let path = folder.join("expected.json");
    let text = format!("{found:#}\n");
    let place = path.display().to_string();
    if expectations == Expectations::Rewrite {
        return fs::write(&path, text).map_err(|error| {
            Problem::new(format!("it cannot be written: {error}"), "mend it").in_file(&place)
        });
    }
    let expected = fs::read_to_string(&path).map_err(|error| {
        let hint = "run with BLESS=1 to write it, then look at it";
        Problem::new(format!("it cannot be read: {error}"), hint).in_file(&place)
    })?;
    let mut pairs = expected.lines().zip(text.lines()).enumerate();
    let differing = pairs.find(|(_, (expected, found))| expected != found);
    let lines = (expected.lines().count(), text.lines().count());
    let hint = "if this is right, run with BLESS=1 and look at the change";
    match differing {
        Some((line, (expected, found))) => {
            let what = format!("expected `{}`, found `{}`", expected.trim(), found.trim());
            Err(Problem::new(what, hint).at(&place, line + 1))
        }
        None if lines.0 != lines.1 => {
            let what = format!("expected {} lines, found {}", lines.0, lines.1);
            Err(Problem::new(what, hint).in_file(&place))
        }
        None => Ok(()),
    }
}

/// The folders of a directory in alphabetical order; none if it is not there.
pub(crate) fn folders(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let folders: BTreeMap<String, PathBuf> =
        found.filter(|path| path.is_dir()).map(|path| (file_name(&path), path)).collect();
    folders.into_values().collect()
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
