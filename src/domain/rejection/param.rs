//! What can be wrong with one parameter of a report: the codes, what each is about, and the sentences.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::event::EventName;
use crate::domain::ids::OfferId;
use crate::domain::money::{NoCurrency, NumberFormat, parse_decimal};
use crate::domain::offer::hours;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::rejection::wanted::{LengthLimit, MemberOf, Names, ParamFix, WantedValue};
use crate::domain::time::Time;

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamProblem {
    /// The parameter, as the sender wrote it.
    pub field: String,
    /// What was received, short and with what is invisible written out; `***` where it is a secret. `None` where
    /// nothing was.
    pub value: Option<String>,
    /// What the parameter holds, as far as it is known.
    pub content: ParamContent,
    /// The code, with what else it is about.
    pub wrong: ParamFault,
    /// How to fix it, where the endpoint says more than the code.
    pub fix: Option<ParamFix>,
}

/// What a parameter holds, and so whether its value is shown apart from the sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamContent {
    /// Something about the sale: its value is shown.
    OfTheSale,
    /// Something about the customer, or no one knows what: its value is not shown.
    MaybePersonal,
}

/// What is wrong, with what else it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the `RejectionCode` of the same name, which has its meaning")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamFault {
    /// `decoded`: how the macro reads, where it is encoded once more.
    UnexpandedMacro {
        decoded: Option<String>,
    },
    Placeholder,
    MeansNothing,
    /// `other` is spelled differently only where names are compared loosely.
    DifferentValues {
        other: String,
        other_value: String,
    },
    UnreadableBytes,
    /// `known`: as the template has it.
    OtherCase {
        known: String,
    },
    /// A template's event needs it. `needed_by`: `None` where the event is inferred from it.
    MissingValue {
        needed_by: Option<EventName>,
        clue: Box<MissingClue>,
    },
    /// The endpoint needs it.
    MissingParameter,
    MissingEvent,
    /// `param`: the one in which the template reads the currency, where it reads one.
    MissingCurrency {
        param: Option<String>,
    },
    InvalidCurrency {
        why: NoCurrency,
    },
    /// `format`: how the template says that numbers are written. `other_fits`: whether it is a number in another.
    NotANumber {
        format: NumberFormat,
        other_fits: bool,
    },
    InvalidValue {
        wanted: WantedValue,
    },
    BelowZero,
    TooLong {
        limit: LengthLimit,
    },
    /// `known`: the words that the template knows.
    UnknownStatus {
        template: String,
        known: Names,
    },
    InvalidTime,
    /// `read`: the moment that the text was read as.
    TimeTooOld {
        read: Time,
    },
    /// `read`: the moment that the text was read as.
    TimeAhead {
        read: Time,
    },
    NotVisitorsAddress,
    NotYesOrNo,
    PriceNotTaken,
    /// `unexpanded`: the macro as the URL has it.
    CutAtFragment {
        unexpanded: String,
    },
    UnknownOffer,
    /// A member that nothing reads.
    UnknownMember {
        of: MemberOf,
    },
    /// It is the name that is empty or too long.
    InvalidName {
        limit: LengthLimit,
    },
    /// The last day is before `first`, the day of `start_date`.
    BeforeFirstDay {
        first: String,
    },
    /// More rows than a page has, or none.
    RowsOfPage {
        most: u64,
    },
    /// No conversion that the caller may change has this number.
    UnknownConversion,
    /// No click with this id is known, or it has expired, or it is of another offer: the sender is not informed which.
    NoUsableClick {
        offer: OfferId,
        /// For how long a click of the offer converts.
        session_hours: u32,
    },
}

/// What may explain why a value is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingClue {
    /// A parameter that was received and has nearly its name.
    pub near: Option<String>,
    /// The entry of the postback URL: `price=#price#`.
    pub entry: String,
    /// The last parameter of the URL that was received, where all behind it are missing.
    pub last_before: Option<String>,
}

impl ParamProblem {
    /// Of a parameter of which it is not known what it holds.
    pub fn new(field: String, value: Option<String>, wrong: ParamFault) -> ParamProblem {
        ParamProblem { field, value, content: ParamContent::MaybePersonal, wrong, fix: None }
    }

