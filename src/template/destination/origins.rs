//! Of what each value of a request is made: a second pass over a template, for those who look at a request. Sending
//! does without it.

use std::collections::BTreeMap;

use crate::template::destination::auth::Auth;
use crate::template::destination::compile::{LinePart, TemplatedLine};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::expression::{Expression, MadeOf, RenderScope, RenderValue};
use crate::template::destination::fields;
use crate::template::destination::file::SettingSpec;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::payload::{MemberKey, NodeShape, PayloadNode};
use crate::template::destination::request_variant::RequestVariant;
use crate::template::macros::parameters::parameter_at_end;

/// By the place of each value in a request, the names that it is made of; none of what the template writes itself.
/// Places are JSON pointers into the body, `?parameter` of the query and `form:parameter`.
pub type OriginTable = BTreeMap<String, Vec<String>>;

/// The origins of a request with this one event, where it is of this form; `None`: it is the event's own.
pub(crate) fn of_request(
    template: &DestinationTemplate,
    form: Option<&RequestVariant>,
    scope: &RenderScope<'_>,
) -> OriginTable {
    let mut trace = OriginTrace { scope, settings: template.settings(), event: None, found: Vec::new() };
    let shape = template.shape(form, scope.conversion.event.as_str());
    let event = shape.body.and_then(|body| body.payload.as_ref()).map(|payload| &payload.root);
    match (shape.envelope, event) {
        (Some(envelope), event) => {
            trace.event = event;
            trace.node(&envelope.0.root, "");
        }
        (None, Some(event)) => {
            trace.node(event, "");
        }
        (None, None) => {}
    }
    trace.url(shape.url);
    trace.parameters("?", shape.query);
    trace.parameters("form:", &template.form);
    trace.credentials(template.auth());
    trace.found.into_iter().collect()
}

struct OriginTrace<'t, 's> {
    scope: &'t RenderScope<'s>,
    settings: &'t [SettingSpec],
    /// What is written in the place of the events of an envelope.
    event: Option<&'t PayloadNode>,
    found: Vec<(String, Vec<String>)>,
}

