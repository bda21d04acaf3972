//! Every template there is: those compiled in, and a user's own, which add to them or override them by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, File, include_dir};

use crate::template::destination::definition::DestinationTemplate;
use crate::template::diagnostic::{Problem, access, did_you_mean};
use crate::template::preset::definition::PostbackPreset;
use crate::template::source::alias::{SourceAlias, SourceFile};
use crate::template::source::definition::SourceTemplate;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The templates by name. Nothing registers itself: files and folders are discovered.
#[derive(Default)]
pub struct Catalog {
    sources: BTreeMap<String, Arc<SourceTemplate>>,
    destinations: BTreeMap<String, Arc<DestinationTemplate>>,
    presets: BTreeMap<String, Arc<PostbackPreset>>,
    broken: Broken,
}

/// The names that are in no list of a [`Catalog`] because something is wrong with their templates.
#[derive(Default)]
struct Broken {
    sources: BTreeSet<String>,
    destinations: BTreeSet<String>,
    presets: BTreeSet<String>,
    /// Whether some folder could not be read: then any name may be one of its templates.
    any: bool,
}

/// The texts of one folder, by file name.
type Files = BTreeMap<String, String>;

impl Catalog {
    /// Reads the built-in templates and, over them, `user_directory`: `destinations/<name>/`, `sources/<name>.toml` and
    /// `presets/<name>.toml`.
    ///
    /// # Errors
    /// Every problem of every template at once.
    pub fn load(user_directory: Option<&Path>) -> Result<Catalog, Vec<Problem>> {
        let (catalog, problems) = Catalog::load_what_is_whole(user_directory);
        if problems.is_empty() { Ok(catalog) } else { Err(problems) }
    }

    /// The same with those templates that are whole, and every problem of the others. A broken template
    /// of the user's hides the built-in one of its name, too.
    pub fn load_what_is_whole(user_directory: Option<&Path>) -> (Catalog, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut found = TemplateTexts::built_in();
        if let Some(directory) = user_directory {
            found.take_directory(directory, &mut problems);
        }
        let mut catalog = Catalog { broken: found.broken, ..Catalog::default() };
        let mut aliases = Vec::new();
        for (name, (place, text)) in found.sources {
            if let Some(alias) = catalog.take_source(name, (&place, &text), &mut problems) {
                aliases.push((alias, place, text));
            }
        }
        for (alias, place, text) in aliases {
            catalog.take_alias(alias, (&place, &text), &mut problems);
        }
        for (name, (place, files)) in found.destinations {
            match DestinationTemplate::parse(&name, &place, &files) {
                Ok(template) => {
                    catalog.destinations.insert(name, Arc::new(template));
                }
                Err(wrong) => {
                    problems.extend(wrong);
                    catalog.broken.destinations.insert(name);
                }
            }
        }
        for (name, (place, text)) in found.presets {
            match PostbackPreset::parse(&name, &place, &text) {
                Ok(preset) => {
                    catalog.presets.insert(name, Arc::new(preset));
                }
                Err(wrong) => {
                    problems.extend(wrong);
                    catalog.broken.presets.insert(name);
                }
            }
        }
        (catalog, problems)
    }

    /// Takes a template in; answers an alias, which is resolved once all templates are known.
    fn take_source(
        &mut self,
        name: String,
        (place, text): (&str, &str),
        problems: &mut Vec<Problem>,
    ) -> Option<SourceAlias> {
        match SourceFile::parse(place, text) {
            Ok(found) if found.name() != name => {
                let what = format!("its name is `{}` and the file's is `{name}`", found.name());
                problems.push(Problem::new(what, "give both the same name").at(place, line_of(text, "name")));
                self.broken.sources.insert(found.name().to_owned());
            }
            Ok(SourceFile::Template(template)) => {
                self.sources.insert(name, Arc::new(*template));
                return None;
            }
            Ok(SourceFile::Alias(alias)) => return Some(alias),
            Err(wrong) => problems.extend(wrong),
        }
        self.broken.sources.insert(name);
        None
    }

    /// A broken original is said where it is.
    fn take_alias(&mut self, alias: SourceAlias, (place, text): (&str, &str), problems: &mut Vec<Problem>) {
        let (name, of) = (alias.name.clone(), alias.of.clone());
        match alias.resolved(|of| self.source(of)) {
            Ok(template) => {
                self.sources.insert(name, Arc::new(template));
                return;
            }
            Err(_) if self.has_broken_source(&of) => {}
            Err(problem) => problems.push(problem.at(place, line_of(text, "alias_of"))),
        }
        self.broken.sources.insert(name);
    }

