//! A click as a JSON file, in the words of `POST /api/v1/clicks`: what `preview --click` reads.

use std::path::Path;

use crate::domain::click::Click;
use crate::domain::ids::ClickId;
use crate::domain::omission::Omission;
use crate::domain::time::Time;
use crate::ingest::visit::Landing;
use crate::template::diagnostic::Problem;
use crate::web::click_body;

/// Reads the click in the file at `path`, recorded `now`. Without a `click_id` it is `otherwise`.
///
/// # Errors
/// When the file cannot be read, or is not what `POST /api/v1/clicks` takes.
pub fn read(path: &Path, otherwise: ClickId, now: Time) -> Result<Click, Problem> {
    let file = path.display().to_string();
    let body = std::fs::read(path).map_err(|error| {
        Problem::new(format!("the click cannot be read: {error}"), "name a JSON file").in_file(&file)
    })?;
    let read = click_body::read(&body, &Landing::built_in(), now).map_err(|fault| {
        let hint =
            "write it as for POST /api/v1/clicks: {\"click_id\": …, \"ip\": …, \"params\": {\"fbclid\": …}}";
        Problem::new(format!("the click is not understood: {fault}"), hint).in_file(&file)
    })?;
    // A preview is to show what would be sent, so a member that would be lost is a mistake in the file.
    let click = read.draft.into_click(otherwise, now);
    let missing = click.context.omitted.named().first().map(Omission::sentence);
    if let Some(note) = read.notes.first().or(missing.as_ref()) {
        let hint = "correct or remove that member";
        return Err(
            Problem::new(format!("a member of the click would not be kept: {note}"), hint).in_file(&file)
        );
    }
    Ok(click)
}
