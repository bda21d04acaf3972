//! Texts of a source template that are read the same way in several places: a parameter's name, an event's.

use crate::domain::event::EventName;
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::text::Text;

/// Whether a name can be written in a URL as it is.
pub(crate) fn check_param(name: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    if name.is_empty() || !name.bytes().all(allowed) {
        let what = format!("`{name}` is not a parameter's name");
        return Err(Problem::new(what, "use letters, digits, _ - . [ ]"));
    }
    Ok(())
}

/// The name of an event, whatever the case of a standard one.
pub fn event_name(text: &Text) -> Result<EventName, Problem> {
    EventName::parse(&text.value).ok_or_else(|| {
        Problem::new(
            format!("{} is not an event's name", text.shown()),
            format!("1–64 characters, such as {}", EventName::STANDARD.join(", ")),
        )
    })
}
