//! What was odd about a report and did not stop it: repaired, read otherwise than it was received, or left out.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::ids::ConversionId;
use crate::domain::omission::{Omission, Omissions};
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::click_not_taken::ClickNotTaken;
use crate::domain::rejection::param::ParamProblem;
use crate::domain::rejection::signature::SignatureProblem;
use crate::domain::rejection::wanted::Names;
use crate::domain::status::Status;
use crate::domain::time::Time;

codes! {
    /// What was odd about a report that counts all the same.
    NoteCode = "note" {
        LeftOut = "left_out",
            "a value was left out; `reason_code` says why",
            "see the code in `reason_code`";
        IdLeftOut = "id_left_out",
            "a transaction or click id was left out, because every other such report would carry the same",
            "see the code in `reason_code`";
        NamesNotRead = "names_not_read",
            "parameters that no one reads were received with different values",
            "nothing, or take them out of the URL";
        UnreadableLeftOut = "unreadable_left_out",
            "values that are no text were left out",
            "let the network send UTF-8";
        NamelessLeftOut = "nameless_left_out",
            "values without a name were left out",
            "give each value a name in the postback URL";
        FilesNotRead = "files_not_read",
            "files in a multipart body are not read",
            "send the parameters as fields";
        JsonWrittenTwice = "json_written_twice",
            "the body was written as JSON twice, and the inner one was read",
            "send the object itself, not a text that holds it";
        JsonCalledForm = "json_called_form",
            "the body says it is a form but is JSON, and was read as JSON",
            "send `Content-Type: application/json`";
        FormCalledJson = "form_called_json",
            "the body says it is JSON but is a form, and was read as a form",
            "send `Content-Type: application/x-www-form-urlencoded`";
        UnknownCharset = "unknown_charset",
            "the charset of the body is not known, and it was read as UTF-8",
            "name a charset that the Encoding Standard knows";
        AmpersandEntities = "ampersand_entities",
            "the URL was pasted with `&amp;` for `&`",
            "paste the URL as `postbridge url SOURCE` writes it";
        SecondQuestionMark = "second_question_mark",
            "a second `?` in the query was read as `&`",
            "write `&` between parameters";
        NamesPutBack = "names_put_back",
            "a page took the front of a name for an HTML character, and it was put back",
            "paste the URL as `postbridge url SOURCE` writes it";
        PageCharacter = "page_character",
            "a text holds a character that HTML makes of a parameter's name",
            "write `&amp;` in HTML";
        EqualIdsJoined = "equal_ids_joined",
            "equal ids joined by commas were read as one",
            "name the parameter once in the postback URL";
        InvisibleKept = "invisible_kept",
            "a transaction id holds an invisible character, and was kept so",
            "take the character out where the id is made";
        InvisibleRemoved = "invisible_removed",
            "invisible characters were taken off a click id",
            "take the characters out where the id is copied";
        SpaceReadAsPlus = "space_read_as_plus",
            "a space was read as `+`",
            "escape `+` as `%2B` in a query";
        NoIdentity = "no_identity",
            "neither a transaction id nor a click id was received",
            "add one of them to the postback URL, so that a repeat is known";
        VisitorsClickTaken = "visitors_click_taken",
            "no click is recorded with the id that was received, and the visitor's own click was taken",
            "see that the click id is passed back whole";
        TransactionReused = "transaction_reused",
            "its transaction id was received before with another click, so this is another conversion",
            "put the macro of the order's number in its place at the network, where the id is a constant";
        AnotherValue = "another_value",
            "another value was received than the first time, and the first report counts",
            "nothing, or change the conversion's status";
        SecondSaleIndistinct = "second_sale_indistinct",
            "without a transaction id another value cannot be distinguished from a second sale",
            "add the transaction id to the postback URL";
        AnotherClick = "another_click",
            "it names another click id than the first report, and the first is kept",
            "nothing, where the first report is right";
        ClickNotTaken = "click_not_taken",
            "the conversion stays without the click that was named",
            "see the reason";
        StaysScrubbed = "stays_scrubbed",
            "the conversion is scrubbed and stays so, whatever is reported",
            "give it another status by hand where the scrub was wrong";
        RequestCut = "request_cut",
            "not all of the request's bytes are kept",
            "nothing: what was read counts";
        MoreLeftOut = "more_left_out",
            "more is missing than is named",
            "send less with each click";
        Cut = "cut",
            "the beginning of a value was kept; `reason_code` says why",
            "see the code in `reason_code`";
        BodyNotUtf8 = "body_not_utf8",
            "the body was not UTF-8, and a text with such bytes was left out",
            "send the body in UTF-8";
        FirstAddressTaken = "first_address_taken",
            "of a list of addresses the first that a visitor can have was taken",
            "nothing, where that is the visitor's";
        NamesLeftOut = "names_left_out",
            "there were more names than are kept, and those that platforms need went first",
            "send fewer";
        NotVerified = "not_verified",
            "it would be refused by its signature or its sender's address, and the source only observes; `reason_code` \
             says why",
            "see the code in `reason_code`";
        QueryNotSigned = "query_not_signed",
            "the signature is over the body, and parameters of the query that a field would read were not read",
            "take them out of the URL; what is fixed for the account goes under a name of the template's `[constant]`";
        BodyNotSigned = "body_not_signed",
            "the signature is over the URL, and the body was not read",
            "let the network send its values in the URL";
        Erased = "erased",
            "the data of its person was erased, and the request's bytes with it",
            "nothing: it was asked for";
    }
}

