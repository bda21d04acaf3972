//! The API's document, against which every answer of `/api/v1` is checked that a test gets.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use http::Method;
use jsonschema::Validator;
use postbridge::web::api::openapi;
use postbridge::web::routes;
use serde_json::{Value, json};

/// The document; an object of a schema has no members but those that are named.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(openapi::text()).unwrap();
    for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
        let schema = schema.as_object_mut().unwrap();
        if schema.contains_key("properties") {
            schema.entry("unevaluatedProperties").or_insert(json!(false));
        }
    }
    document
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// How many answers this process has checked, by operation and status.
static CHECKED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// What is not found, or not reached with this method or without this token, is no operation's answer.
const OF_NO_OPERATION: [u16; 5] = [401, 403, 404, 405, 429];

/// Fails where an answer of the API is not what the document says of it.
pub fn check(method: &str, target: &str, status: u16, body: &[u8]) {
    let path = target.split('?').next().unwrap();
    if !path.starts_with("/api/v1/") || method == "HEAD" {
        return;
    }
    let shown = || String::from_utf8_lossy(body);
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| {
        panic!("{method} {target} answers {status} and no JSON: {error}: {}", shown())
    });
    let row = Method::from_bytes(method.as_bytes())
        .ok()
        .and_then(|method| routes::find(path)?.rows.row(&method).map(|row| row.path));
    let (name, schema) = match row {
        Some(pattern) => {
            let operation = &DOCUMENT["paths"][pattern][method.to_ascii_lowercase()];
            let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "the document has no {status} of {method} {pattern}: {value:#}");
            (format!("{method} {pattern} {status}"), schema.clone())
        }
        None => {
            assert!(OF_NO_OPERATION.contains(&status), "{method} {target} answers {status}: {value:#}");
            (format!("no operation {status}"), json!({"$ref": "#/components/schemas/Error"}))
        }
    };
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(schema.to_string()).or_insert_with(|| compiled(&schema));
    let wrong: Vec<String> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(
        wrong.is_empty(),
        "{method} {target} answers {status} otherwise than the document says:\n{}\n{value:#}",
        wrong.join("\n")
    );
    drop(validators);
    count(name);
}

fn compiled(schema: &Value) -> Validator {
    let mut root = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    root["components"] = DOCUMENT["components"].clone();
    root["allOf"] = json!([schema]);
    jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// Counts a checked answer; also into the file that the environment names, over all processes of a test run.
fn count(name: String) {
    if let Some(file) = std::env::var_os("POSTBRIDGE_CHECKED_ANSWERS") {
        let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
        writeln!(file, "{name}").unwrap();
    }
    *CHECKED.lock().unwrap().entry(name).or_default() += 1;
}

/// How many answers were checked, by operation and status.
pub fn checked() -> BTreeMap<String, usize> {
    CHECKED.lock().unwrap().clone()
}