    /// The same catalog, of a configuration whose folder of templates could not be read.
    #[must_use]
    pub fn without_the_users(mut self) -> Catalog {
        self.broken.any = true;
        self
    }

    /// Whether a source template of this name is not here because something is wrong with it.
    pub fn has_broken_source(&self, name: &str) -> bool {
        !self.sources.contains_key(name) && (self.broken.any || self.broken.sources.contains(name))
    }

    /// Whether a destination template of this name is not here because something is wrong with it.
    pub fn has_broken_destination(&self, name: &str) -> bool {
        !self.destinations.contains_key(name) && (self.broken.any || self.broken.destinations.contains(name))
    }

    /// Whether a preset of this name is not here because something is wrong with it.
    pub fn has_broken_preset(&self, name: &str) -> bool {
        !self.presets.contains_key(name) && (self.broken.any || self.broken.presets.contains(name))
    }

    /// The preset of this name.
    pub fn preset(&self, name: &str) -> Option<Arc<PostbackPreset>> {
        self.presets.get(name).cloned()
    }

    /// In alphabetical order.
    pub fn preset_names(&self) -> Vec<&str> {
        self.presets.keys().map(String::as_str).collect()
    }

    /// The source template of this name.
    pub fn source(&self, name: &str) -> Option<Arc<SourceTemplate>> {
        self.sources.get(name).cloned()
    }

    /// In alphabetical order.
    pub fn source_names(&self) -> Vec<&str> {
        self.sources.keys().map(String::as_str).collect()
    }

    /// The destination template of this name.
    pub fn destination(&self, name: &str) -> Option<Arc<DestinationTemplate>> {
        self.destinations.get(name).cloned()
    }

    /// In alphabetical order.
    pub fn destination_names(&self) -> Vec<&str> {
        self.destinations.keys().map(String::as_str).collect()
    }
}

/// The line of a file's first key of this name, counted from 1.
fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.trim_start().starts_with(key)).map_or(1, |index| index + 1)
}

/// The texts of all templates by name, each with the place that problems name.
#[derive(Default)]
struct TemplateTexts {
    sources: BTreeMap<String, (String, String)>,
    destinations: BTreeMap<String, (String, Files)>,
    presets: BTreeMap<String, (String, String)>,
    /// What could not be read.
    broken: Broken,
}

impl TemplateTexts {
    fn built_in() -> TemplateTexts {
        let mut found = TemplateTexts::default();
        let files = |folder: &str| BUILT_IN.get_dir(folder).into_iter().flat_map(Dir::files);
        let text = |file: &File<'_>| {
            let place = format!("templates/{}", file.path().display());
            Some((template_name(file.path())?, (place, file.contents_utf8()?.to_owned())))
        };
        found.sources = files("sources").filter_map(text).collect();
        found.presets = files("presets").filter_map(text).collect();
        for folder in BUILT_IN.get_dir("destinations").into_iter().flat_map(Dir::dirs) {
            let texts = folder.files();
            let texts = texts.filter_map(|f| Some((file_name(f.path())?, f.contents_utf8()?.to_owned())));
            if let Some(name) = file_name(folder.path()) {
                let place = format!("templates/{}", folder.path().display());
                found.destinations.insert(name, (place, texts.collect()));
            }
        }
        found
    }

    /// A user's own templates: each takes the place of a built-in one of its name, as a whole.
    fn take_directory(&mut self, directory: &Path, problems: &mut Vec<Problem>) {
        if let Err(problem) = check_folder(directory) {
            problems.push(problem);
            self.broken.any = true;
            return;
        }
        let sources = self.entries(&directory.join("sources"), problems);
        take_files(sources, (&mut self.sources, &mut self.broken.sources), problems);
        let presets = self.entries(&directory.join("presets"), problems);
        take_files(presets, (&mut self.presets, &mut self.broken.presets), problems);
        for folder in self.entries(&directory.join("destinations"), problems) {
            let Some(name) = file_name(&folder).filter(|_| !folder.is_file()) else { continue };
            match read_files(&folder) {
                Ok(files) => {
                    self.destinations.insert(name, (folder.display().to_string(), files));
                }
                Err(wrong) => {
                    problems.extend(wrong);
                    self.destinations.remove(&name);
                    self.broken.destinations.insert(name);
                }
            }
        }
    }

    /// What is in a directory, where an absent one holds nothing. Whether it is there, reading it says:
    /// asking first would take a folder that may not be read for an absent one.
    fn entries(&mut self, directory: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
        match list(directory) {
            Ok(paths) => paths,
            Err(error) if error.kind() == ErrorKind::NotFound && !directory.is_symlink() => Vec::new(),
            Err(error) => {
                problems.push(unreadable(directory, &error));
                self.broken.any = true;
                Vec::new()
            }
        }
    }
}

