//! `/api`: the document of the API as a page: calls, parameters, bodies, answers, and what they are made of.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

use crate::web::api::openapi;
use crate::web::pages::{PageContent, Pages, document};

/// What the template `api` shows.
#[derive(Serialize)]
struct ApiPage {
    groups: Vec<CallGroup>,
    schemas: Vec<SchemaCard>,
}

/// The calls about one kind of thing.
#[derive(Serialize)]
struct CallGroup {
    name: String,
    calls: Vec<CallCard>,
}

#[derive(Serialize)]
struct CallCard {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<FieldLine>,
    bodies: Vec<BodyLine>,
    answers: Vec<BodyLine>,
}

/// A parameter, or a member of an object.
#[derive(Serialize)]
struct FieldLine {
    name: String,
    /// Where it is: `path` or `query`; of a member empty.
    place: String,
    kind: SchemaWords,
    description: String,
}

/// A body of one media type, or an answer of one status.
#[derive(Serialize)]
struct BodyLine {
    name: String,
    description: String,
    kind: SchemaWords,
    /// What a body is made of that has no name of its own.
    fields: Vec<FieldLine>,
}

#[derive(Serialize)]
struct SchemaCard {
    name: String,
    description: String,
    kind: SchemaWords,
    fields: Vec<FieldLine>,
}

/// What a value is, in words, with the name of the schema that says more.
#[derive(Serialize, Default)]
struct SchemaWords {
    words: String,
    link: Option<String>,
}

static DATA: LazyLock<Value> = LazyLock::new(|| {
    let described: Value = serde_json::from_str(openapi::text()).unwrap_or_default();
    document(&ApiPage::of(&described))
});

impl Pages {
    /// `/api`.
    pub(super) fn api_page(&self) -> PageContent {
        PageContent::new("api", "API", DATA.clone())
    }
}

impl ApiPage {
    fn of(described: &Value) -> ApiPage {
        let mut groups: Vec<CallGroup> = Vec::new();
        for (path, methods) in members(part(described, "/paths")) {
            for (method, operation) in members(methods) {
                let name = text(part(operation, "/tags/0"));
                let call = CallCard::of(method, path, operation);
                match groups.iter_mut().find(|group| group.name == name) {
                    Some(group) => group.calls.push(call),
                    None => groups.push(CallGroup { name, calls: vec![call] }),
                }
            }
        }
        let schemas = members(part(described, "/components/schemas")).map(|(name, schema)| SchemaCard {
            name: name.clone(),
            description: text(part(schema, "/description")),
            kind: SchemaWords::of(schema),
            fields: fields(schema),
        });
        ApiPage { groups, schemas: schemas.collect() }
    }
}

impl CallCard {
    fn of(method: &str, path: &str, operation: &Value) -> CallCard {
        let parameter = |one: &Value| FieldLine {
            name: text(part(one, "/name")),
            place: text(part(one, "/in")),
            kind: SchemaWords::of(part(one, "/schema")),
            description: text(part(one, "/description")),
        };
        let answer = |(status, answer): (&String, &Value)| BodyLine {
            name: status.clone(),
            description: text(part(answer, "/description")),
            kind: SchemaWords::of(part(answer, "/content/application~1json/schema")),
            fields: Vec::new(),
        };
        let body = part(operation, "/requestBody");
        let of_media = |(media, content): (&String, &Value)| BodyLine {
            name: media.clone(),
            description: text(part(body, "/description")),
            kind: SchemaWords::of(part(content, "/schema")),
            fields: fields(part(content, "/schema")),
        };
        CallCard {
            id: text(part(operation, "/operationId")),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: text(part(operation, "/summary")),
            description: text(part(operation, "/description")),
            parameters: part(operation, "/parameters")
                .as_array()
                .into_iter()
                .flatten()
                .map(parameter)
                .collect(),
            bodies: members(part(body, "/content")).map(of_media).collect(),
            answers: members(part(operation, "/responses")).map(answer).collect(),
        }
    }
}

impl SchemaWords {
    fn of(schema: &Value) -> SchemaWords {
        if let Some(name) = part(schema, "/$ref").as_str().and_then(|to| to.rsplit('/').next()) {
            return SchemaWords { words: name.to_owned(), link: Some(name.to_owned()) };
        }
        if let Some(words) = part(schema, "/enum").as_array() {
            let words: Vec<String> = words.iter().map(|word| format!("`{}`", text(word))).collect();
            return SchemaWords { words: words.join(", "), link: None };
        }
        let one_of = part(schema, "/anyOf").as_array().or(part(schema, "/oneOf").as_array());
        if let Some(kinds) = one_of.filter(|_| part(schema, "/properties").is_null()) {
            // That an empty text counts as none says nothing about the value.
            let kinds = kinds.iter().filter(|kind| kind.get("const").is_none());
            let kinds: Vec<SchemaWords> = kinds.map(SchemaWords::of).collect();
            let link = kinds.iter().find_map(|kind| kind.link.clone());
            let words: Vec<String> = kinds.into_iter().map(|kind| kind.words).collect();
            return SchemaWords { words: words.join(" or "), link };
        }
        if let Some(item) = schema.get("items") {
            let SchemaWords { words, link } = SchemaWords::of(item);
            return SchemaWords { words: format!("list of {words}"), link };
        }
        let named: Vec<String> = match part(schema, "/type") {
            Value::Array(kinds) => kinds.iter().map(text).collect(),
            kind => vec![text(kind)],
        };
        let mut words = named.join(" or ");
        for (limit, word) in [("format", ""), ("pattern", "as "), ("minimum", "from "), ("maximum", "to ")] {
            match schema.get(limit).unwrap_or(&Value::Null) {
                Value::String(text) if limit == "format" && text.starts_with("uint") => {}
                Value::String(text) => words += &format!(", {word}`{text}`"),
                Value::Number(number) => words += &format!(", {word}{number}"),
                _ => {}
            }
        }
        SchemaWords { words: if words.is_empty() { "any".to_owned() } else { words }, link: None }
    }
}

/// The members of an object's schema, those of its alternatives too.
fn fields(schema: &Value) -> Vec<FieldLine> {
    let own = members(part(schema, "/properties")).map(|(name, member)| FieldLine {
        name: name.clone(),
        place: String::new(),
        kind: SchemaWords::of(member),
        description: text(part(member, "/description")),
    });
    let others = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    own.chain(others.flat_map(fields)).collect()
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a pointer leads to; null where there is nothing.
fn part<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}
