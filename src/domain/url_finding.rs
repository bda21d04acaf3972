//! What is wrong with a postback URL as it was pasted at a network.

use crate::domain::code::{CodedReason, ReasonCode, codes};

codes! {
    /// Why postbacks by a pasted URL would be lost, or say less than they could.
    UrlFindingCode = "url_finding" {
        NotAnAddress = "not_an_address",
            "it does not begin as a web address does",
            "paste the whole URL, from `https://` on";
        PlainHttp = "plain_http",
            "it begins with http, so the key and the sale travel in clear text",
            "begin it with https://";
        OtherHost = "other_host",
            "its host is not the one that networks reach the relay at",
            "copy the URL from `postbridge url SOURCE`";
        OtherPath = "other_path",
            "its path is not the source's",
            "copy the URL from `postbridge url SOURCE`";
        OtherKey = "other_key",
            "its key is none of the source's, so every postback would be refused",
            "copy the URL from `postbridge url SOURCE`";
        Fragment = "fragment",
            "it has a `#` that belongs to no macro, and many senders cut a URL there",
            "write `%23` for it, or take it out";
        EscapedAmpersand = "escaped_ampersand",
            "it was copied from a page's source: `&` is written as `&amp;`",
            "write `&` between parameters";
        TwoQuestionMarks = "two_question_marks",
            "it has a second `?`",
            "write `&` between parameters";
        RepeatedParameter = "repeated_parameter",
            "a parameter is named twice, and two different values stop the postback",
            "leave one of them out";
        UnreadParameter = "unread_parameter",
            "the template reads no parameter of this name",
            "take it out, or name it as the template does";
        SkeletonWord = "skeleton_word",
            "a word is left in it that asks to be replaced",
            "put the network's macro in its place";
        UnknownMacro = "unknown_macro",
            "a macro in it is none that the template knows of the network",
            "write it as the network's list of macros has it: case counts";
        EncodedMacro = "encoded_macro",
            "a macro in it is percent-encoded, and networks fill in none that is",
            "write the macro's marks as they are";
        WrongConstant = "wrong_constant",
            "a value in it is not one that the field may have",
            "put the network's macro there, or a word that the source understands";
        ConstantId = "constant_id",
            "an id in it would be the same for every postback",
            "put the network's macro in its place";
        MissingStatus = "missing_status",
            "it carries no status, so the network reports no rejection",
            "add the status to it";
        MissingField = "missing_field",
            "it does not carry what the template reads",
            "add the parameter to it";
    }
}

/// A finding with what it is about. No member holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlFinding {
    /// No scheme, or another than http and https.
    NotAnAddress,
    /// http, where the configuration says https.
    PlainHttp,
    /// Host, with its port where it is not the usual one.
    OtherHost {
        /// As it was pasted.
        found: String,
        /// As it is configured.
        wanted: String,
    },
    /// The path, its key masked.
    OtherPath {
        /// As it was pasted.
        found: String,
        /// As it is configured.
        wanted: String,
    },
    /// The place of the key holds something else.
    OtherKey,
    /// A `#` in the value of this parameter, or before the query.
    Fragment {
        /// `None`: it is not in a parameter.
        parameter: Option<String>,
    },
    /// `&amp;`.
    EscapedAmpersand,
    /// Behind it this parameter begins.
    TwoQuestionMarks {
        /// Its name.
        parameter: String,
    },
    /// The same name again.
    RepeatedParameter {
        /// The name.
        parameter: String,
    },
    /// A name that nothing reads.
    UnreadParameter {
        /// The name.
        parameter: String,
        /// The one that was surely meant.
        meant: Option<String>,
    },
    /// `REPLACE`, `YOUR_CLICK_ID`, `null`.
    SkeletonWord {
        /// In which parameter.
        parameter: String,
        /// The word.
        value: String,
        /// The macro that belongs there, as the network writes it.
        wanted: Option<String>,
    },
    /// A macro of another grammar, of another name, or a name without its marks.
    UnknownMacro {
        /// In which parameter.
        parameter: String,
        /// As it was pasted.
        found: String,
        /// The one that was surely meant, as the network writes it.
        meant: Option<String>,
    },
    /// `%7Bsub1%7D`.
    EncodedMacro {
        /// In which parameter.
        parameter: String,
        /// As it was pasted.
        found: String,
        /// As it is to be written.
        plain: String,
    },
    /// A text where one of a few is expected.
    WrongConstant {
        /// In which parameter.
        parameter: String,
        /// What the parameter is read as.
        field: &'static str,
        /// The text.
        value: String,
    },
    /// A text in the place of an id.
    ConstantId {
        /// In which parameter.
        parameter: String,
        /// `transaction_id` or `click_id`.
        field: &'static str,
        /// The text.
        value: String,
    },
    /// The URL lacks the status.
    MissingStatus {
        /// What to add: `status={status}`.
        entry: String,
    },
    /// The URL lacks what a field is read from.
    MissingField {
        /// The field.
        field: &'static str,
        /// What to add: `tid=#tid#`.
        entry: String,
    },
}

impl CodedReason for UrlFinding {
    type Code = UrlFindingCode;

