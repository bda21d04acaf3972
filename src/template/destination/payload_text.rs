//! Reads the text of a JSON template: its structure by a JSON reader, with a mark in the place of every value.

use serde_json::Value as Json;

use crate::template::destination::calculation;
use crate::template::destination::compile::{CompileContext, pieces};
use crate::template::destination::expression::{Expression, TemplatePiece};
use crate::template::destination::fields;
use crate::template::destination::helpers::RAW;
use crate::template::destination::payload::{MemberKey, NodeShape, Payload, PayloadNode};
use crate::template::diagnostic::{LintCode, Problem, did_you_mean};

/// Marks the number of an expression in the JSON text while its structure is read.
const MARK: char = '\u{E000}';

/// Names of members that say how a node is written, and are not written themselves. Any other name with a dollar is the
/// platform's own.
const JSON_TEXT: &str = "$string";
const KEEP: &str = "$keep";
const NEEDS: &str = "$needs";
const EACH: &str = "$each";
const VALUE: &str = "$value";
/// What [`EACH`] can name.
const ITEMS: &str = "items";

/// Reads a JSON template. A value is a typed helper and is where a JSON value is.
pub(crate) fn parse(source: &CompileContext<'_>, text: &str) -> Result<Payload, Vec<Problem>> {
    tree(source, text).map(Payload::new)
}

/// The same, before anything of it is watched.
pub(crate) fn tree(source: &CompileContext<'_>, text: &str) -> Result<PayloadNode, Vec<Problem>> {
    let mut reading = MarkedPayload::default();
    let (pieces, mut problems) = pieces(source, text);
    for piece in pieces {
        problems.extend(reading.take(source, piece).err());
    }
    // An operator between two values is found from both sides.
    problems.dedup();
    // A value in the wrong place also breaks the structure: said once is enough.
    if problems.is_empty() { reading.root(source) } else { Err(problems) }
}

