//! How many stories each source template has: of the built-in ones by a table that is compiled in, of a user's own by the
//! folders that they are in.

use std::fs;
use std::path::{Path, PathBuf};

/// A name and a number on each line.
static BUILT_IN: &str = include_str!("../../templates/stories.tsv");

/// The stories of all templates.
pub struct StoryCounts {
    own: Option<PathBuf>,
}

impl StoryCounts {
    /// Those of the built-in templates, and of a user's own in `folder`.
    pub fn of(folder: Option<&Path>) -> StoryCounts {
        StoryCounts { own: folder.map(Path::to_path_buf) }
    }

    /// How many the source template of this name has; an alias has none of its own.
    pub fn source(&self, name: &str) -> usize {
        let own = self.own.as_ref().filter(|own| own.join("sources").join(format!("{name}.toml")).is_file());
        match own {
            Some(own) => story_folders(&own.join("fixtures/sources").join(name)),
            None => built_in(name),
        }
    }
}

/// The stories in a template's folder of them: each is a folder.
pub fn story_folders(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).count()
}

fn built_in(name: &str) -> usize {
    let mut lines = BUILT_IN.lines().filter_map(|line| line.split_once('\t'));
    lines.find(|(known, _)| *known == name).and_then(|(_, count)| count.parse().ok()).unwrap_or_default()
}