/// What was odd, with what it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportNote {
    LeftOut(Box<ParamProblem>),
    IdLeftOut(Box<ParamProblem>),
    NamesNotRead(Names),
    UnreadableLeftOut(Names),
    NamelessLeftOut {
        count: u64,
    },
    FilesNotRead(Names),
    JsonWrittenTwice,
    JsonCalledForm,
    FormCalledJson,
    /// As the header names it, at most 40 characters.
    UnknownCharset {
        charset: String,
    },
    AmpersandEntities(Names),
    SecondQuestionMark,
    NamesPutBack(Names),
    PageCharacter(Names),
    /// `value`: as received; `one`: what was read.
    EqualIdsJoined {
        field: String,
        value: String,
        one: String,
    },
    InvisibleKept {
        field: String,
        value: String,
    },
    InvisibleRemoved {
        field: String,
        value: String,
    },
    SpaceReadAsPlus {
        field: String,
    },
    NoIdentity,
    VisitorsClickTaken {
        given: String,
    },
    /// `click`: the first conversion's.
    TransactionReused {
        first: ConversionId,
        click: Option<String>,
    },
    AnotherValue,
    SecondSaleIndistinct,
    /// `given`: the repeat's; `kept`: the first report's. Both as received.
    AnotherClick {
        given: String,
        kept: String,
    },
    ClickNotTaken(ClickNotTaken),
    StaysScrubbed {
        reported: Status,
    },
    /// In bytes: request line and body together.
    RequestCut {
        sent: u64,
        kept: u64,
    },
    /// What of a click is not kept, or not whole.
    Omitted(Omission),
    /// More of a click is missing than is named.
    MoreOmitted,
    /// A text of the body with such bytes was left out.
    BodyNotUtf8,
    /// `field`: the list of addresses.
    FirstAddressTaken {
        field: String,
    },
    /// `field`: the object whose names they are; `most`: how many it may have.
    NamesLeftOut {
        field: String,
        most: u64,
        names: Names,
    },
    /// Its signature, or its sender's address.
    NotVerified(Box<SignatureProblem>),
    QueryNotSigned(Names),
    BodyNotSigned,
    /// Why what is signed cannot be read.
    SignedPartUnread(Box<BodyProblem>),
    /// `at`: when.
    Erased {
        at: Time,
    },
}

impl ReportNote {
    /// The note that a value was left out because of `problem`.
    pub fn left_out(problem: ParamProblem) -> ReportNote {
        ReportNote::LeftOut(Box::new(problem))
    }

    /// The same, where a value was left out with another word about why.
    #[must_use]
    pub fn map_problem(self, change: impl FnOnce(ParamProblem) -> ParamProblem) -> ReportNote {
        match self {
            ReportNote::LeftOut(problem) => ReportNote::LeftOut(Box::new(change(*problem))),
            ReportNote::IdLeftOut(problem) => ReportNote::IdLeftOut(Box::new(change(*problem))),
            other => other,
        }
    }

    /// Why a value was left out.
    pub fn problem(&self) -> Option<&ParamProblem> {
        match self {
            ReportNote::LeftOut(problem) | ReportNote::IdLeftOut(problem) => Some(problem),
            _ => None,
        }
    }

    /// The code of why something is missing; `None` where the note's own code says it.
    pub fn why(&self) -> Option<&'static str> {
        match self {
            ReportNote::Omitted(omission) => Some(omission.code().as_str()),
            ReportNote::NotVerified(problem) => Some(problem.code().as_str()),
            ReportNote::SignedPartUnread(problem) => Some(problem.code().as_str()),
            _ => self.problem().map(|problem| problem.code().as_str()),
        }
    }
}

impl CodedReason for ReportNote {
    type Code = NoteCode;