    /// The same of a parameter that holds nothing about the customer.
    #[must_use]
    pub fn of_the_sale(self) -> ParamProblem {
        ParamProblem { content: ParamContent::OfTheSale, ..self }
    }

    /// The same with how to fix it.
    #[must_use]
    pub fn with_fix(self, fix: ParamFix) -> ParamProblem {
        ParamProblem { fix: Some(fix), ..self }
    }

    fn shown(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    fn received(&self) -> String {
        match &self.value {
            Some(value) if value.is_empty() => format!("`{}` was received empty", self.field),
            Some(value) => format!("`{}` was received as `{value}`", self.field),
            None => format!("`{}` is missing", self.field),
        }
    }
}

impl CodedReason for ParamProblem {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        match self.wrong {
            ParamFault::UnexpandedMacro { .. } => RejectionCode::UnexpandedMacro,
            ParamFault::Placeholder => RejectionCode::Placeholder,
            ParamFault::MeansNothing => RejectionCode::MeansNothing,
            ParamFault::DifferentValues { .. } => RejectionCode::DifferentValues,
            ParamFault::UnreadableBytes => RejectionCode::UnreadableBytes,
            ParamFault::OtherCase { .. } => RejectionCode::OtherCase,
            ParamFault::MissingValue { .. } => RejectionCode::MissingValue,
            ParamFault::MissingParameter => RejectionCode::MissingParameter,
            ParamFault::MissingEvent => RejectionCode::MissingEvent,
            ParamFault::MissingCurrency { .. } => RejectionCode::MissingCurrency,
            ParamFault::InvalidCurrency { .. } => RejectionCode::InvalidCurrency,
            ParamFault::NotANumber { .. } => RejectionCode::NotANumber,
            ParamFault::InvalidValue { .. }
            | ParamFault::BeforeFirstDay { .. }
            | ParamFault::RowsOfPage { .. } => RejectionCode::InvalidValue,
            ParamFault::UnknownConversion => RejectionCode::UnknownConversion,
            ParamFault::NoUsableClick { .. } => RejectionCode::UnknownClick,
            ParamFault::BelowZero => RejectionCode::BelowZero,
            ParamFault::TooLong { .. } => RejectionCode::TooLong,
            ParamFault::UnknownStatus { .. } => RejectionCode::UnknownStatus,
            ParamFault::InvalidTime => RejectionCode::InvalidTime,
            ParamFault::TimeTooOld { .. } => RejectionCode::TimeTooOld,
            ParamFault::TimeAhead { .. } => RejectionCode::TimeAhead,
            ParamFault::NotVisitorsAddress => RejectionCode::NotVisitorsAddress,
            ParamFault::NotYesOrNo => RejectionCode::NotYesOrNo,
            ParamFault::PriceNotTaken => RejectionCode::PriceNotTaken,
            ParamFault::CutAtFragment { .. } => RejectionCode::CutAtFragment,
            ParamFault::UnknownOffer => RejectionCode::UnknownOffer,
            ParamFault::UnknownMember { .. } => RejectionCode::UnknownMember,
            ParamFault::InvalidName { .. } => RejectionCode::InvalidName,
        }
    }

    fn field(&self) -> Option<&str> {
        Some(&self.field)
    }

    /// Absent where it may be personal, as an address always is, and where it says little alone: one of two values,
    /// a text that is too long.
    fn value(&self) -> Option<&str> {
        let says_enough = !matches!(
            self.wrong,
            ParamFault::DifferentValues { .. }
                | ParamFault::UnreadableBytes
                | ParamFault::NotVisitorsAddress
                | ParamFault::TooLong { .. }
                | ParamFault::InvalidValue { .. }
                | ParamFault::UnknownMember { .. }
        );
        self.value.as_deref().filter(|_| self.content == ParamContent::OfTheSale && says_enough)
    }