/// The JSON text with a numbered mark for every value, so that a JSON reader can find its structure.
#[derive(Default)]
struct MarkedPayload {
    json: String,
    expressions: Vec<Option<Expression>>,
    /// Where each stretch of text begins in `json`, and on which line of the file.
    stretches: Vec<(usize, usize)>,
    /// The numbers of the values that name what only an item has, with their lines.
    of_items: Vec<(usize, usize)>,
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
                let is_bare = bare && !self.in_string;
                self.json.push_str(&format!("\"{MARK}{}\"", self.expressions.len()));
                if fields::is_of_item(&expression) {
                    self.of_items.push((self.expressions.len(), source.first_line + line - 1));
                }
                self.expressions.push(Some(expression));
                self.after_value = true;
                let at = |(what, hint)| {
                    let problem = Problem::new(what, hint).at(source.file, source.first_line + line - 1);
                    if is_bare { problem.coded(LintCode::BareValue) } else { problem }
                };
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
        let mut inside = Vec::new();
        marks_of_items(&json, false, &mut inside);
        let outside = self.of_items.iter().filter(|(number, _)| !inside.contains(number));
        let (what, hint) = fields::OUTSIDE_OF_ITEMS;
        let problems: Vec<Problem> =
            outside.map(|(_, line)| Problem::new(what, hint).at(source.file, *line)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let root = node(json, &mut self.expressions)
            .map_err(|(what, hint)| vec![Problem::new(what, hint).in_file(source.file)])?;
        if root.is_compound() {
            return Ok(root);
        }
        let what = "the payload is neither an object nor an array";
        Err(vec![Problem::new(what, "begin it with `{`").at(source.file, source.first_line)])
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
    if matches!(expression, Expression::Events) {
        return None;
    }
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

/// What is wrong in the structure of a template, and how it is fixed.
type Malformed = (String, String);

fn node(json: Json, expressions: &mut [Option<Expression>]) -> Result<PayloadNode, Malformed> {
    let shape = match json {
        Json::Null => NodeShape::Null,
        Json::String(text) => match expression(&text, expressions) {
            Some(Expression::Events) => NodeShape::Events,
            Some(expression) => NodeShape::Value(expression),
            None => NodeShape::Literal(Json::String(text).to_string()),
        },
        Json::Array(elements) => NodeShape::Array(
            elements
                .into_iter()
                .map(|element| element_node(element, expressions))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(members) => object(members, expressions)?,
        scalar => NodeShape::Literal(scalar.to_string()),
    };
    Ok(PayloadNode::new(shape))
}

/// An element of an array, which may be written once for each item.
fn element_node(json: Json, expressions: &mut [Option<Expression>]) -> Result<PayloadNode, Malformed> {
    let mut members = match json {
        Json::Object(members) if members.contains_key(EACH) => members,
        other => return node(other, expressions),
    };
    let list = members.shift_remove(EACH).unwrap_or_default();
    if list.as_str() != Some(ITEMS) {
        let what = format!("`{EACH}` names {list}, of which there is no list");
        return Err((what, format!("write `\"{EACH}\": \"{ITEMS}\"`")));
    }
    if members.values().any(holds_each) {
        let what = format!("`{EACH}` is inside of another `{EACH}`");
        return Err((what, "an item has no items".to_owned()));
    }
    let body = match members.shift_remove(VALUE) {
        None => PayloadNode::new(object(members, expressions)?),
        Some(value) if members.is_empty() => node(value, expressions)?,
        Some(_) => {
            let what = format!("a member is next to `{VALUE}`");
            return Err((what, format!("`{VALUE}` is alone with `{EACH}`: the element is its value")));
        }
    };
    Ok(PayloadNode::new(NodeShape::Each(Box::new(body))))
}

fn holds_each(json: &Json) -> bool {
    match json {
        Json::Array(elements) => elements.iter().any(holds_each),
        Json::Object(members) => members.contains_key(EACH) || members.values().any(holds_each),
        _ => false,
    }
}

/// The numbers of the values that are written for an item.
fn marks_of_items(json: &Json, is_inside: bool, found: &mut Vec<usize>) {
    match json {
        Json::String(text) if is_inside => {
            found.extend(text.strip_prefix(MARK).and_then(|number| number.parse::<usize>().ok()));
        }
        Json::Array(elements) => elements.iter().for_each(|one| marks_of_items(one, is_inside, found)),
        Json::Object(members) => {
            let is_inside = is_inside || members.contains_key(EACH);
            members.values().for_each(|one| marks_of_items(one, is_inside, found));
        }
        _ => {}
    }
}

fn object(
    mut members: serde_json::Map<String, Json>,
    expressions: &mut [Option<Expression>],
) -> Result<NodeShape, Malformed> {
    for (marker, shape) in [(JSON_TEXT, NodeShape::JsonText as fn(_) -> _), (KEEP, NodeShape::Kept)] {
        if let Some(marked) = members.shift_remove(marker) {
            return match members.keys().next() {
                None => Ok(shape(Box::new(node(marked, expressions)?))),
                Some(other) => Err((
                    format!("`{other}` is next to `{marker}`"),
                    format!("`{marker}` is alone in its object: {{\"{marker}\": …}}"),
                )),
            };
        }
    }
    if members.contains_key(EACH) {
        let what = format!("`{EACH}` is in no list");
        return Err((what, format!("write `[{{\"{EACH}\": \"{ITEMS}\", …}}]`")));
    }
    let needs =
        members.shift_remove(NEEDS).map(|named| needs(&named, &members)).transpose()?.unwrap_or_default();
    let mut nodes = Vec::with_capacity(members.len());
    for (name, member) in members {
        if name.starts_with(MARK) {
            let what = "a value is where the name of a member belongs".to_owned();
            return Err((what, "write the name of a member as text".to_owned()));
        }
        if name.starts_with('$')
            && let Some(near) = did_you_mean(&name, [JSON_TEXT, KEEP, NEEDS, EACH])
        {
            return Err((format!("`{name}` is no marker"), format!("did you mean `{near}`?")));
        }
        let needed = needs.contains(&name);
        nodes.push((MemberKey::new(name, needed), node(member, expressions)?));
    }
    Ok(NodeShape::Object(nodes))
}

/// The names under [`NEEDS`]: members of the same object.
fn needs(named: &Json, members: &serde_json::Map<String, Json>) -> Result<Vec<String>, Malformed> {
    let hint = || format!("write `\"{NEEDS}\": [\"a_member_of_this_object\"]`");
    let names = named.as_array().filter(|names| !names.is_empty());
    let names = names.ok_or_else(|| (format!("`{NEEDS}` is no list of names"), hint()))?;
    let name = |name: &Json| match name.as_str().filter(|name| members.contains_key(*name)) {
        Some(name) => Ok(name.to_owned()),
        None => Err((format!("`{NEEDS}` names {name}, which is no member of its object"), hint())),
    };
    names.iter().map(name).collect()
}

fn expression(text: &str, expressions: &mut [Option<Expression>]) -> Option<Expression> {
    let number: usize = text.strip_prefix(MARK)?.parse().ok()?;
    expressions.get_mut(number)?.take()
}