    fn code(&self) -> NoteCode {
        match self {
            ReportNote::LeftOut(_) => NoteCode::LeftOut,
            ReportNote::IdLeftOut(_) => NoteCode::IdLeftOut,
            ReportNote::NamesNotRead(_) => NoteCode::NamesNotRead,
            ReportNote::UnreadableLeftOut(_) => NoteCode::UnreadableLeftOut,
            ReportNote::NamelessLeftOut { .. } => NoteCode::NamelessLeftOut,
            ReportNote::FilesNotRead(_) => NoteCode::FilesNotRead,
            ReportNote::JsonWrittenTwice => NoteCode::JsonWrittenTwice,
            ReportNote::JsonCalledForm => NoteCode::JsonCalledForm,
            ReportNote::FormCalledJson => NoteCode::FormCalledJson,
            ReportNote::UnknownCharset { .. } => NoteCode::UnknownCharset,
            ReportNote::AmpersandEntities(_) => NoteCode::AmpersandEntities,
            ReportNote::SecondQuestionMark => NoteCode::SecondQuestionMark,
            ReportNote::NamesPutBack(_) => NoteCode::NamesPutBack,
            ReportNote::PageCharacter(_) => NoteCode::PageCharacter,
            ReportNote::EqualIdsJoined { .. } => NoteCode::EqualIdsJoined,
            ReportNote::InvisibleKept { .. } => NoteCode::InvisibleKept,
            ReportNote::InvisibleRemoved { .. } => NoteCode::InvisibleRemoved,
            ReportNote::SpaceReadAsPlus { .. } => NoteCode::SpaceReadAsPlus,
            ReportNote::NoIdentity => NoteCode::NoIdentity,
            ReportNote::VisitorsClickTaken { .. } => NoteCode::VisitorsClickTaken,
            ReportNote::TransactionReused { .. } => NoteCode::TransactionReused,
            ReportNote::AnotherValue => NoteCode::AnotherValue,
            ReportNote::SecondSaleIndistinct => NoteCode::SecondSaleIndistinct,
            ReportNote::AnotherClick { .. } => NoteCode::AnotherClick,
            ReportNote::ClickNotTaken(_) => NoteCode::ClickNotTaken,
            ReportNote::StaysScrubbed { .. } => NoteCode::StaysScrubbed,
            ReportNote::RequestCut { .. } => NoteCode::RequestCut,
            ReportNote::Omitted(omission) if omission.kept > 0 => NoteCode::Cut,
            ReportNote::Omitted(_) => NoteCode::LeftOut,
            ReportNote::MoreOmitted => NoteCode::MoreLeftOut,
            ReportNote::BodyNotUtf8 => NoteCode::BodyNotUtf8,
            ReportNote::FirstAddressTaken { .. } => NoteCode::FirstAddressTaken,
            ReportNote::NamesLeftOut { .. } => NoteCode::NamesLeftOut,
            ReportNote::NotVerified(_) | ReportNote::SignedPartUnread(_) => NoteCode::NotVerified,
            ReportNote::QueryNotSigned(_) => NoteCode::QueryNotSigned,
            ReportNote::BodyNotSigned => NoteCode::BodyNotSigned,
            ReportNote::Erased { .. } => NoteCode::Erased,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            ReportNote::LeftOut(problem) | ReportNote::IdLeftOut(problem) => problem.field(),
            ReportNote::EqualIdsJoined { field, .. }
            | ReportNote::InvisibleKept { field, .. }
            | ReportNote::InvisibleRemoved { field, .. }
            | ReportNote::SpaceReadAsPlus { field }
            | ReportNote::FirstAddressTaken { field }
            | ReportNote::NamesLeftOut { field, .. } => Some(field),
            ReportNote::Omitted(omission) => omission.field(),
            ReportNote::NotVerified(problem) => problem.field(),
            ReportNote::VisitorsClickTaken { .. }
            | ReportNote::AnotherClick { .. }
            | ReportNote::ClickNotTaken(_) => Some("click_id"),
            ReportNote::TransactionReused { .. } | ReportNote::SecondSaleIndistinct => Some("transaction_id"),
            ReportNote::AnotherValue => Some("value"),
            ReportNote::StaysScrubbed { .. } => Some("status"),
            _ => None,
        }
    }

    fn value(&self) -> Option<&str> {
        self.problem().and_then(CodedReason::value)
    }