    fn sentence(&self) -> String {
        let ParamProblem { field, wrong, .. } = self;
        let received = self.received();
        match wrong {
            ParamFault::UnexpandedMacro { decoded: Some(decoded) } => {
                format!("{received}, which is `{decoded}` encoded once more, a macro that was not filled in")
            }
            ParamFault::UnexpandedMacro { decoded: None } => {
                format!("{received}, a macro that was not filled in")
            }
            ParamFault::Placeholder => format!("{received}, a placeholder that no one replaced"),
            ParamFault::MeansNothing => format!("{received}, which means nothing"),
            ParamFault::DifferentValues { other, other_value } => self.different_values(other, other_value),
            ParamFault::UnreadableBytes => {
                format!("`{field}` holds bytes that are no text in the charset of the request")
            }
            ParamFault::OtherCase { known } => {
                format!("`{field}` is not read, because the template reads `{known}` exactly")
            }
            ParamFault::MissingValue { needed_by, .. } => self.missing_value(needed_by.as_ref()),
            ParamFault::MissingParameter => received,
            ParamFault::MissingCurrency { .. } => format!(
                "`{field}` was received without a currency: neither the postback nor the source names one"
            ),
            ParamFault::InvalidCurrency { why } => format!("{received}, {}", why.why()),
            ParamFault::NotANumber { format, .. } => {
                format!("{received}, which is not a number written like {}", format.example())
            }
            ParamFault::InvalidValue { wanted } => format!("{received}, not {}", wanted.text()),
            ParamFault::BelowZero => format!("{received}, below 0"),
            ParamFault::TooLong { limit } => format!("{received}, longer than {limit}"),
            ParamFault::UnknownStatus { template, .. } => {
                format!("{received}, a status word that the template `{template}` does not know")
            }
            ParamFault::InvalidTime => format!("{received}, a time in no format of the template"),
            ParamFault::TimeTooOld { read } => {
                format!("{received}, which reads as {read}, a time before 2005")
            }
            ParamFault::TimeAhead { read } => {
                format!("{received}, which reads as {read}, more than a day ahead")
            }
            ParamFault::NotVisitorsAddress => {
                format!("{received}, which is no address that a visitor can have")
            }
            ParamFault::NotYesOrNo => format!("{received}, which is neither yes nor no"),
            ParamFault::PriceNotTaken => format!(
                "`{field}` does not count: the offer takes no prices from pixels (`accept_pixel_value`)"
            ),
            ParamFault::CutAtFragment { .. } => format!(
                "the query was cut at `#`: `{field}` was received empty and every parameter behind it is missing, \
                 because the sender took `#…` for the URL's fragment and kept it"
            ),
            ParamFault::UnknownOffer => format!("{received}, and there is no such offer"),
            _ => self.of_a_call(),
        }
    }

    fn hint(&self) -> String {
        let field = &self.field;
        if let Some(fix) = self.fix {
            return fix.text(field);
        }
        match &self.wrong {
            ParamFault::UnexpandedMacro { .. } => "check that the network knows this macro in just this \
                spelling and that the event was no test: a network that knows it never sends the macro itself"
                .to_owned(),
            ParamFault::Placeholder => {
                "put the network's macro in its place in the postback URL, or take the \
                parameter out of it"
                    .to_owned()
            }
            ParamFault::DifferentValues { .. } => {
                format!("leave only one `{field}` in the postback URL and the body")
            }
            ParamFault::OtherCase { known } => format!("write `{known}` in the postback URL"),
            ParamFault::MissingValue { clue, .. } => clue.hint(field),
            ParamFault::MissingEvent => format!(
                "send `{field}` with the event's name, or copy the template to your own `[templates] path` and \
                 set `event` under [default] there"
            ),
            ParamFault::MissingCurrency { param: Some(param) } => {
                format!("set `currency` at the source, or send `{param}=USD` with the postback")
            }
            ParamFault::InvalidCurrency { why } => currency_fix(*why).to_owned(),
            ParamFault::NotANumber { format, other_fits: true } => {
                other_format_fix(*format, self.value.as_deref().unwrap_or_default())
            }
            ParamFault::NotANumber { .. } => {
                "let the network send plain digits, such as `7` or `7.00`: no currency sign, no grouping"
                    .to_owned()
            }
            ParamFault::TooLong { limit } => format!("send at most {limit}"),
            ParamFault::InvalidName { limit } => format!("give the value a name of at most {limit}"),
            ParamFault::BeforeFirstDay { .. } => {
                "send the earlier day as start_date; both days are included".to_owned()
            }
            ParamFault::RowsOfPage { most } => {
                format!("ask for at most {most}, then for the next with start_at_row")
            }
            ParamFault::NoUsableClick { session_hours, .. } => format!(
                "pass back the click id that the offer's URL carried; it converts for {} after the click",
                hours(*session_hours)
            ),
            ParamFault::UnknownMember { of } => format!("known are {}", of.members().join(", ")),
            ParamFault::UnknownStatus { known, .. } => format!(
                "say at the source whether it is approved, pending, rejected or scrubbed: \
                 status = {{ \"{}\" = \"pending\" }} (known: {known})",
                self.value.as_deref().unwrap_or("word"),
            ),
            ParamFault::CutAtFragment { unexpanded } => format!(
                "the URL was called with its macros not filled in (`{unexpanded}`): let the network fire it, or \
                 put values in their place; to send them as they are, write `%23` for `#`"
            ),
            _ => self.code().fix().to_owned(),
        }
    }
}

