//! A remark: its code, the field it is about, and its sentence.

use serde::Serialize;

use crate::domain::remark::Remark;

/// What a person should know of a conversion, or of a request that was sent.
#[derive(Serialize)]
pub struct RemarkView {
    code: &'static str,
    field: String,
    text: String,
}

impl RemarkView {
    pub fn of(remark: &Remark) -> RemarkView {
        RemarkView { code: remark.code(), field: remark.field().to_owned(), text: remark.sentence() }
    }

    pub fn all<'a>(remarks: impl IntoIterator<Item = &'a Remark>) -> Vec<RemarkView> {
        remarks.into_iter().map(RemarkView::of).collect()
    }
}
