//! What a platform says later of requests that it accepted, as the stories of its template have it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::platform::{Act, Received};

/// The answers of one platform.
pub struct ConfirmAnswers {
    /// The path that is asked, and the parameter that names the request.
    path: String,
    parameter: String,
    /// Where an answer that accepts a request names it.
    id: String,
    all_taken: String,
    not_yet: String,
    /// One that refuses one event of several.
    in_part: Value,
    /// The list of its rows, and in a row the events and how many those are.
    rows: (String, String, String),
}

fn text<'a>(table: &'a toml::Value, name: &str) -> &'a str {
    table.get(name).and_then(toml::Value::as_str).unwrap()
}

impl ConfirmAnswers {
    /// By `[confirm]` of a template and the stories below a folder.
    pub fn read(confirm: &toml::Value, stories: &Path) -> ConfirmAnswers {
        let url = text(confirm, "url").split_once("://").unwrap().1;
        let (path, query) = url[url.find('/').unwrap()..].split_once('?').unwrap();
        let rows = &confirm["rows"];
        let list = text(rows, "at").strip_suffix("/*").unwrap().replace('*', "0");
        let member = |name: &str| text(rows, name).to_owned();
        let body_of = |story: &str| {
            let story = std::fs::read_to_string(stories.join("confirm").join(story).join("story.toml"));
            let story: toml::Table = story.unwrap().parse().unwrap();
            text(&story["confirm"], "body").to_owned()
        };
        ConfirmAnswers {
            path: path.to_owned(),
            parameter: query.split_once('=').unwrap().0.to_owned(),
            id: text(confirm, "id").to_owned(),
            all_taken: body_of("success"),
            not_yet: body_of("processing-is-asked-again"),
            in_part: serde_json::from_str(&body_of("partial-by-rows")).unwrap(),
            rows: (list, member("index"), member("count")),
        }
    }

    /// The request that is asked about; `None` where nothing is asked.
    pub fn asked(&self, request: &Received, path: &str) -> Option<String> {
        if request.method != "GET" || path != self.path {
            return None;
        }
        let query = request.target.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| *name == self.parameter)
            .map(|(_, id)| id.into_owned())
    }

    /// The answer that accepts a request, with this name of it.
    pub fn accepted_as(&self, act: Act, id: &str) -> Act {
        let Act::Answer { status, headers, body } = act else { return act };
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body[self.id.trim_start_matches('/')] = id.into();
        Act::Answer { status, headers, body: body.to_string() }
    }

    /// That nothing is known yet.
    pub fn not_yet(&self) -> Act {
        Act::ok(&self.not_yet)
    }

    /// What it says of a request that carried so many events, of which it took those that are not bad.
    pub fn of(&self, is_bad: &[bool]) -> Act {
        let bad: Vec<usize> = (0..is_bad.len()).filter(|event| is_bad[*event]).collect();
        if bad.is_empty() {
            return Act::ok(&self.all_taken);
        }
        let (list, index, count) = &self.rows;
        let mut answer = self.in_part.clone();
        let rows = answer.pointer_mut(list).and_then(Value::as_array_mut).unwrap();
        rows.truncate(1);
        rows[0][count.as_str()] = json!(bad.len().to_string());
        rows[0][index.as_str()] = json!(bad);
        Act::ok(&answer.to_string())
    }
}
