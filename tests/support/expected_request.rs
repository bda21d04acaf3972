//! What a request to a platform has to be around its events, by its template's text and an account's settings.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::support::platform::Received;

/// What a request is but for its events.
pub struct ExpectedRequest {
    settings: BTreeMap<String, String>,
    method: String,
    path: String,
    query: BTreeMap<String, Filled>,
    headers: BTreeMap<String, Filled>,
    content_type: String,
    auth: Vec<toml::Value>,
    /// With [`EVENTS`] in their place; `None`: a request is one event.
    envelope: Option<Value>,
    has_form: bool,
}

/// A text of a template with the settings in it.
#[derive(Debug, Clone, PartialEq)]
enum Filled {
    Text(String),
    /// It is left out.
    Absent,
    /// It depends on the event.
    Any,
}

/// In the place of the events.
const EVENTS: &str = "@events";
/// In the place of what depends on them.
const ANY: &str = "@any";

impl ExpectedRequest {
    /// By the template's text and the account's settings.
    pub fn read(toml: &toml::Table, envelope: Option<&str>, settings: &BTreeMap<String, String>) -> Self {
        let request = &toml["request"];
        let text = |name: &str, usual: &str| {
            request.get(name).and_then(toml::Value::as_str).unwrap_or(usual).to_owned()
        };
        let mut all = BTreeMap::new();
        for setting in toml.get("setting").and_then(toml::Value::as_array).into_iter().flatten() {
            let default = setting.get("default").and_then(toml::Value::as_str);
            all.extend(default.map(|value| (setting["name"].as_str().unwrap().to_owned(), value.to_owned())));
        }
        all.extend(settings.clone());
        let table = |name: &str| {
            let table = request.get(name).and_then(toml::Value::as_table).into_iter().flatten();
            let filled =
                |(name, value): (&String, &toml::Value)| (name.clone(), fill(value.as_str().unwrap(), &all));
            table.map(filled).collect::<BTreeMap<String, Filled>>()
        };
        let Filled::Text(url) = fill(&text("url", ""), &all) else { panic!("a URL by the event") };
        let behind_scheme = url.split_once("://").unwrap().1;
        let place = behind_scheme.find(['/', '?']).map_or("", |at| &behind_scheme[at..]);
        let (path, of_url) = place.split_once('?').unwrap_or((place, ""));
        let mut query = table("query");
        query.extend(pairs(of_url.as_bytes()).into_iter().map(|(name, value)| (name, Filled::Text(value))));
        let has_form = request.get("form").is_some();
        let usual = if has_form { "application/x-www-form-urlencoded" } else { "application/json" };
        ExpectedRequest {
            method: text("method", "POST"),
            path: path.to_owned(),
            query,
            headers: table("headers"),
            content_type: text("content_type", usual),
            auth: match request.get("auth") {
                Some(toml::Value::Array(all)) => all.clone(),
                one => one.into_iter().cloned().collect(),
            },
            envelope: envelope.map(|envelope| envelope_of(envelope, &all)),
            has_form,
            settings: all,
        }
    }

    /// The same of requests that are sent as a part of the template says, `[changes.request]` or `[late.request]`.
    pub fn read_of(
        toml: &toml::Table,
        part: &toml::Value,
        envelope: Option<&str>,
        settings: &BTreeMap<String, String>,
    ) -> Self {
        let mut toml = toml.clone();
        let events = toml["request"].as_table_mut().unwrap();
        events.remove("query");
        events.extend(part.as_table().unwrap().clone());
        ExpectedRequest::read(&toml, envelope, settings)
    }

    /// The path, without what is before that of the platform.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The events of a request, as far as it has any.
    pub fn events_of(&self, request: &Received) -> Vec<Value> {
        let object = |pairs: BTreeMap<String, String>| {
            Value::Object(pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect())
        };
        match &self.envelope {
            Some(envelope) => {
                let at = pointer_of(envelope, EVENTS, "").unwrap();
                request.json().pointer(&at).and_then(Value::as_array).cloned().unwrap_or_default()
            }
            None if self.has_form => vec![object(pairs(&request.body))],
            None if request.body.is_empty() => vec![object(query_of(request))],
            None => vec![request.json()],
        }
    }

