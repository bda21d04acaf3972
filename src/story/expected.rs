//! What a story must come to: the file next to it, compared or written.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::template::diagnostic::Problem;

/// What a story must come to.
pub(crate) const EXPECTED: &str = "expected.json";

/// What to do with `expected.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectations {
    /// Compare, and report every difference.
    Check,
    /// Write the result; a person looks at the change.
    Rewrite,
}

/// A story that ended as it must.
pub(crate) enum Compared {
    /// As its file has it.
    AsExpected,
    /// Its file was written: what is otherwise in it now.
    Written(String),
}

/// The first line in which two texts differ.
struct Difference {
    /// Counted from 1.
    line: usize,
    expected: String,
    found: String,
}

impl Difference {
    /// `None` where every line is the same.
    fn between(expected: &str, found: &str) -> Option<Difference> {
        let (mut expected, mut found) = (expected.lines(), found.lines());
        for line in 1.. {
            let (expected, found) = (expected.next(), found.next());
            if expected.is_none() && found.is_none() {
                break;
            }
            if expected != found {
                let shown = |line: Option<&str>| {
                    line.map_or("its end".to_owned(), |line| format!("`{}`", line.trim()))
                };
                return Some(Difference { line, expected: shown(expected), found: shown(found) });
            }
        }
        None
    }
}

/// Compares with `expected.json`, text by text: even the order of members and the digits of numbers.
pub(crate) fn compare(folder: &Path, found: &Json, expectations: Expectations) -> Result<Compared, Problem> {
    let path = folder.join(EXPECTED);
    let text = format!("{found:#}\n");
    let place = path.display().to_string();
    let expected = fs::read_to_string(&path);
    let difference = expected.as_ref().map(|expected| Difference::between(expected, &text));
    if let Ok(None) = difference {
        return Ok(Compared::AsExpected);
    }
    if expectations == Expectations::Rewrite {
        let unwritten =
            |error| Problem::new(format!("it cannot be written: {error}"), "fix it").in_file(&place);
        fs::write(&path, text).map_err(unwritten)?;
        return Ok(Compared::Written(match difference {
            Ok(Some(Difference { line, expected, found })) => {
                format!("line {line} was {expected}, is {found}")
            }
            _ => "new".to_owned(),
        }));
    }
    match difference {
        Ok(Some(Difference { line, expected, found })) => {
            let hint = "if this is right, run with BLESS=1 and look at the change";
            Err(Problem::new(format!("expected {expected}, found {found}"), hint).at(&place, line))
        }
        Ok(None) => Ok(Compared::AsExpected),
        Err(error) => {
            let hint = "run with BLESS=1 to write it, then look at it";
            Err(Problem::new(format!("it cannot be read: {error}"), hint).in_file(&place))
        }
    }
}
