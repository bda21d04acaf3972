//! The names of parameters that a template may use.

use crate::template::diagnostic::Problem;

/// Whether a parameter's name can be written in a URL as it is.
pub(crate) fn check_param(name: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    if name.is_empty() || !name.bytes().all(allowed) {
        let what = format!("`{name}` is not a parameter's name");
        return Err(Problem::new(what, "use letters, digits, _ - . [ ]"));
    }
    Ok(())
}