    /// What is wrong with a request but for its events; the path without what is before that of the platform.
    pub fn faults(&self, request: &Received, path: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut compare = |what: &str, got: Option<&str>, expected: &Filled| match expected {
            Filled::Any => {}
            Filled::Absent if got.is_none() => {}
            Filled::Text(text) if got == Some(text) => {}
            _ => faults.push(format!("{what} is {got:?}, not {expected:?}")),
        };
        compare("the method", Some(&request.method), &Filled::Text(self.method.clone()));
        compare("the path", Some(path), &Filled::Text(self.path.clone()));
        if !request.body.is_empty() {
            let kind = request.header("content-type").map(|kind| kind.split(';').next().unwrap().trim());
            compare("the content type", kind, &Filled::Text(self.content_type.clone()));
        }
        for (name, value) in &self.headers {
            compare(name, request.header(name), value);
        }
        let mut query = query_of(request);
        for auth in &self.auth {
            let kind = auth["kind"].as_str().unwrap();
            let (got, expected) = self.sign_in(kind, auth, request, &mut query);
            compare(kind, got.as_deref(), &expected.map_or(Filled::Absent, Filled::Text));
        }
        for (name, value) in &self.query {
            compare(name, query.remove(name).as_deref(), value);
        }
        faults.extend(query.keys().map(|name| format!("?{name} is in no template")));
        if let Some(envelope) = &self.envelope {
            differences(envelope, &request.json(), "", &mut faults);
        }
        faults
    }

