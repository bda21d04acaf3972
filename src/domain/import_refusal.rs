//! Why a line for a suppression list is not taken, or nothing of what was sent.

use crate::domain::code::{CodedReason, ReasonCode, codes};

codes! {
    /// Why a line, or all of them, is not put on a list or taken off.
    ImportRefusedCode = "import_refused" {
        Empty = "empty",
            "there is nothing in it", "write the entry there, or take the line out";
        TooLong = "too_long",
            "it is longer than is kept", "send at most 200 characters";
        NotAnEmail = "not_an_email",
            "it is no e-mail address", "write it like jo@example.com, or choose another kind";
        NotAPhone = "not_a_phone",
            "it is no phone number of 7 to 15 digits", "write it like +1 202 555 0100, or choose another kind";
        NotAnIp = "not_an_ip",
            "it is no IP address and no network",
            "write it like 203.0.113.7 or 10.0.0.0/8, or choose another kind";
        KindUnclear = "kind_unclear",
            "it may be a phone number, an order id or a click id",
            "choose the kind, or put a line such as `order_id` first";
        KindMissing = "kind_missing",
            "it has no `kind`", "add `kind`: email, phone, ip, order_id or click_id";
        UnknownKind = "unknown_kind",
            "its `kind` is not known", "a kind is email, phone, ip, order_id or click_id";
        NotUtf8 = "not_utf8",
            "it is not UTF-8", "save the file in that encoding";
        OpenQuote = "open_quote",
            "it goes over the end of its line: a quote is not closed", "close the quote, or take it out";
        ColumnsEmpty = "columns_empty",
            "the columns that are read are empty in it", "fill them, or take the line out";
        Utf16 = "utf16",
            "all of it is written in UTF-16", "save it as UTF-8";
        NotText = "not_text",
            "it is no text", "save the table as CSV in UTF-8";
        TooManyLines = "too_many_lines",
            "it has more lines than are read in one go", "split it, and import one part after the other";
        NotCsv = "not_csv",
            "it is no CSV", "save the table as CSV in UTF-8";
        NoSuchColumn = "no_such_column",
            "its first line names no column of the kind", "choose another kind, or name the column as the kind";
        NotJson = "not_json",
            "the body is not JSON", "send `{\"entries\":[{\"kind\",\"value\"}]}`, text/plain or text/csv";
        NoEntries = "no_entries",
            "the body has no list `entries`",
            "send `{\"entries\":[{\"kind\",\"value\"}]}`, text/plain or text/csv";
    }
}

/// Why a line is not taken; from `Utf16` on, why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportRefused {
    /// There is nothing to read.
    Empty,
    /// An id of so many bytes.
    TooLong(usize),
    /// Not an address with one `@`.
    NotAnEmail,
    /// Not 7 to 15 digits.
    NotAPhone,
    /// Neither an address nor a network.
    NotAnIp,
    /// No kind is given, and the text fits several.
    KindUnclear,
    /// A member of JSON without a kind.
    KindMissing,
    /// Its kind is another word.
    UnknownKind,
    /// The line's bytes are no text.
    NotUtf8,
    /// A quote swallows the lines behind it.
    OpenQuote,
    /// A row of a table without an entry.
    ColumnsEmpty,
    /// Two bytes a character.
    Utf16,
    /// A file of a spreadsheet, say.
    NotText,
    /// More than this many.
    TooManyLines(usize),
    /// What the reader of CSV says.
    NotCsv(String),
    /// A table without a column of this kind, by the word of the kind.
    NoSuchColumn(&'static str),
    /// What the reader of JSON says.
    NotJson(String),
    /// JSON of another shape.
    NoEntries,
}

impl CodedReason for ImportRefused {
    type Code = ImportRefusedCode;

    fn code(&self) -> ImportRefusedCode {
        match self {
            ImportRefused::Empty => ImportRefusedCode::Empty,
            ImportRefused::TooLong(_) => ImportRefusedCode::TooLong,
            ImportRefused::NotAnEmail => ImportRefusedCode::NotAnEmail,
            ImportRefused::NotAPhone => ImportRefusedCode::NotAPhone,
            ImportRefused::NotAnIp => ImportRefusedCode::NotAnIp,
            ImportRefused::KindUnclear => ImportRefusedCode::KindUnclear,
            ImportRefused::KindMissing => ImportRefusedCode::KindMissing,
            ImportRefused::UnknownKind => ImportRefusedCode::UnknownKind,
            ImportRefused::NotUtf8 => ImportRefusedCode::NotUtf8,
            ImportRefused::OpenQuote => ImportRefusedCode::OpenQuote,
            ImportRefused::ColumnsEmpty => ImportRefusedCode::ColumnsEmpty,
            ImportRefused::Utf16 => ImportRefusedCode::Utf16,
            ImportRefused::NotText => ImportRefusedCode::NotText,
            ImportRefused::TooManyLines(_) => ImportRefusedCode::TooManyLines,
            ImportRefused::NotCsv(_) => ImportRefusedCode::NotCsv,
            ImportRefused::NoSuchColumn(_) => ImportRefusedCode::NoSuchColumn,
            ImportRefused::NotJson(_) => ImportRefusedCode::NotJson,
            ImportRefused::NoEntries => ImportRefusedCode::NoEntries,
        }
    }

    /// The member of JSON or the column; of a line itself there is none.
    fn field(&self) -> Option<&str> {
        match self {
            ImportRefused::KindMissing | ImportRefused::UnknownKind => Some("kind"),
            ImportRefused::NoSuchColumn(kind) => Some(kind),
            ImportRefused::NoEntries => Some("entries"),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            ImportRefused::TooLong(bytes) => format!("it has {bytes} bytes; at most 200 are kept"),
            ImportRefused::TooManyLines(most) => format!("it has more than {most} lines"),
            ImportRefused::NotCsv(error) => format!("it is no CSV: {error}"),
            ImportRefused::NotJson(error) => format!("the body is not JSON: {error}"),
            ImportRefused::NoSuchColumn(kind) => format!("its first line names no column `{kind}`"),
            _ => self.code().meaning().to_owned(),
        }
    }
}
