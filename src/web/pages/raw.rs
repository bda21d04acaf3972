//! Raw bytes as a person reads them: every byte there, the odd ones marked and named.

use std::fmt::Write;

use serde::Serialize;

use crate::domain::postback::{KeptHeaders, RawRequest};
use crate::view::postback::SenderView;
use crate::view::value::readable;

/// The most kinds of odd bytes that are named below a text; all are marked in it.
const MOST_NAMED: usize = 8;

/// A raw request for the template `raw`: its line, its headers, its body, and from whom.
#[derive(Serialize)]
pub struct RawCard<'a> {
    line: MarkedText,
    body: Option<MarkedText>,
    /// `None` where none were received.
    headers: Option<HeadersCard>,
    #[serde(flatten)]
    sender: SenderView<'a>,
}

impl<'a> RawCard<'a> {
    pub fn of(raw: &'a RawRequest) -> RawCard<'a> {
        RawCard {
            line: line(&raw.line),
            body: (!raw.body.is_empty()).then(|| text(&raw.body)),
            headers: HeadersCard::of(&raw.headers),
            sender: SenderView::of(raw),
        }
    }
}

/// The headers, one a line, and how many are not shown.
#[derive(Serialize)]
struct HeadersCard {
    kept: MarkedText,
    left_out: u32,
}

impl HeadersCard {
    fn of(headers: &KeptHeaders) -> Option<HeadersCard> {
        let (kept, left_out) = (headers.as_bytes(), headers.left_out());
        (!kept.is_empty() || left_out > 0).then(|| HeadersCard { kept: text(kept), left_out })
    }
}

/// A text in runs, plain and odd by turns, and what is odd about it.
#[derive(Serialize)]
struct MarkedText {
    runs: Vec<TextRun>,
    odd: Option<String>,
}

#[derive(Serialize)]
struct TextRun {
    odd: bool,
    text: String,
}

/// A request line: what a URL may not carry raw is odd, but for the two spaces that divide it.
fn line(bytes: &[u8]) -> MarkedText {
    let start = bytes.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
    let end = bytes.iter().rposition(|b| *b == b' ').filter(|end| *end >= start).unwrap_or(bytes.len());
    let mut marked = MarkedReader::default();
    marked.read(bytes.get(..start).unwrap_or(&[]), |letter| letter != ' ' && !letter.is_ascii_graphic());
    marked.read(bytes.get(start..end).unwrap_or(&[]), |letter| {
        !letter.is_ascii_graphic()
            || matches!(letter, '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
    });
    marked.read(bytes.get(end..).unwrap_or(&[]), |letter| letter != ' ' && !letter.is_ascii_graphic());
    marked.finish()
}

fn text(bytes: &[u8]) -> MarkedText {
    let mut marked = MarkedReader::default();
    marked.read(bytes, |letter| letter.is_control() && letter != '\n');
    marked.finish()
}

/// Reads a text into runs.
#[derive(Default)]
struct MarkedReader {
    runs: Vec<TextRun>,
    /// Each kind of odd byte with how often it was received.
    kinds: Vec<(String, usize)>,
}

impl MarkedReader {
    fn read(&mut self, bytes: &[u8], is_odd: impl Fn(char) -> bool) {
        for chunk in bytes.utf8_chunks() {
            for letter in chunk.valid().chars() {
                let odd = is_odd(letter);
                let mut room = [0u8; 4];
                let text = readable(letter.encode_utf8(&mut room).as_bytes());
                if odd {
                    self.count(named(letter));
                }
                self.push(odd, &text);
            }
            for byte in chunk.invalid() {
                self.count(format!("byte {byte:02x}, which is not UTF-8"));
                self.push(true, &readable(&[*byte]));
            }
        }
    }

    fn push(&mut self, odd: bool, text: &str) {
        match self.runs.last_mut() {
            Some(run) if run.odd == odd => run.text.push_str(text),
            _ => self.runs.push(TextRun { odd, text: text.to_owned() }),
        }
    }

    fn count(&mut self, kind: String) {
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, times)) => *times += 1,
            None => self.kinds.push((kind, 1)),
        }
    }

    fn finish(self) -> MarkedText {
        MarkedText { odd: self.legend(), runs: self.runs }
    }

    /// `#, raw (2 times) · byte e9, which is not UTF-8`; `None` when nothing is odd.
    fn legend(&self) -> Option<String> {
        let mut legend = String::new();
        for (kind, times) in self.kinds.iter().take(MOST_NAMED) {
            let gap = if legend.is_empty() { "" } else { " · " };
            let often = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            // Writing to a String cannot fail.
            let _ = write!(legend, "{gap}{kind}{often}");
        }
        let more = self.kinds.len().saturating_sub(MOST_NAMED);
        if more > 0 {
            let _ = write!(legend, " · and {more} more kinds");
        }
        (!legend.is_empty()).then_some(legend)
    }
}

fn named(letter: char) -> String {
    match letter {
        ' ' => "a raw space".to_owned(),
        '#' => "a raw #: most HTTP servers cut the query there".to_owned(),
        control if control.is_control() => format!("control byte {:02x}", u32::from(control)),
        plain if plain.is_ascii() => format!("a raw {plain}"),
        letter => format!("{letter} (raw UTF-8)"),
    }
}
