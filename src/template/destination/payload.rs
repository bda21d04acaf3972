//! A JSON template as a tree: read once, then written straight to bytes with everything empty left out.

use std::io::Write;
use std::ops::Range;

use serde_json::Value as Json;

use crate::domain::click::Pairs;
use crate::template::destination::calculation;
use crate::template::destination::compile::{CompileContext, pieces};
use crate::template::destination::expression::TemplatePiece;
use crate::template::destination::expression::{Expression, RenderScope, RenderValue};
use crate::template::destination::helpers::RAW;
use crate::template::diagnostic::Problem;

/// A payload is refused beyond this many bytes.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Marks the number of an expression in the JSON text while its structure is read.
const MARK: char = '\u{E000}';

/// The template of one event's payload. It looks like the platform's own example; its structure is
/// fixed when it is read, so no value can break it.
pub(crate) struct Payload {
    root: PayloadNode,
    watched: usize,
}

struct PayloadNode {
    shape: NodeShape,
    /// The number under which a requirement asks for it.
    watch: Option<usize>,
}

enum NodeShape {
    Null,
    /// A string, number or truth value of the template itself, as JSON.
    Literal(String),
    Value(Expression),
    Object(Vec<(MemberKey, PayloadNode)>),
    Array(Vec<PayloadNode>),
}

/// The member's name, and the same as JSON with its colon.
struct MemberKey {
    name: String,
    json: String,
}

/// A payload as bytes, and where in it the watched members stand.
pub(crate) struct RenderedPayload {
    pub bytes: Vec<u8>,
    pub members: Vec<Option<Range<usize>>>,
}

impl Payload {
    /// Reads a JSON template. A value is a typed helper and is where a JSON value is.
    pub(crate) fn parse(source: &CompileContext<'_>, text: &str) -> Result<Payload, Vec<Problem>> {
        let mut reading = MarkedPayload::default();
        let (pieces, mut problems) = pieces(source, text);
        for piece in pieces {
            problems.extend(reading.take(source, piece).err());
        }
        // An operator between two values is found from both sides.
        problems.dedup();
        // A value in the wrong place also breaks the structure: said once is enough.
        if problems.is_empty() {
            Ok(Payload { root: reading.root(source)?, watched: 0 })
        } else {
            Err(problems)
        }
    }