impl ParamProblem {
    /// The same of what is wrong with a call of this program's own endpoints; of what is left the code says all.
    fn of_a_call(&self) -> String {
        let ParamProblem { field, wrong, .. } = self;
        match wrong {
            ParamFault::BeforeFirstDay { first } => {
                format!("`{field}` {} is before `start_date` {first}", self.shown())
            }
            ParamFault::RowsOfPage { most } => {
                format!("`{field}` is {}, and a page has 1 to {most} rows", self.shown())
            }
            ParamFault::UnknownConversion => format!("there is no conversion {}", self.shown()),
            ParamFault::NoUsableClick { offer, .. } => {
                format!("{}, which is no active, unexpired click of the offer {offer}", self.received())
            }
            ParamFault::UnknownMember { of } => format!("`{field}` is not a member of {}", of.text()),
            ParamFault::InvalidName { limit } => {
                format!("`{field}` has a name that is empty or longer than {limit}")
            }
            _ => self.code().meaning().to_owned(),
        }
    }

    fn different_values(&self, other: &str, other_value: &str) -> String {
        let (field, value) = (&self.field, self.shown());
        if field == other {
            format!("`{field}` was received twice with different values, `{value}` and `{other_value}`")
        } else {
            format!(
                "`{field}` and `{other}` are the same parameter and were received with different values, \
                 `{value}` and `{other_value}`"
            )
        }
    }

    fn missing_value(&self, needed_by: Option<&EventName>) -> String {
        let nothing = if self.value.as_deref().is_some_and(|value| !value.is_empty()) {
            ", which means nothing"
        } else {
            ""
        };
        let why = match needed_by {
            None => "the event is inferred from it".to_owned(),
            Some(event) => format!("a {event} needs it"),
        };
        format!("{}{nothing}, and {why}", self.received())
    }
}

fn currency_fix(why: NoCurrency) -> &'static str {
    match why {
        NoCurrency::Unknown => {
            "send a code of three letters such as `USD`, or take the parameter out of the URL and set `currency` \
             at the source"
        }
        NoCurrency::NotPaidIn | NoCurrency::Withdrawn => {
            "send the code of the currency that the customer paid in, or take the parameter out of the URL and \
             set `currency` at the source"
        }
    }
}

/// Which formats a number that is not in `format` may be in. It is not guessed: `1,234` may be in two.
fn other_format_fix(format: NumberFormat, received: &str) -> String {
    let others = NumberFormat::NAMES.into_iter().filter(|(_, other)| *other != format);
    let fitting = others.filter(|(_, other)| parse_decimal(received, *other).is_some());
    let words: Vec<String> = fitting.map(|(word, _)| format!("format = \"{word}\"")).collect();
    let words = if words.is_empty() { "its format".to_owned() } else { words.join(" or ") };
    format!(
        "if this network writes its numbers so, copy its template to your own `[templates] path` and set {words} under \
         [number] there; it is not guessed, because `1,234` may be two numbers"
    )
}

impl MissingClue {
    fn hint(&self, field: &str) -> String {
        let MissingClue { near, entry, last_before } = self;
        match (near, last_before) {
            (Some(near), _) => {
                format!("`{near}` was received instead: name it `{field}` in the postback URL")
            }
            (None, None) => format!("the postback URL must carry `{entry}`; it is never taken for 0"),
            (None, Some(last)) => format!(
                "the postback URL must carry `{entry}`; it is never taken for 0; every parameter behind `{last}` \
                 is missing, so the query may have been cut at a `#` in the value of `{last}`: there a `#` is \
                 written `%23`"
            ),
        }
    }
}
