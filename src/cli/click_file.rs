//! A click as a JSON file, in the words of `POST /api/v1/clicks`: what `preview --click` reads.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::click::{Click, Pairs, Trait, Traits};
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::problem::{Problem, did_you_mean};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClickFile {
    click_id: Option<String>,
    time: Option<Time>,
    landing_url: Option<String>,
    referrer: Option<String>,
    ip: Option<std::net::IpAddr>,
    user_agent: Option<String>,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    cookies: Map<String, Value>,
    #[serde(default)]
    sub_ids: Map<String, Value>,
    #[serde(default)]
    customer: Map<String, Value>,
}

/// Reads the click in the file at `path`, recorded `now`. Without a `click_id` it is `otherwise`.
///
/// # Errors
/// When the file is not such a JSON document, naming what is wrong and where.
pub fn read(path: &Path, otherwise: ClickId, now: Time) -> Result<Click, Problem> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(format!("the click cannot be read: {error}"), "name a JSON file").in_file(&file)
    })?;
    parse(&text, otherwise, now).map_err(|problem| Problem { at: file, ..problem })
}

fn parse(text: &str, otherwise: ClickId, now: Time) -> Result<Click, Problem> {
    let file: ClickFile = serde_json::from_str(text).map_err(|error| {
        let hint =
            "write it as for POST /api/v1/clicks: {\"click_id\": …, \"ip\": …, \"params\": {\"fbclid\": …}}";
        Problem::new(format!("the click is not understood: {error}"), hint)
    })?;
    let id = match &file.click_id {
        Some(id) => ClickId::parse(id)
            .map_err(|error| Problem::new(format!("`{id}` is not a click id"), error.to_string()))?,
        None => otherwise,
    };
    Ok(Click {
        id,
        at: file.time.map_or(now, |told| told.min(now)),
        recorded_at: now,
        landing_url: file.landing_url,
        referrer: file.referrer,
        ip: file.ip,
        user_agent: file.user_agent,
        params: pairs("params", file.params)?,
        cookies: pairs("cookies", file.cookies)?,
        sub_ids: pairs("sub_ids", file.sub_ids)?,
        customer: traits(file.customer)?,
    })
}

fn pairs(name: &str, map: Map<String, Value>) -> Result<Pairs, Problem> {
    map.into_iter()
        .filter_map(|(key, value)| Some(text(name, &key, value).transpose()?.map(|text| (key, text))))
        .collect()
}

fn traits(map: Map<String, Value>) -> Result<Traits, Problem> {
    let mut traits = Traits::default();
    for (key, value) in map {
        let Some(known) = Trait::parse(&key) else {
            let names = Trait::NAMES.iter().map(|(_, name)| *name);
            let hint = match did_you_mean(&key, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a customer may have: {}", names.collect::<Vec<_>>().join(", ")),
            };
            return Err(Problem::new(format!("unknown trait `{key}` of the customer"), hint));
        };
        if let Some(value) = text("customer", &key, value)? {
            traits.0.insert(known, value);
        }
    }
    Ok(traits)
}

fn text(name: &str, key: &str, value: Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Array(_) | Value::Object(_) => {
            Err(Problem::new(format!("`{name}.{key}` is not a text"), "write it in quotes"))
        }
    }
}
