//! The paths of the table of routes as someone asks for them.

use postbridge::web::routes::table;

use crate::support::relay::KEY;

/// A path of the table with something in place of each part in braces.
pub fn sample(path: &str) -> String {
    match path {
        table::POSTBACK => format!("/{KEY}/collect/cake-test"),
        table::DIRECT_LINK => "/?a=200&c=761".to_owned(),
        table::SCRIPT_VERSION => "/tag.0123456789abcdef.js".to_owned(),
        _ => path.replace("{campaign}", "8599").replace("{id}", "some-id").replace("{list}", "some-list"),
    }
}
