//! What an entry of a conversion's history says, to compare.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::history::Change;

/// Each field that changed: its name, the value before and the value after it.
pub fn changed_fields(change: &Change) -> Vec<[String; 3]> {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let fields = change.fields.iter().map(|field| {
        let values = field.values();
        [field.code().as_str().to_owned(), shown(values.from), shown(values.to)]
    });
    fields.collect()
}