    fn code(&self) -> UrlFindingCode {
        match self {
            UrlFinding::NotAnAddress => UrlFindingCode::NotAnAddress,
            UrlFinding::PlainHttp => UrlFindingCode::PlainHttp,
            UrlFinding::OtherHost { .. } => UrlFindingCode::OtherHost,
            UrlFinding::OtherPath { .. } => UrlFindingCode::OtherPath,
            UrlFinding::OtherKey => UrlFindingCode::OtherKey,
            UrlFinding::Fragment { .. } => UrlFindingCode::Fragment,
            UrlFinding::EscapedAmpersand => UrlFindingCode::EscapedAmpersand,
            UrlFinding::TwoQuestionMarks { .. } => UrlFindingCode::TwoQuestionMarks,
            UrlFinding::RepeatedParameter { .. } => UrlFindingCode::RepeatedParameter,
            UrlFinding::UnreadParameter { .. } => UrlFindingCode::UnreadParameter,
            UrlFinding::SkeletonWord { .. } => UrlFindingCode::SkeletonWord,
            UrlFinding::UnknownMacro { .. } => UrlFindingCode::UnknownMacro,
            UrlFinding::EncodedMacro { .. } => UrlFindingCode::EncodedMacro,
            UrlFinding::WrongConstant { .. } => UrlFindingCode::WrongConstant,
            UrlFinding::ConstantId { .. } => UrlFindingCode::ConstantId,
            UrlFinding::MissingStatus { .. } => UrlFindingCode::MissingStatus,
            UrlFinding::MissingField { .. } => UrlFindingCode::MissingField,
        }
    }

    /// The parameter; of what is missing the field.
    fn field(&self) -> Option<&str> {
        match self {
            UrlFinding::Fragment { parameter } => parameter.as_deref(),
            UrlFinding::TwoQuestionMarks { parameter }
            | UrlFinding::RepeatedParameter { parameter }
            | UrlFinding::UnreadParameter { parameter, .. }
            | UrlFinding::SkeletonWord { parameter, .. }
            | UrlFinding::UnknownMacro { parameter, .. }
            | UrlFinding::EncodedMacro { parameter, .. }
            | UrlFinding::WrongConstant { parameter, .. }
            | UrlFinding::ConstantId { parameter, .. } => Some(parameter),
            UrlFinding::MissingStatus { .. } => Some("status"),
            UrlFinding::MissingField { field, .. } => Some(field),
            UrlFinding::NotAnAddress
            | UrlFinding::PlainHttp
            | UrlFinding::OtherHost { .. }
            | UrlFinding::OtherPath { .. }
            | UrlFinding::OtherKey
            | UrlFinding::EscapedAmpersand => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            UrlFinding::OtherHost { found, .. }
            | UrlFinding::OtherPath { found, .. }
            | UrlFinding::UnknownMacro { found, .. }
            | UrlFinding::EncodedMacro { found, .. } => Some(found),
            UrlFinding::SkeletonWord { value, .. }
            | UrlFinding::WrongConstant { value, .. }
            | UrlFinding::ConstantId { value, .. } => Some(value),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            UrlFinding::OtherHost { found, wanted } => {
                format!("its host is `{found}`, and networks reach the relay at `{wanted}`")
            }
            UrlFinding::OtherPath { found, wanted } => format!("its path is `{found}`, and not `{wanted}`"),
            UrlFinding::Fragment { parameter: Some(parameter) } => {
                format!("`{parameter}` has a `#` that belongs to no macro, and many senders cut a URL there")
            }
            UrlFinding::TwoQuestionMarks { parameter } => {
                format!("there is a second `?` before `{parameter}`")
            }
            UrlFinding::RepeatedParameter { parameter } => {
                format!("`{parameter}` is named twice, and two different values stop the postback")
            }
            UrlFinding::UnreadParameter { parameter, .. } => {
                format!("the template reads no parameter `{parameter}`")
            }
            UrlFinding::SkeletonWord { parameter, value, .. } => {
                format!("`{value}` in `{parameter}` asks to be replaced")
            }
            UrlFinding::UnknownMacro { parameter, found, .. } => {
                format!("`{found}` in `{parameter}` is no macro that the template knows of the network")
            }
            UrlFinding::EncodedMacro { parameter, found, .. } => {
                format!(
                    "the macro `{found}` in `{parameter}` is percent-encoded, and networks fill in none that is"
                )
            }
            UrlFinding::WrongConstant { parameter, field, value } => {
                format!("`{value}` in `{parameter}` is not a value that the field `{field}` may have")
            }
            UrlFinding::ConstantId { parameter, field, value } => {
                format!("`{value}` in `{parameter}` would be the `{field}` of every postback")
            }
            UrlFinding::MissingField { field, .. } => format!("it does not carry the field `{field}`"),
            _ => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            UrlFinding::OtherHost { wanted, .. } => format!("begin it with https://{wanted}"),
            UrlFinding::UnreadParameter { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            UrlFinding::SkeletonWord { wanted: Some(wanted), .. } => format!("write `{wanted}`"),
            UrlFinding::UnknownMacro { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            UrlFinding::EncodedMacro { plain, .. } => format!("write `{plain}`"),
            UrlFinding::MissingStatus { entry } | UrlFinding::MissingField { entry, .. } => {
                format!("add `{entry}`")
            }
            _ => self.code().fix().to_owned(),
        }
    }
}
