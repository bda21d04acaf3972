//! A JSON template as a tree: read once, then written straight to bytes with everything empty left out.

use std::cell::Cell;
use std::io::Write;
use std::ops::Range;

use serde_json::Value as Json;

use crate::domain::click::Pairs;
use crate::template::destination::expression::{Expression, RenderScope, RenderValue};

/// A payload is refused beyond this many bytes.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// The template of one event's payload. It looks like the platform's own example; its structure is
/// fixed when it is read, so no value can break it.
pub(crate) struct Payload {
    pub root: PayloadNode,
    watched: usize,
}

/// A value of the template, or what holds several.
pub(crate) struct PayloadNode {
    pub shape: NodeShape,
    /// The number under which a requirement asks for it.
    watch: Option<usize>,
}

/// What a node is, and so how it is written.
pub(crate) enum NodeShape {
    Null,
    /// A string, number or truth value of the template itself, as JSON.
    Literal(String),
    Value(Expression),
    Object(Vec<(MemberKey, PayloadNode)>),
    Array(Vec<PayloadNode>),
    /// `{"$string": …}`: as JSON text inside a string.
    JsonText(Box<PayloadNode>),
    /// `{"$keep": …}`: also where it is empty.
    Kept(Box<PayloadNode>),
    /// `{"$each": "items", …}` in an array: once for each item.
    Each(Box<PayloadNode>),
    /// Of an envelope: the list of the events is written here, later.
    Events,
}

/// The member's name, the same as JSON with its colon, and whether its object is nothing without it.
pub(crate) struct MemberKey {
    pub name: String,
    json: String,
    pub needed: bool,
}

impl MemberKey {
    pub(crate) fn new(name: String, needed: bool) -> MemberKey {
        let json = format!("{}:", Json::String(name.clone()));
        MemberKey { name, json, needed }
    }
}

/// A payload as bytes, and where in it the watched members stand.
pub(crate) struct RenderedPayload {
    pub bytes: Vec<u8>,
    pub members: Vec<Option<Range<usize>>>,
    /// Of an envelope: where the events belong.
    pub events: Option<usize>,
}

impl Payload {
    /// The template with this tree.
    pub(crate) fn new(root: PayloadNode) -> Payload {
        Payload { root, watched: 0 }
    }

    /// Asks for the place of one member, by JSON pointer; `None` if the template has no such member. What is inside of
    /// a JSON text has no place of its own.
    pub(crate) fn watch(&mut self, pointer: &str) -> Option<usize> {
        let mut node = &mut self.root;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match &mut node.unmarked().shape {
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
        let mut writing = RenderedPayload::empty(Vec::with_capacity(1024), self.watched);
        self.root.write(scope, &mut writing);
        writing
    }
}

impl PayloadNode {
    pub(crate) fn new(shape: NodeShape) -> PayloadNode {
        PayloadNode { shape, watch: None }
    }

    /// In how many places below it the list of events can be written; `None` where one of them is in an array or in a
    /// text, in which a list of its own cannot be.
    pub(crate) fn places_of_events(&self) -> Option<usize> {
        match &self.shape {
            NodeShape::Null | NodeShape::Literal(_) | NodeShape::Value(_) => Some(0),
            NodeShape::Events => Some(1),
            NodeShape::Object(members) => members.iter().map(|(_, node)| node.places_of_events()).sum(),
            NodeShape::Kept(inner) => inner.places_of_events(),
            NodeShape::Array(elements) => {
                let below: Option<usize> = elements.iter().map(PayloadNode::places_of_events).sum();
                let is_direct = elements.iter().any(|node| matches!(node.shape, NodeShape::Events));
                below.filter(|_| !is_direct)
            }
            NodeShape::JsonText(inner) | NodeShape::Each(inner) => {
                inner.places_of_events().filter(|places| *places == 0)
            }
        }
    }

    /// Whether it holds several, as a whole payload does.
    pub(crate) fn is_compound(&self) -> bool {
        matches!(self.shape, NodeShape::Object(_) | NodeShape::Array(_))
    }

    fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        match &self.shape {
            NodeShape::Null | NodeShape::Literal(_) | NodeShape::Events => false,
            NodeShape::Value(expression) => expression.any(test),
            NodeShape::Object(members) => members.iter().any(|(_, node)| node.any(test)),
            NodeShape::Array(elements) => elements.iter().any(|node| node.any(test)),
            NodeShape::JsonText(inner) | NodeShape::Kept(inner) | NodeShape::Each(inner) => inner.any(test),
        }
    }

    /// The node that is kept, where it is only said of it that it is.
    fn unmarked(&mut self) -> &mut PayloadNode {
        match self.shape {
            NodeShape::Kept(ref mut inner) => inner.unmarked(),
            _ => self,
        }
    }

    /// What is written of a kept node that is empty.
    fn empty(&self) -> &'static [u8] {
        match &self.shape {
            NodeShape::Object(_) => b"{}",
            NodeShape::Array(_) => b"[]",
            NodeShape::JsonText(_) => b"\"\"",
            NodeShape::Kept(inner) | NodeShape::Each(inner) => inner.empty(),
            NodeShape::Null | NodeShape::Literal(_) | NodeShape::Value(_) | NodeShape::Events => b"null",
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
                let is_whole = Cell::new(true);
                let write = |(key, node): &(MemberKey, PayloadNode), to: &mut RenderedPayload| {
                    to.bytes.extend_from_slice(key.json.as_bytes());
                    let wrote = node.write(scope, to);
                    is_whole.set(is_whole.get() && (wrote || !key.needed));
                    wrote
                };
                let wrote = write_all((b'{', b'}'), members, to, write);
                if !is_whole.get() {
                    to.truncate(start);
                }
                wrote && is_whole.get()
            }
            NodeShape::Array(elements) => write_elements(elements, scope, to),
            NodeShape::JsonText(inner) => {
                let mut text = RenderedPayload::empty(Vec::new(), 0);
                inner.write(scope, &mut text)
                    && write_text(&String::from_utf8_lossy(&text.bytes), &mut to.bytes)
            }
            NodeShape::Kept(inner) => {
                if !inner.write(scope, to) {
                    to.bytes.extend_from_slice(inner.empty());
                }
                true
            }
            NodeShape::Each(inner) => inner.write(scope, to),
            NodeShape::Events => {
                to.events = Some(start);
                true
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

impl RenderedPayload {
    fn empty(bytes: Vec<u8>, watched: usize) -> RenderedPayload {
        RenderedPayload { bytes, members: vec![None; watched], events: None }
    }

    /// Takes back what was written from a place on.
    fn truncate(&mut self, start: usize) {
        self.bytes.truncate(start);
        self.events.take_if(|place| *place >= start);
        for member in &mut self.members {
            member.take_if(|range| range.start >= start);
        }
    }
}

/// Writes an array: what is for each item as often as there are items.
fn write_elements(elements: &[PayloadNode], scope: &RenderScope<'_>, to: &mut RenderedPayload) -> bool {
    let is_each = |node: &PayloadNode| matches!(node.shape, NodeShape::Each(_));
    if !elements.iter().any(is_each) {
        return write_all((b'[', b']'), elements, to, |node, to| node.write(scope, to));
    }
    let turns = |node| (0..if is_each(node) { scope.item_count() } else { 1 }).map(move |turn| (node, turn));
    let all: Vec<(&PayloadNode, usize)> = elements.iter().flat_map(turns).collect();
    write_all((b'[', b']'), &all, to, |(node, turn), to| {
        if is_each(node) {
            scope.item.set(*turn);
        }
        node.write(scope, to)
    })
}

/// Writes a text as JSON. Writing to a vector cannot fail, and a text always has a JSON form.
fn write_text(text: &str, to: &mut Vec<u8>) -> bool {
    serde_json::to_writer(to, text).is_ok()
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
    // Writing to a vector cannot fail.
    match value {
        RenderValue::Null => return false,
        RenderValue::Text(text) => return write_text(&text, to),
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
        write_text(name, to);
        to.push(b':');
        write_text(text, to);
    }
    if to.len() > start {
        to.push(b'}');
    }
    to.len() > start
}