impl<'t> OriginTrace<'t, '_> {
    /// Goes through what would be written, as [`Payload::write`](super::payload::Payload::write) does. Says whether it
    /// is anything.
    fn node(&mut self, node: &'t PayloadNode, place: &str) -> bool {
        match &node.shape {
            NodeShape::Null => false,
            NodeShape::Literal(_) => self.add(place, Vec::new()),
            NodeShape::Value(expression) => self.value(expression, place),
            NodeShape::Object(members) => self.object(members, place),
            NodeShape::Array(elements) => self.array(elements, place),
            NodeShape::JsonText(inner) => self.text(inner, place),
            NodeShape::Kept(inner) => self.node(inner, place) || self.add(place, Vec::new()),
            NodeShape::Each(inner) => self.node(inner, place),
            NodeShape::Events => match self.event {
                Some(event) => self.node(event, &format!("{place}/0")),
                None => true,
            },
        }
    }

    fn add(&mut self, place: &str, names: Vec<String>) -> bool {
        self.found.push((place.to_owned(), names));
        true
    }

    fn value(&mut self, expression: &Expression, place: &str) -> bool {
        match expression.value(self.scope) {
            RenderValue::Null => false,
            RenderValue::Pairs(pairs) => {
                let whole = self.names(expression).pop().unwrap_or_default();
                let pairs = pairs.iter().filter(|(_, text)| !text.is_empty());
                let found: Vec<_> =
                    pairs.map(|(name, _)| (inside(place, name), vec![format!("{whole}.{name}")])).collect();
                let is_written = !found.is_empty();
                self.found.extend(found);
                is_written
            }
            _ => {
                let names = self.names(expression);
                self.add(place, names)
            }
        }
    }

    fn object(&mut self, members: &'t [(MemberKey, PayloadNode)], place: &str) -> bool {
        let (before, mut is_written, mut is_whole) = (self.found.len(), false, true);
        for (key, node) in members {
            let wrote = self.node(node, &inside(place, &key.name));
            is_written |= wrote;
            is_whole &= wrote || !key.needed;
        }
        if !is_whole {
            self.found.truncate(before);
        }
        is_written && is_whole
    }

    fn array(&mut self, elements: &'t [PayloadNode], place: &str) -> bool {
        let mut written = 0;
        for node in elements {
            let is_each = matches!(node.shape, NodeShape::Each(_));
            for turn in 0..if is_each { self.scope.item_count() } else { 1 } {
                if is_each {
                    self.scope.item.set(turn);
                }
                written += usize::from(self.node(node, &format!("{place}/{written}")));
            }
        }
        written > 0
    }

    /// What is in a text has no place of its own: the text is made of all of it.
    fn text(&mut self, inner: &'t PayloadNode, place: &str) -> bool {
        let before = self.found.len();
        let is_written = self.node(inner, "");
        let inner: Vec<_> = self.found.drain(before..).flat_map(|(_, names)| names).collect();
        is_written && self.add(place, distinct(inner))
    }

    /// The parameters of the query that the address has itself.
    fn url(&mut self, url: &TemplatedLine) {
        let mut begun = String::new();
        for part in &url.parts {
            match part {
                LinePart::Text(text) => begun.push_str(text),
                LinePart::Value(expression) | LinePart::Raw(expression) => {
                    if let Some(name) = parameter_at_end(&begun) {
                        let (place, names) = (format!("?{name}"), self.names(expression));
                        self.add(&place, names);
                    }
                }
            }
        }
    }

    fn parameters(&mut self, kind: &str, table: &ParameterTable) {
        for (name, line) in table.0.iter().filter(|(_, line)| line.render_whole(self.scope).is_some()) {
            let names = line.parts.iter().flat_map(|part| match part {
                LinePart::Text(_) => Vec::new(),
                LinePart::Value(expression) | LinePart::Raw(expression) => self.names(expression),
            });
            let names = distinct(names.collect());
            self.add(&format!("{kind}{name}"), names);
        }
    }

    /// The parameters by which the account is known.
    fn credentials(&mut self, auth: &[Auth]) {
        for one in auth {
            let (name, settings) = match one {
                Auth::Query { name, setting } => (name, vec![*setting]),
                Auth::HmacProof { name, key, of } => (name, vec![*of, *key]),
                Auth::Header { .. }
                | Auth::Basic { .. }
                | Auth::StandardWebhooks { .. }
                | Auth::SignIn(_) => continue,
            };
            if settings.iter().all(|index| matches!(self.scope.settings.get(*index), Some(Some(_)))) {
                let names = settings.into_iter().filter_map(|index| self.setting(index)).collect();
                self.add(&format!("?{name}"), names);
            }
        }
    }

    fn setting(&self, index: usize) -> Option<String> {
        self.settings.get(index).map(|setting| format!("settings.{}", setting.name))
    }

    /// Of what a value is made that is there.
    fn names(&self, expression: &Expression) -> Vec<String> {
        let is_there = |one: &&Expression| one.value(self.scope) != RenderValue::Null;
        match expression {
            Expression::Text(_) | Expression::Integer(_) | Expression::Truth(_) | Expression::Events => {
                Vec::new()
            }
            Expression::Field(field) => vec![fields::origin(field, self.scope)],
            Expression::Setting(index) => self.setting(*index).into_iter().collect(),
            Expression::Call(call) => match (&call.helper.made_of, call.helper.looks_in) {
                (MadeOf::LookedUp(names), _) => names(call, self.scope),
                (_, Some(place)) => {
                    call.text(0, self.scope).map(|name| format!("{place}.{name}")).into_iter().collect()
                }
                (MadeOf::FirstPresent, None) => {
                    call.arguments.iter().find(is_there).map(|one| self.names(one)).unwrap_or_default()
                }
                (MadeOf::Argument(number), None) => {
                    call.arguments.get(*number).map(|one| self.names(one)).unwrap_or_default()
                }
                (MadeOf::All, None) => {
                    let all = call.arguments.iter().chain(call.options.iter().flatten()).filter(is_there);
                    distinct(all.flat_map(|one| self.names(one)).collect())
                }
            },
        }
    }
}

/// The place of a member, by JSON pointer.
fn inside(place: &str, member: &str) -> String {
    format!("{place}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// Each name once, in the order in which they were found.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut each: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !each.contains(&name) {
            each.push(name);
        }
    }
    each
}