    /// Asks for the place of one member, by JSON pointer; `None` if the template has no such member.
    pub(crate) fn watch(&mut self, pointer: &str) -> Option<usize> {
        let mut node = &mut self.root;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match &mut node.shape {
                NodeShape::Object(members) => {
                    members.iter_mut().find(|(key, _)| key.name == step).map(|(_, node)| node)?
                }
                NodeShape::Array(elements) => elements.get_mut(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        let watch = *node.watch.get_or_insert(self.watched);
        self.watched = self.watched.max(watch + 1);
        Some(watch)
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        self.root.any(test)
    }

    /// Writes the payload. Null members, empty objects and empty arrays are left out.
    pub(crate) fn write(&self, scope: &RenderScope<'_>) -> RenderedPayload {
        let mut writing =
            RenderedPayload { bytes: Vec::with_capacity(1024), members: vec![None; self.watched] };
        self.root.write(scope, &mut writing);
        writing
    }
}

impl PayloadNode {
    fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        match &self.shape {
            NodeShape::Null | NodeShape::Literal(_) => false,
            NodeShape::Value(expression) => expression.any(test),
            NodeShape::Object(members) => members.iter().any(|(_, node)| node.any(test)),
            NodeShape::Array(elements) => elements.iter().any(|node| node.any(test)),
        }
    }

    /// Says whether anything was written.
    fn write(&self, scope: &RenderScope<'_>, to: &mut RenderedPayload) -> bool {
        let start = to.bytes.len();
        let wrote = match &self.shape {
            NodeShape::Null => false,
            NodeShape::Literal(json) => {
                to.bytes.extend_from_slice(json.as_bytes());
                true
            }
            NodeShape::Value(expression) => write_value(expression.value(scope), &mut to.bytes),
            NodeShape::Object(members) => {
                let write = |(key, node): &(MemberKey, PayloadNode), to: &mut RenderedPayload| {
                    to.bytes.extend_from_slice(key.json.as_bytes());
                    node.write(scope, to)
                };
                write_all((b'{', b'}'), members, to, write)
            }
            NodeShape::Array(elements) => {
                write_all((b'[', b']'), elements, to, |node, to| node.write(scope, to))
            }
        };
        if wrote
            && let Some(watch) = self.watch
            && let Some(place) = to.members.get_mut(watch)
        {
            *place = Some(start..to.bytes.len());
        }
        wrote
    }
}

fn write_all<T>(
    (open, close): (u8, u8),
    items: &[T],
    to: &mut RenderedPayload,
    write: impl Fn(&T, &mut RenderedPayload) -> bool,
) -> bool {
    let start = to.bytes.len();
    to.bytes.push(open);
    for item in items {
        let before = to.bytes.len();
        if before > start + 1 {
            to.bytes.push(b',');
        }
        if !write(item, to) {
            to.bytes.truncate(before);
        }
    }
    if to.bytes.len() == start + 1 {
        to.bytes.truncate(start);
        return false;
    }
    to.bytes.push(close);
    true
}

/// Writes a value as JSON; null writes nothing. A decimal leaves with exactly its digits.
fn write_value(value: RenderValue<'_>, to: &mut Vec<u8>) -> bool {
    // Writing to a vector cannot fail, and a text always has a JSON form.
    match value {
        RenderValue::Null => return false,
        RenderValue::Text(text) => return serde_json::to_writer(to, text.as_ref()).is_ok(),
        RenderValue::Digest(digest) => return write!(to, "\"{}\"", digest.as_str()).is_ok(),
        RenderValue::Time(time) => return write!(to, "\"{time}\"").is_ok(),
        RenderValue::Decimal(number) => return write!(to, "{number}").is_ok(),
        RenderValue::Integer(number) => return write!(to, "{number}").is_ok(),
        RenderValue::Pairs(pairs) => return write_pairs(pairs, to),
        RenderValue::Truth(truth) => to.extend_from_slice(if truth { b"true" } else { b"false" }),
    }
    true
}

/// An object of texts; empty ones are left out.
fn write_pairs(pairs: &Pairs, to: &mut Vec<u8>) -> bool {
    let start = to.len();
    for (name, text) in pairs.iter().filter(|(_, text)| !text.is_empty()) {
        to.push(if to.len() == start { b'{' } else { b',' });
        // Writing to a vector cannot fail, and a text always has a JSON form.
        let _ = serde_json::to_writer(&mut *to, name);
        to.push(b':');
        let _ = serde_json::to_writer(&mut *to, text);
    }
    if to.len() > start {
        to.push(b'}');
    }
    to.len() > start
}

/// The JSON text with a numbered mark for every value, so that a JSON reader can find its structure.
#[derive(Default)]
struct MarkedPayload {
    json: String,
    expressions: Vec<Option<Expression>>,
    /// Where each stretch of text begins in `json`, and on which line of the file.
    stretches: Vec<(usize, usize)>,
    in_string: bool,
    /// Whether a value is the last that was taken.
    after_value: bool,
}

impl MarkedPayload {
    fn take(&mut self, source: &CompileContext<'_>, piece: TemplatePiece) -> Result<(), Problem> {
        match piece {
            TemplatePiece::Text { text, line } => self.take_text(source, &text, line),
            TemplatePiece::Value { expression, line, bare } => {
                let wrong = self.wrong_value(&expression, bare);
                self.json.push_str(&format!("\"{MARK}{}\"", self.expressions.len()));
                self.expressions.push(Some(expression));
                self.after_value = true;
                let at =
                    |(what, hint)| Problem::new(what, hint).at(source.file, source.first_line + line - 1);
                wrong.map_or(Ok(()), |wrong| Err(at(wrong)))
            }
        }
    }

    fn take_text(&mut self, source: &CompileContext<'_>, text: &str, line: usize) -> Result<(), Problem> {
        let calculates = self.after_value && !self.in_string && calculation::goes_on_in(text);
        self.after_value = false;
        self.stretches.push((self.json.len(), line));
        self.follow_quotes(text);
        self.json.push_str(text);
        if !calculates {
            return Ok(());
        }
        let blank = text.len() - text.trim_start().len();
        let passed = text.get(..blank).unwrap_or_default().matches('\n').count();
        let (what, hint) = calculated();
        Err(Problem::new(what, hint).at(source.file, source.first_line + line - 1 + passed))
    }

