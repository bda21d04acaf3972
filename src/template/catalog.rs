//! Every template there is: those compiled in, and a user's own, which add to them or override them by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::problem::Problem;
use crate::template::destination::DestinationTemplate;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The templates by name. Nothing registers itself: files and folders are discovered.
#[derive(Default)]
pub struct Catalog {
    destinations: BTreeMap<String, Arc<DestinationTemplate>>,
}

/// The texts of one folder, by file name.
type Files = BTreeMap<String, String>;

impl Catalog {
    /// Reads the built-in templates and, over them, `user_directory`: `destinations/<name>/` and
    /// `sources/<name>.toml`.
    ///
    /// # Errors
    /// Every problem of every template at once.
    pub fn load(user_directory: Option<&Path>) -> Result<Catalog, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut folders: BTreeMap<String, (String, Files)> = BTreeMap::new();
        for (name, files) in built_in_destinations() {
            folders.insert(name.clone(), (format!("templates/destinations/{name}"), files));
        }
        if let Some(directory) = user_directory {
            if !directory.is_dir() {
                let what = format!("the templates' directory {} is not there", directory.display());
                problems.push(Problem::new(what, "mend `path` under [templates], or make the directory"));
            }
            for folder in entries(&directory.join("destinations"), &mut problems) {
                if !folder.is_dir() {
                    continue;
                }
                let Some(name) = file_name(&folder) else { continue };
                let files = read_files(&folder, &mut problems);
                folders.insert(name, (folder.display().to_string(), files));
            }
        }
        let mut catalog = Catalog::default();
        for (name, (place, files)) in folders {
            match DestinationTemplate::parse_at(&name, &place, &files) {
                Ok(template) => {
                    catalog.destinations.insert(name, Arc::new(template));
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(catalog) } else { Err(problems) }
    }

    pub fn destination(&self, name: &str) -> Option<Arc<DestinationTemplate>> {
        self.destinations.get(name).cloned()
    }

    /// In alphabetical order.
    pub fn destination_names(&self) -> Vec<&str> {
        self.destinations.keys().map(String::as_str).collect()
    }
}

fn built_in_destinations() -> Vec<(String, Files)> {
    let folders = BUILT_IN.get_dir("destinations").into_iter().flat_map(Dir::dirs);
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = |dir: &Dir<'_>| {
        let files = dir.files();
        let files = files.filter_map(|file| Some((name(file.path())?, file.contents_utf8()?.to_owned())));
        Some((name(dir.path())?, files.collect()))
    };
    folders.filter_map(folder).collect()
}

/// What lies in a directory, in order; nothing if it is not there. Hidden files are passed over.
fn entries(directory: &Path, problems: &mut Vec<Problem>) -> Vec<std::path::PathBuf> {
    if !directory.exists() {
        return Vec::new();
    }
    match fs::read_dir(directory) {
        Ok(found) => {
            let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.retain(|path| file_name(path).is_some_and(|name| !name.starts_with('.')));
            paths.sort();
            paths
        }
        Err(error) => {
            problems.push(unreadable(directory, &error));
            Vec::new()
        }
    }
}

fn read_files(folder: &Path, problems: &mut Vec<Problem>) -> Files {
    let mut files = Files::new();
    for path in entries(folder, problems) {
        let known = path.extension().is_some_and(|kind| kind == "toml" || kind == "hbs" || kind == "md");
        if !known || !path.is_file() {
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => files.extend(file_name(&path).map(|name| (name, text))),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    files
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let what = format!("it cannot be read: {error}");
    Problem::new(what, "a template is text in UTF-8 that the relay may read")
        .in_file(&path.display().to_string())
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}
