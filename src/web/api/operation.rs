//! What the document says of one call, as OpenAPI 3.1 writes it.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value};

/// What one method of a path does.
#[derive(Serialize)]
pub struct Operation {
    #[serde(rename = "operationId")]
    pub id: String,
    pub tags: [&'static str; 1],
    pub summary: String,
    pub description: &'static str,
    pub parameters: Vec<Parameter>,
    #[serde(rename = "requestBody", skip_serializing_if = "Option::is_none")]
    pub body: Option<RequestBody>,
    pub responses: BTreeMap<String, ResponseDoc>,
}

/// A part of the path, or a parameter of the query.
#[derive(Serialize)]
pub struct Parameter {
    pub name: &'static str,
    pub r#in: &'static str,
    pub description: &'static str,
    pub required: bool,
    pub schema: Schema,
}

/// What is sent.
#[derive(Serialize)]
pub struct RequestBody {
    pub description: &'static str,
    pub required: bool,
    pub content: BTreeMap<&'static str, Content>,
}

/// What is answered.
#[derive(Serialize)]
pub struct ResponseDoc {
    pub description: &'static str,
    pub content: BTreeMap<&'static str, Content>,
}

/// How a body of one media type is written.
#[derive(Serialize)]
pub struct Content {
    pub schema: Schema,
}

/// The schemas of what is answered and of what is sent, each named once.
pub struct Schemas {
    answers: SchemaGenerator,
    bodies: SchemaGenerator,
}

impl Schemas {
    pub fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
            })
        };
        Schemas {
            answers: settings().for_serialize().into_generator(),
            bodies: settings().for_deserialize().into_generator(),
        }
    }

    /// How a view is written.
    pub fn answer<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    /// How what is sent is read.
    pub fn body<T: JsonSchema>(&mut self) -> Schema {
        self.bodies.subschema_for::<T>()
    }

    /// All of them, by name.
    pub fn all(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.extend(self.bodies.take_definitions(true));
        all
    }
}
