//! The folder of the user's own templates, and every template there is.

use std::path::{Path, PathBuf};

use crate::template::catalog::{Catalog, check_folder};
use crate::template::diagnostic::{Problem, access};
use crate::template::toml_doc::document::Document;
use crate::template::toml_doc::table::Table;

/// The folder of the user's own templates that the file at `path` names; nothing else is checked.
///
/// # Errors
/// When the file cannot be read as TOML, or the folder is none.
pub fn templates_folder(path: &Path) -> Result<Option<PathBuf>, Vec<Problem>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![access::problem(path, "it cannot be read", &error, "").in_file(&file)])?;
    let env = |name: &str| std::env::var(name).ok();
    let document = Document::new(&file, &text).with_env(&env);
    let folder = document.parse().map(|table| own_templates(&Table::root(&document, &table, None)));
    let problems = document.into_findings().0;
    match folder {
        Some(OwnTemplates::In(folder)) if problems.is_empty() => Ok(Some(folder)),
        _ if problems.is_empty() => Ok(None),
        _ => Err(problems),
    }
}

/// Whether the file names a folder of the user's own templates.
enum OwnTemplates {
    NotNamed,
    /// It names one that cannot be used, which was kept as a problem.
    Unusable,
    In(PathBuf),
}

fn own_templates(root: &Table<'_>) -> OwnTemplates {
    let Some(section) = root.table_or_empty("templates") else { return OwnTemplates::Unusable };
    let path = section.parsed("path", |text| {
        let path = section.document().path(&text.value);
        check_folder(&path).map(|()| path).map_err(|problem| {
            let hint = format!("{}; relative paths start from this file's folder", problem.hint);
            Problem { hint, ..problem }
        })
    });
    let is_named = section.has("path");
    section.finish();
    match path {
        Some(path) => OwnTemplates::In(path),
        None if is_named => OwnTemplates::Unusable,
        None => OwnTemplates::NotNamed,
    }
}

/// Every template that is whole; what is wrong with the others is kept.
pub fn read_catalog(root: &Table<'_>) -> Catalog {
    let own = own_templates(root);
    let folder = if let OwnTemplates::In(folder) = &own { Some(folder.as_path()) } else { None };
    let (catalog, problems) = Catalog::load_what_is_whole(folder);
    problems.into_iter().for_each(|problem| root.document().elsewhere(problem));
    // Any name may be one of a folder that could not be looked into.
    if matches!(own, OwnTemplates::Unusable) { catalog.without_the_users() } else { catalog }
}
