//! The codes of reasons, as programs look them up.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::code_family::CodeFamily;

/// One code of one family. The same word may be a code of several.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReasonCode")]
pub struct ReasonCodeView {
    /// What has the code: `rejection` of a postback, `skipped` or `dead` of a delivery…
    family: &'static str,
    /// As `reason_code` and `error.code` write it.
    code: &'static str,
    /// What it means.
    meaning: &'static str,
    /// What a person can do.
    fix: &'static str,
}

impl ReasonCodeView {
    /// Every code of a family.
    pub fn of(family: &CodeFamily) -> impl Iterator<Item = ReasonCodeView> {
        family.codes.iter().map(|explained| ReasonCodeView {
            family: family.word,
            code: explained.code,
            meaning: explained.meaning,
            fix: explained.fix,
        })
    }
}
