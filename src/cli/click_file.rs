//! A click as a JSON file, in the words of `POST /api/v1/clicks`: what `preview --click` reads.

use std::path::Path;

use crate::domain::click::Click;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::problem::Problem;
use crate::web::click;

/// Reads the click in the file at `path`, recorded `now`. Without a `click_id` it is `otherwise`.
///
/// # Errors
/// When the file cannot be read, or is not what `POST /api/v1/clicks` takes.
pub fn read(path: &Path, otherwise: ClickId, now: Time) -> Result<Click, Problem> {
    let file = path.display().to_string();
    let body = std::fs::read(path).map_err(|error| {
        Problem::new(format!("the click cannot be read: {error}"), "name a JSON file").in_file(&file)
    })?;
    let draft = click::read(&body).map_err(|fault| {
        let hint =
            "write it as for POST /api/v1/clicks: {\"click_id\": …, \"ip\": …, \"params\": {\"fbclid\": …}}";
        Problem::new(format!("the click is not understood: {fault}"), hint).in_file(&file)
    })?;
    Ok(draft.into_click(otherwise, now))
}