    /// What a request has to sign in with, and what it should have. Its parameter is taken out of the query.
    fn sign_in(
        &self,
        kind: &str,
        auth: &toml::Value,
        request: &Received,
        query: &mut BTreeMap<String, String>,
    ) -> (Option<String>, Option<String>) {
        let text = |name: &str| auth.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        let setting = |name: &str| self.settings.get(text(name));
        let header = |name: &str| request.header(name).map(str::to_owned);
        match kind {
            // Which token is good only the server knows that gives them.
            "none" | "oauth2-refresh" | "service-account" => (None, None),
            "bearer" => (header("authorization"), setting("setting").map(|token| format!("Bearer {token}"))),
            "header" => {
                (header(text("header")), setting("setting").map(|token| text("prefix").to_owned() + token))
            }
            "query" => (query.remove(text("query")), setting("setting").cloned()),
            "basic" => {
                let pair = setting("user").zip(setting("password"));
                let basic = pair.map(|(user, password)| {
                    "Basic ".to_owned() + &BASE64.encode(format!("{user}:{password}"))
                });
                (header("authorization"), basic)
            }
            "hmac-proof" => {
                let proof = setting("key").zip(setting("of")).map(|(key, of)| {
                    hmac(key.as_bytes(), &[of.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
                });
                (query.remove(text("query")), proof)
            }
            "standard-webhooks" => {
                let id = request.header("webhook-id").unwrap_or_default();
                let head = format!("{id}.{}.", request.header("webhook-timestamp").unwrap_or_default());
                let keys = auth["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
                let sign = |key: &String| {
                    let key = BASE64.decode(key.trim_start_matches("whsec_")).unwrap();
                    "v1,".to_owned() + &BASE64.encode(hmac(&key, &[head.as_bytes(), &request.body]))
                };
                let signatures: Vec<String> =
                    keys.filter_map(|key| self.settings.get(key)).map(sign).collect();
                (header("webhook-signature"), Some(signatures.join(" ")))
            }
            other => panic!("the stand-in knows no {other}"),
        }
    }
}

/// The pointer of a value in a document.
fn pointer_of(value: &Value, wanted: &str, at: &str) -> Option<String> {
    match value {
        Value::String(text) if text == wanted => Some(at.to_owned()),
        Value::Object(members) => {
            members.iter().find_map(|(name, member)| pointer_of(member, wanted, &format!("{at}/{name}")))
        }
        _ => None,
    }
}

/// A text with every value in it written by a function.
fn with_values(text: &str, mut write: impl FnMut(&str) -> String) -> String {
    let (mut written, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, after) = behind.split_once("}}").unwrap();
        written.push_str(before);
        written.push_str(&write(inside.trim()));
        rest = after;
    }
    written + rest
}

/// Whether the second is what the first says, and where it is not.
fn differences(expected: &Value, got: &Value, at: &str, found: &mut Vec<String>) {
    match (expected, got) {
        (Value::String(text), _) if text == EVENTS || text == ANY => {}
        (Value::Object(expected), Value::Object(got)) => {
            for name in expected.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
                let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                let is_any = expected.get(name).is_some_and(|text| text == ANY);
                if !is_any {
                    differences(&member(expected), &member(got), &format!("{at}/{name}"), found);
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            for (number, (expected, got)) in expected.iter().zip(got).enumerate() {
                differences(expected, got, &format!("{at}/{number}"), found);
            }
        }
        _ if expected == got => {}
        _ => found.push(format!("{at} is {got}, not {expected}")),
    }
}

/// Pairs of a query or a form.
fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn query_of(request: &Received) -> BTreeMap<String, String> {
    pairs(request.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// A text of a template for an account that is not in test mode.
fn fill(text: &str, settings: &BTreeMap<String, String>) -> Filled {
    let (mut is_absent, mut is_any) = (false, false);
    let filled = with_values(text, |inside| {
        let bare = inside.trim_start_matches("raw ").trim_start_matches("json ").trim();
        let quoted = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(literal) = quoted.filter(|literal| !literal.contains('"')) {
            return literal.to_owned();
        }
        let name = bare.strip_prefix("settings.").filter(|name| !name.contains(' '));
        let value = name.map(|name| settings.get(name).cloned());
        match value {
            Some(Some(value)) => value,
            Some(None) => {
                is_absent = true;
                String::new()
            }
            // What is of test mode alone is nothing in a URL; a parameter of nothing else is left out.
            None if bare.trim_start_matches('(').starts_with("in_test ") => {
                is_absent |= text.trim().starts_with("{{") && text.trim().ends_with("}}");
                String::new()
            }
            None => {
                is_any = true;
                String::new()
            }
        }
    });
    match (is_any, is_absent) {
        (true, _) => Filled::Any,
        (_, true) => Filled::Absent,
        _ => Filled::Text(filled),
    }
}

/// What is around the events: what is absent is null, and left out where it is a member.
fn envelope_of(envelope: &str, settings: &BTreeMap<String, String>) -> Value {
    let json = with_values(envelope, |inside| match fill(&format!("{{{{{inside}}}}}"), settings) {
        _ if inside == "events" => Value::from(EVENTS).to_string(),
        _ if inside == "json true" => Value::from(true).to_string(),
        Filled::Text(text) => Value::from(text).to_string(),
        Filled::Absent => "null".to_owned(),
        Filled::Any => Value::from(ANY).to_string(),
    });
    without_marks(serde_json::from_str(&json).unwrap())
}

/// A payload with [`ANY`] in the place of what depends on the event.
pub fn skeleton_of(template: &str) -> Value {
    envelope_of(template, &BTreeMap::new())
}

/// The members of a payload that have a value in them, each with what is between the braces.
pub fn inside_of(template: &str) -> Vec<(String, String)> {
    let json = with_values(template, |inside| Value::from(format!("@{inside}")).to_string());
    let mut found = Vec::new();
    // A form and a query have no payload.
    if let Ok(json) = serde_json::from_str(&json) {
        texts(&without_marks(json), "", &mut found);
    }
    found
}

fn texts(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| texts(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| texts(item, &format!("{at}/{n}"), found));
        }
        Value::String(text) => {
            found.extend(text.strip_prefix('@').map(|inside| (at.to_owned(), inside.to_owned())));
        }
        _ => {}
    }
}

/// Without the members that say when another is left out.
fn without_marks(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !name.starts_with('$'));
            members.map(|(name, member)| (name, without_marks(member))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_marks).collect(),
        other => other,
    }
}