    fn sentence(&self) -> String {
        match self {
            ReportNote::LeftOut(problem) => format!("left out: {}", problem.sentence()),
            ReportNote::IdLeftOut(problem) => {
                format!("left out: {}, so it is no id: {}", problem.sentence(), problem.hint())
            }
            ReportNote::NamesNotRead(names) => {
                format!("not read, and were received with different values: {names}")
            }
            ReportNote::QueryNotSigned(names) => {
                format!("not read, because the signature is not over the query: {names}")
            }
            ReportNote::UnreadableLeftOut(names) => format!("bytes that are no text, so left out: {names}"),
            ReportNote::NamelessLeftOut { count } => {
                format!("{count} value(s) were received without a name and were left out")
            }
            ReportNote::FilesNotRead(names) => format!("files in the body are not read: {names}"),
            ReportNote::UnknownCharset { charset } => {
                format!("the charset `{charset}` of the body is not known; it was read as UTF-8")
            }
            ReportNote::AmpersandEntities(names) => {
                format!("the URL was pasted with `&amp;` for `&`: `amp;` was taken off {names}")
            }
            ReportNote::NamesPutBack(names) => format!(
                "the URL was copied from a page that took the front of a name for an HTML character: {names} put back"
            ),
            ReportNote::PageCharacter(names) => format!(
                "{names} holds a character that HTML makes of a parameter's name; no such name is read here, so it \
                 was left as it is. Write `&amp;` in HTML"
            ),
            ReportNote::EqualIdsJoined { field, value, one } => {
                format!("`{field}` was received as `{value}`, equal ids joined, and was read as `{one}`")
            }
            ReportNote::InvisibleKept { field, value } => format!(
                "`{field}` was received as `{value}`, with an invisible character inside, and was kept so"
            ),
            ReportNote::InvisibleRemoved { field, value } => format!(
                "`{field}` was received as `{value}`, with invisible characters, which were taken off"
            ),
            ReportNote::SpaceReadAsPlus { field } => format!(
                "a space in `{field}` was read as `+`, which a query means by it only escaped (`%2B`)"
            ),
            ReportNote::RequestCut { sent, kept } => {
                format!("of the request's {sent} bytes {kept} are kept")
            }
            ReportNote::Omitted(omission) if omission.kept > 0 => format!("cut: {}", omission.sentence()),
            ReportNote::Omitted(omission) => format!("left out: {}", omission.sentence()),
            ReportNote::FirstAddressTaken { field } => {
                format!("`{field}` is a list; the first address that a visitor can have was taken")
            }
            ReportNote::NamesLeftOut { field, most, names } => {
                format!("`{field}` has more than {most} names; these are not kept: {names}")
            }
            ReportNote::NotVerified(problem) => format!("not verified: {}", problem.sentence()),
            ReportNote::SignedPartUnread(problem) => format!("not verified: {}", problem.sentence()),
            _ => self.of_the_sale(),
        }
    }

    fn hint(&self) -> String {
        match self {
            ReportNote::LeftOut(problem) | ReportNote::IdLeftOut(problem) => problem.hint(),
            ReportNote::ClickNotTaken(ClickNotTaken::Unusable(problem)) => problem.hint(),
            ReportNote::Omitted(omission) => omission.hint(),
            ReportNote::NotVerified(problem) => problem.hint(),
            ReportNote::SignedPartUnread(problem) => problem.hint(),
            _ => self.code().fix().to_owned(),
        }
    }
}

impl ReportNote {
    /// What is noted of the sale, not of its parameters; of what is left the code says all.
    fn of_the_sale(&self) -> String {
        match self {
            ReportNote::NoIdentity => {
                "neither a transaction id nor a click id was received: a repeat of this \
                postback would count again"
                    .to_owned()
            }
            ReportNote::VisitorsClickTaken { given } => {
                format!("no click is recorded with the id `{given}`; the visitor's own click was taken")
            }
            ReportNote::TransactionReused { first, click } => {
                let click = click.as_ref().map(|click| format!(" (click `{click}`)")).unwrap_or_default();
                format!(
                    "its transaction id was received before with another click: the first conversion of it is \
                     {first}{click}; this is another conversion"
                )
            }
            ReportNote::SecondSaleIndistinct => {
                "without a transaction id another value cannot be distinguished \
                from a second sale: the first one is kept"
                    .to_owned()
            }
            ReportNote::AnotherClick { given, kept } => format!(
                "it names another click id, `{given}`, than the first report, `{kept}`; the first is kept"
            ),
            ReportNote::ClickNotTaken(why) => why.sentence(),
            ReportNote::Erased { at } => format!("its person's data was erased at {at}, its bytes too"),
            ReportNote::StaysScrubbed { reported } => {
                format!("it reports `{}`; the conversion is scrubbed and stays so", reported.as_str())
            }
            _ => self.code().meaning().to_owned(),
        }
    }
}

/// All that is missing of a click, as notes.
pub fn omission_notes(omitted: &Omissions) -> impl Iterator<Item = ReportNote> {
    let more = omitted.has_more().then_some(ReportNote::MoreOmitted);
    omitted.named().iter().cloned().map(ReportNote::Omitted).chain(more)
}

/// The sentences of some notes as one text; `None` where there are none.
pub fn notes_text(notes: &[ReportNote]) -> Option<String> {
    let sentences: Vec<String> = notes.iter().map(CodedReason::sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}