    /// What is wrong with a value at this place.
    fn wrong_value(&self, expression: &Expression, bare: bool) -> Option<(String, String)> {
        if self.in_string {
            let what = "a value is inside quotes";
            return Some((
                what.to_owned(),
                "a helper writes its own quotes; join texts by `join`".to_owned(),
            ));
        }
        if !self.after_value && calculation::leads_to(&self.json) {
            return Some(calculated());
        }
        wrong_in_json(expression, bare).map(|(what, hint)| (what.to_owned(), hint.to_owned()))
    }

    fn follow_quotes(&mut self, text: &str) {
        let mut escaped = false;
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if self.in_string => escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }

    /// The tree, once everything is taken.
    fn root(mut self, source: &CompileContext<'_>) -> Result<PayloadNode, Vec<Problem>> {
        let json: Json = serde_json::from_str(&self.json).map_err(|error| {
            let line = self.line_of(error.line(), error.column());
            let what = format!("the template is not JSON: {}", without_place(&error));
            let hint = "compare it with the platform's example";
            vec![Problem::new(what, hint).at(source.file, source.first_line + line - 1)]
        })?;
        let root = node(json, &mut self.expressions).map_err(|what| {
            vec![Problem::new(what, "write the name of a member as text").in_file(source.file)]
        })?;
        match root.shape {
            NodeShape::Object(_) | NodeShape::Array(_) => Ok(root),
            _ => {
                let what = "the payload is neither an object nor an array";
                Err(vec![Problem::new(what, "begin it with `{`").at(source.file, source.first_line)])
            }
        }
    }

    /// The line in the file of a place in `json`.
    fn line_of(&self, line: usize, column: usize) -> usize {
        let before: usize = self.json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let at = before + column.saturating_sub(1);
        let stretch = self.stretches.iter().rev().find(|(start, _)| *start <= at);
        let (start, line) = stretch.copied().unwrap_or((0, 1));
        let passed = self.json.get(start..at.min(self.json.len())).unwrap_or_default();
        line + passed.matches('\n').count()
    }
}

/// The error's words; its own line counts in a text that no one has seen.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// What is said of an operator next to a value.
fn calculated() -> (String, String) {
    ("a JSON template has a calculation in it".to_owned(), calculation::hint("`{{number value}}`"))
}

fn wrong_in_json(expression: &Expression, bare: bool) -> Option<(&'static str, &'static str)> {
    if bare {
        return Some((
            "a bare value is in a JSON template",
            "say what it is by a helper: `{{json name}}`, `{{number name}}`, `{{unix name}}`, `{{sha256 name}}`…",
        ));
    }
    match expression {
        Expression::Call(call) if call.helper.name == RAW => {
            Some(("`raw` is in a JSON template", "write `json`; `raw` is for URLs"))
        }
        Expression::Call(call) if !call.helper.typed => Some((
            "a look-up is in a JSON template without a typed helper around it",
            "write `{{json (param \"name\")}}` and the like",
        )),
        _ => None,
    }
}

fn node(json: Json, expressions: &mut [Option<Expression>]) -> Result<PayloadNode, String> {
    let shape = match json {
        Json::Null => NodeShape::Null,
        Json::String(text) => match expression(&text, expressions) {
            Some(expression) => NodeShape::Value(expression),
            None => NodeShape::Literal(Json::String(text).to_string()),
        },
        Json::Array(elements) => NodeShape::Array(
            elements.into_iter().map(|element| node(element, expressions)).collect::<Result<_, _>>()?,
        ),
        Json::Object(members) => {
            let mut nodes = Vec::with_capacity(members.len());
            for (name, member) in members {
                if name.starts_with(MARK) {
                    return Err("a value is where the name of a member belongs".to_owned());
                }
                let json = format!("{}:", Json::String(name.clone()));
                nodes.push((MemberKey { name, json }, node(member, expressions)?));
            }
            NodeShape::Object(nodes)
        }
        scalar => NodeShape::Literal(scalar.to_string()),
    };
    Ok(PayloadNode { shape, watch: None })
}

fn expression(text: &str, expressions: &mut [Option<Expression>]) -> Option<Expression> {
    let number: usize = text.strip_prefix(MARK)?.parse().ok()?;
    expressions.get_mut(number)?.take()
}
