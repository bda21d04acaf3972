//! What a person reads when something is wrong: what happened, where, and how to fix it.

pub(crate) mod access;

use std::fmt;

/// One fault in a configuration, a template or a command, worded for the person who can fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What happened, naming the value that was received: ``payout `7,50` is not a decimal``.
    pub what: String,
    /// Where: a file and, where it is known, a line (`postbridge.toml:12`). Empty for a command line.
    pub at: String,
    /// How to fix it: an imperative sentence.
    pub hint: String,
    /// The rule of templates or sources that it is about, where it is one of the few that have a code.
    pub code: Option<LintCode>,
}

/// A rule of destination templates, or a warning about a source, that programs may ask for by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintCode {
    /// A value is in a payload without a typed helper.
    BareValue,
    /// A name, setting or helper does not exist.
    UnknownName,
    /// A time is written in another unit than the schema says.
    WrongTimeUnit,
    /// An ad platform's template requires nothing, so that what is refused for certain is sent.
    NoMinimum,
    /// A requirement is on a place that no request has.
    UnknownPlace,
    /// No request names what the platform could know an event again by.
    NoDedupId,
    /// A source's postbacks carry no transaction id.
    NoTransactionId,
    /// A source's postbacks carry no status.
    NoStatus,
    /// A source's template rests on facts that cannot be relied on.
    DoubtfulFact,
    /// Networks are to send what is secret in clear text.
    PlainHttp,
}

impl LintCode {
    /// Every one of them.
    pub const ALL: [LintCode; 10] = [
        LintCode::BareValue,
        LintCode::UnknownName,
        LintCode::WrongTimeUnit,
        LintCode::NoMinimum,
        LintCode::UnknownPlace,
        LintCode::NoDedupId,
        LintCode::NoTransactionId,
        LintCode::NoStatus,
        LintCode::DoubtfulFact,
        LintCode::PlainHttp,
    ];

    /// The word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            LintCode::BareValue => "bare_value",
            LintCode::UnknownName => "unknown_name",
            LintCode::WrongTimeUnit => "wrong_time_unit",
            LintCode::NoMinimum => "no_minimum",
            LintCode::UnknownPlace => "unknown_place",
            LintCode::NoDedupId => "no_dedup_id",
            LintCode::NoTransactionId => "no_transaction_id",
            LintCode::NoStatus => "no_status",
            LintCode::DoubtfulFact => "doubtful_fact",
            LintCode::PlainHttp => "plain_http",
        }
    }
}

impl Problem {
    /// A problem without a place; [`Problem::at`] adds one.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { what: what.into(), at: String::new(), hint: hint.into(), code: None }
    }

    /// The same problem, placed at a file and line (1-based).
    pub fn at(mut self, file: &str, line: usize) -> Problem {
        self.at = format!("{file}:{line}");
        self
    }

    /// The same problem, of a rule that has a code.
    pub fn coded(mut self, code: LintCode) -> Problem {
        self.code = Some(code);
        self
    }

    /// The same problem, placed in a file whose line is not known.
    pub fn in_file(mut self, file: &str) -> Problem {
        self.at = file.to_owned();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "{}", self.what)?;
        if let Some(code) = self.code {
            write!(f, " [{}]", code.as_str())?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// One problem, where all of them are gathered.
impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Vec<Problem> {
        vec![problem]
    }
}

/// The word of `known` nearest to `typed`, if it is near enough to be meant.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(typed, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
