//! The answer that a network wants: `[reply]` of a source template.

use std::collections::HashMap;

use crate::domain::postback::VerdictName;
use crate::template::diagnostic::Problem;
use crate::template::source::params::check_param;
use crate::template::toml_doc::table::Table;

/// What is answered in place of our JSON.
#[derive(Debug, Clone, Default)]
pub struct NetworkReply {
    text: Option<String>,
    by_verdict: HashMap<VerdictName, String>,
    /// The parameter of a GET with which the network asks whether the address is ours; its value is the answer.
    challenge: Option<String>,
    /// The status of an answer to a refused signature.
    refused: Option<u16>,
}

/// The verdicts that are answered with 200.
const ANSWERED: [VerdictName; 5] = [
    VerdictName::Accepted,
    VerdictName::Updated,
    VerdictName::Duplicate,
    VerdictName::Ignored,
    VerdictName::Quarantined,
];

/// Reads the section.
pub(crate) fn read(root: &Table<'_>) -> NetworkReply {
    let rules = root.read_table("reply", |table| {
        let text = |key: &'static str| table.text(key).map(|text| text.value);
        let of_verdict = |verdict: VerdictName| Some((verdict, text(verdict.as_str())?));
        NetworkReply {
            text: text("text"),
            by_verdict: ANSWERED.into_iter().filter_map(of_verdict).collect(),
            challenge: table.parsed("challenge", |text| match check_param(&text.value) {
                Ok(()) => Ok(text.value.clone()),
                Err(Problem { what, .. }) => {
                    Err(Problem::new(what, "name the parameter of the GET whose value is to be answered"))
                }
            }),
            refused: table.number("refused", 400..=599),
        }
    });
    rules.unwrap_or_default()
}

impl NetworkReply {
    /// The body of the answer to a postback with this verdict; `None`: our JSON.
    pub fn text(&self, verdict: VerdictName) -> Option<&str> {
        self.by_verdict.get(&verdict).or(self.text.as_ref()).map(String::as_str)
    }

    /// The status that answers a postback whose signature is refused, where that is not 200.
    pub fn refused(&self) -> Option<u16> {
        self.refused
    }

    /// The parameter of a GET whose value is the answer.
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }
}
