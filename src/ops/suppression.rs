//! Lines for a suppression list, from a person or a file: each becomes an entry, or a reason why not.

use csv::{ByteRecord, ReaderBuilder};

use crate::domain::import_refusal::ImportRefused;
use crate::domain::suppression::{ChangedLine, ListChange, ListSummary, Suppressed, SuppressedKind};
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::change::SuppressionOrder;
use crate::store::contract::error::StoreError;

/// The most lines that are read in one go.
pub const MOST_LINES: usize = 100_000;
/// The most entries in one order to the store.
const MOST_AT_ONCE: usize = 10_000;
/// The most characters of a line that are shown.
const MOST_SHOWN: usize = 120;

/// How a text divides into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryLayout {
    /// One entry a line. A first line that only names kinds makes it CSV.
    Lines,
    /// The columns that the first line names, or else the first column.
    Csv,
}

impl EntryLayout {
    /// By the name of the file: `.csv` and `.tsv` are CSV, all else is lines.
    pub fn of(file_name: &str) -> EntryLayout {
        let name = file_name.to_ascii_lowercase();
        if name.ends_with(".csv") || name.ends_with(".tsv") { EntryLayout::Csv } else { EntryLayout::Lines }
    }
}

/// One line as it was read. A line of CSV with several columns is several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLine {
    /// From 1, as an editor counts.
    pub number: u64,
    /// The line's text, shortened.
    pub received_text: String,
    /// The entry, or why it is none.
    pub entry: Result<Suppressed, ImportRefused>,
}

/// Reads a text. `kind` says what every entry is; without it each line must show that it is an
/// e-mail address, an IP address or a phone number beginning with `+`: nothing else is guessed. Blank
/// lines and lines that begin with `#` are passed over.
///
/// # Errors
/// Nothing of it was read.
pub fn read(
    text: &[u8],
    layout: EntryLayout,
    kind: Option<SuppressedKind>,
) -> Result<Vec<ReadLine>, ImportRefused> {
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(ImportRefused::Utf16);
    }
    if text.contains(&0) {
        return Err(ImportRefused::NotText);
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let nothing = line.trim_ascii().is_empty() || is_comment(line, kind);
        lines.push(if nothing { b"".as_slice() } else { line });
    }
    if lines.iter().filter(|line| !line.is_empty()).count() > MOST_LINES {
        return Err(ImportRefused::TooManyLines(MOST_LINES));
    }
    let first = lines.iter().copied().find(|line| !line.is_empty()).unwrap_or_default();
    match layout {
        EntryLayout::Lines if !is_header_alone(first) => Ok(read_lines(&lines, kind)),
        EntryLayout::Lines | EntryLayout::Csv => read_csv(&lines.join(&b'\n'), mark_of(first), kind),
    }
}

/// A `#` begins a comment. Shops write it before their order numbers too: there a space must follow.
fn is_comment(line: &[u8], kind: Option<SuppressedKind>) -> bool {
    let Some(rest) = line.strip_prefix(b"#") else { return false };
    kind != Some(SuppressedKind::OrderId) || rest.first().is_none_or(|next| matches!(next, b' ' | b'#'))
}

/// What divides the columns: the first of these that the first line holds.
fn mark_of(first: &[u8]) -> u8 {
    b",;\t".iter().copied().find(|mark| first.contains(mark)).unwrap_or(b',')
}

/// Whether a line says nothing but what the columns are.
fn is_header_alone(line: &[u8]) -> bool {
    !line.is_empty() && line.split(|byte| *byte == mark_of(line)).all(|cell| kind_named(cell).is_some())
}

/// The kind that a column's name means, whatever its case and spaces.
fn kind_named(cell: &[u8]) -> Option<SuppressedKind> {
    let letters = cell.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let plain: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    match plain.as_slice() {
        b"email" | b"emailaddress" => Some(SuppressedKind::Email),
        b"phone" | b"phonenumber" | b"telephone" => Some(SuppressedKind::Phone),
        b"ip" | b"ipaddress" => Some(SuppressedKind::Ip),
        b"orderid" | b"order" => Some(SuppressedKind::OrderId),
        b"clickid" => Some(SuppressedKind::ClickId),
        _ => None,
    }
}

fn read_lines(lines: &[&[u8]], kind: Option<SuppressedKind>) -> Vec<ReadLine> {
    let numbered = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
    numbered.map(|(number, line)| read_one(number, line, kind)).collect()
}

fn read_one(number: u64, cell: &[u8], kind: Option<SuppressedKind>) -> ReadLine {
    let received_text: String = String::from_utf8_lossy(cell).trim().chars().take(MOST_SHOWN).collect();
    let entry = match std::str::from_utf8(cell) {
        Err(_) => Err(ImportRefused::NotUtf8),
        Ok(text) if text.trim().contains(['\n', '\r']) => Err(ImportRefused::OpenQuote),
        Ok(text) => match kind {
            Some(kind) => Suppressed::parse(kind, text),
            None => recognize(text.trim()),
        },
    };
    ReadLine { number, received_text, entry }
}

/// What a text is where no one said so.
fn recognize(text: &str) -> Result<Suppressed, ImportRefused> {
    if text.contains('@') {
        return Suppressed::parse(SuppressedKind::Email, text);
    }
    if text.starts_with('+') {
        return Suppressed::parse(SuppressedKind::Phone, text);
    }
    Suppressed::parse(SuppressedKind::Ip, text).map_err(|_| ImportRefused::KindUnclear)
}

