//! Texts that a document names and does not hold: `{ env = "NAME" }` and `{ file = "path" }`.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::template::diagnostic::{Problem, access, did_you_mean};

/// Reads one environment variable; `None` when it is not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a text is from; messages name the place instead of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TextOrigin {
    #[default]
    Literal,
    Env(String),
    File(String),
}

/// A process keeps the environment that it was started with, which surprises only at a reload.
const NO_NEW_VARIABLE: &str = "a relay that runs already cannot see it: restart it, or use { file = \"…\" }, which is read again on SIGHUP";

const ELSEWHERE: &str = "relative paths start from the configuration's folder; the user that runs postbridge must be allowed to read it";

const FORM: &str = "write { env = \"NAME\" } or { file = \"path\" }";

/// The most bytes that a secret's file may have: a token, not a document.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Reads what the table names. The line end at a file's end is not part of it.
///
/// # Errors
/// When the table is neither, the variable is not set, the file cannot be read, or either is empty.
pub(super) fn resolve(
    table: &DeTable<'_>,
    env: Env<'_>,
    path: impl Fn(&str) -> PathBuf,
) -> Result<(String, TextOrigin), Problem> {
    let (Some((key, value)), 1) = (table.iter().next(), table.len()) else {
        return Err(Problem::new("a value from outside names exactly one place", FORM));
    };
    let DeValue::String(place) = value.get_ref() else {
        return Err(Problem::new(format!("`{}` is not a text", key.get_ref()), FORM));
    };
    match key.get_ref().as_ref() {
        "env" => from_env(place, env),
        "file" => from_file(place, &path(place)),
        other => {
            let near = did_you_mean(other, ["env", "file"]);
            let hint = near.map_or_else(|| FORM.to_owned(), |near| format!("did you mean `{near}`?"));
            Err(Problem::new(format!("a value cannot come from `{other}`"), hint))
        }
    }
}

fn from_env(name: &str, env: Env<'_>) -> Result<(String, TextOrigin), Problem> {
    match env(name).map(|text| text.trim().to_owned()) {
        Some(text) if !text.is_empty() => Ok((text, TextOrigin::Env(name.to_owned()))),
        Some(_) => Err(Problem::new(
            format!("the environment variable {name} is empty"),
            format!("give {name} its value before starting, or name another variable; {NO_NEW_VARIABLE}"),
        )),
        None => Err(Problem::new(
            format!("the environment variable {name} is not set"),
            format!("set it before starting: export {name}=…; {NO_NEW_VARIABLE}"),
        )),
    }
}

fn from_file(shown: &str, path: &Path) -> Result<(String, TextOrigin), Problem> {
    let what = format!("the file {shown} cannot be read");
    let unreadable = |error: std::io::Error| access::problem(path, &what, &error, ELSEWHERE);
    let size = std::fs::metadata(path).map_err(unreadable)?;
    if size.is_file() && size.len() > MAX_FILE_BYTES {
        return Err(Problem::new(format!("{what}: it is larger than 64 KiB"), ELSEWHERE));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::new(format!("the file {shown} is empty"), "write the secret into it"));
    }
    Ok((text.to_owned(), TextOrigin::File(shown.to_owned())))
}
