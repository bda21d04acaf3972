//! Golden stories: whether they are compared or rewritten, and the folders they are in.

use std::path::Path;

use postbridge::story::expected::Expectations;

use crate::support::golden;

/// Whether this run compares or rewrites.
pub fn expectations() -> Expectations {
    if golden::is_rewritten() { Expectations::Rewrite } else { Expectations::Check }
}

/// The names of the folders in one of the repository's.
pub fn folders_of(place: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