fn read_csv(text: &[u8], mark: u8, kind: Option<SuppressedKind>) -> Result<Vec<ReadLine>, ImportRefused> {
    let mut rows = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(mark).from_reader(text);
    let mut columns: Option<ImportColumns> = None;
    let mut found = Vec::new();
    let mut row = ByteRecord::new();
    while rows.read_byte_record(&mut row).map_err(|error| ImportRefused::NotCsv(error.to_string()))? {
        if row.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        let number = row.position().map_or(0, |at| line_of(text, at));
        let Some(columns) = &columns else {
            match header(&row, kind)? {
                Some(named) => columns = Some(named),
                None => {
                    columns = Some(vec![(0, kind)]);
                    found.extend(read_row(number, &row, &[(0, kind)]));
                }
            }
            continue;
        };
        found.extend(read_row(number, &row, columns));
    }
    Ok(found)
}

/// The columns that are read, and what each holds.
type ImportColumns = Vec<(usize, Option<SuppressedKind>)>;

/// The columns that a first row names; `None`: it is a row like the others.
fn header(row: &ByteRecord, kind: Option<SuppressedKind>) -> Result<Option<ImportColumns>, ImportRefused> {
    let named = row.iter().enumerate().filter_map(|(at, cell)| Some((at, Some(kind_named(cell)?))));
    let named: ImportColumns = named.collect();
    let wanted: Vec<_> = named.iter().copied().filter(|(_, is)| kind.is_none() || *is == kind).collect();
    match (named.is_empty(), wanted.is_empty(), kind) {
        (true, ..) => Ok(None),
        (false, true, Some(kind)) => Err(ImportRefused::NoSuchColumn(kind.as_str())),
        _ => Ok(Some(wanted)),
    }
}

fn read_row(number: u64, row: &ByteRecord, columns: &[(usize, Option<SuppressedKind>)]) -> Vec<ReadLine> {
    let cells = columns.iter().filter_map(|(at, kind)| Some((row.get(*at)?, *kind)));
    let full = cells.filter(|(cell, _)| !cell.trim_ascii().is_empty());
    let read: Vec<ReadLine> = full.map(|(cell, kind)| read_one(number, cell, kind)).collect();
    if read.is_empty() {
        let entry = Err(ImportRefused::ColumnsEmpty);
        return vec![ReadLine { number, received_text: String::new(), entry }];
    }
    read
}

/// The line on which a row begins: the reader says where the row before it ended.
fn line_of(text: &[u8], ended: &csv::Position) -> u64 {
    let start = usize::try_from(ended.byte()).unwrap_or(usize::MAX);
    let between = text.get(start..).unwrap_or_default();
    let blank = between.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    ended.line() + blank.fold(0, |lines, byte| lines + u64::from(*byte == b'\n'))
}

/// Whose wish it is, and of which list.
#[derive(Debug, Clone)]
pub struct SuppressionRequest {
    /// Whether entries are put on or taken off.
    pub wish: ListChange,
    /// As [`crate::domain::suppression::list_name`] allows.
    pub list: String,
    /// The name of the token, for the log.
    pub actor: String,
    /// When it was asked for.
    pub now: Time,
}

/// Does to the list what the order wishes with every line that could be read. Durable when answered; an
/// order that fails half-way can be given again.
///
/// # Errors
/// Only the store's.
pub async fn carry_out(
    store: &dyn Store,
    order: &SuppressionRequest,
    lines: Vec<ReadLine>,
) -> Result<Vec<ChangedLine>, StoreError> {
    let entries: Vec<Suppressed> = lines.iter().filter_map(|line| line.entry.clone().ok()).collect();
    let mut changed = Vec::with_capacity(entries.len());
    for some in entries.chunks(MOST_AT_ONCE) {
        let (list, actor) = (order.list.clone(), order.actor.clone());
        let (wish, entries) = (order.wish, some.to_vec());
        changed.extend(
            store.change_list(SuppressionOrder { list, wish, entries, actor, now: order.now }).await?,
        );
    }
    let mut changed = changed.into_iter();
    let done = lines.into_iter().map(|line| ChangedLine {
        number: line.number,
        received_text: line.received_text,
        outcome: line.entry.map(|entry| (entry.kind(), changed.next().unwrap_or(false))),
    });
    Ok(done.collect())
}

/// Why nothing is done with a list.
#[derive(Debug)]
pub enum ListError {
    /// No list has this name.
    Unknown,
    /// The store failed; nothing was changed.
    Store(StoreError),
}

impl From<StoreError> for ListError {
    fn from(error: StoreError) -> ListError {
        ListError::Store(error)
    }
}

/// The list with this name.
///
/// # Errors
/// There is none, or the store fails.
pub async fn list(store: &dyn Store, name: &str) -> Result<ListSummary, ListError> {
    store.lists().await?.into_iter().find(|list| list.name == name).ok_or(ListError::Unknown)
}

/// Removes a whole list. Answers how many entries it had.
///
/// # Errors
/// There is none, or the store fails.
pub async fn remove(store: &dyn Store, name: &str) -> Result<u64, ListError> {
    Ok(store.remove_list(list(store, name).await?.name).await?)
}