/// Reads templates that are a file each: one takes the place of another of its name, also where it cannot be read.
fn take_files(
    paths: Vec<PathBuf>,
    (found, broken): (&mut BTreeMap<String, (String, String)>, &mut BTreeSet<String>),
    problems: &mut Vec<Problem>,
) {
    for path in paths {
        let Some(name) = template_name(&path) else { continue };
        match fs::read_to_string(&path) {
            Ok(text) => {
                found.insert(name, (path.display().to_string(), text));
            }
            Err(error) => {
                problems.push(unreadable(&path, &error));
                found.remove(&name);
                broken.insert(name);
            }
        }
    }
}

/// `name.toml` → `name`; other files are no templates.
fn template_name(path: &Path) -> Option<String> {
    let toml = path.extension().is_some_and(|kind| kind == "toml");
    path.file_stem().filter(|_| toml).map(|name| name.to_string_lossy().into_owned())
}

/// Whether the folder of a user's own templates can be read and has something to read: what is in it
/// would otherwise be passed over without a word.
///
/// # Errors
/// It is not there, may not be read, or holds no kind of template; or a folder in it is only
/// nearly named as it must be.
pub fn check_folder(directory: &Path) -> Result<(), Problem> {
    let shown = directory.display();
    let there = list(directory).map_err(|error| {
        let what = match error.kind() {
            ErrorKind::NotFound => format!("there is no folder {shown}"),
            ErrorKind::NotADirectory => format!("{shown} is not a folder"),
            _ => format!("the folder {shown} cannot be read: {error}"),
        };
        Problem::new(
            what,
            "name a folder with sources/, destinations/ or presets/ in it that the relay may read",
        )
    })?;
    let names: Vec<String> = there.iter().filter_map(|path| file_name(path)).collect();
    let absent = || FOLDERS.into_iter().filter(|folder| !names.iter().any(|name| name == folder));
    for name in names.iter().filter(|name| !FOLDERS.contains(&name.as_str())) {
        if let Some(meant) = did_you_mean(&name.to_lowercase(), absent()) {
            let what = format!("{} is not read", directory.join(name).display());
            return Err(Problem::new(what, format!("name it `{meant}`")));
        }
    }
    if absent().count() == FOLDERS.len() {
        let what = format!("{shown} holds neither sources/ nor destinations/ nor presets/");
        let hint = "put templates into sources/<name>.toml, destinations/<name>/ or presets/<name>.toml";
        return Err(Problem::new(what, hint));
    }
    Ok(())
}

const FOLDERS: [&str; 3] = ["sources", "destinations", "presets"];

/// What is in a directory, in order. Hidden files are passed over.
fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| file_name(path).is_some_and(|name| !name.starts_with('.')));
    paths.sort();
    Ok(paths)
}

/// The endings of the files that a template's folder may have.
const FILE_KINDS: [&str; 4] = ["toml", "hbs", "md", "json"];

/// The texts of one template's folder, or what of it cannot be read.
fn read_files(folder: &Path) -> Result<Files, Vec<Problem>> {
    let (mut files, mut problems) = (Files::new(), Vec::new());
    for path in list(folder).map_err(|error| vec![unreadable(folder, &error)])? {
        let is_read = |kind: &std::ffi::OsStr| FILE_KINDS.iter().any(|known| kind == *known);
        if !path.extension().is_some_and(is_read) || path.is_dir() {
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => files.extend(file_name(&path).map(|name| (name, text))),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let usual = "a template is text in UTF-8 that the relay may read";
    access::problem(path, "it cannot be read", error, usual).in_file(&path.display().to_string())
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}
