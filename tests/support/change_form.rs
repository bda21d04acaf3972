//! How a platform is informed of changes of what it was sent, by what its template's folder says of that.

use std::collections::BTreeMap;
use std::path::Path;

use postbridge::template::destination::schema::EventSchema;
use serde_json::Value;

use crate::support::expected_request::{ExpectedRequest, inside_of, skeleton_of};

/// What distinguishes a change from an event.
pub struct ChangeForm {
    /// Where changes are sent to another address than events: how.
    pub request: Option<ExpectedRequest>,
    /// Where they do not look like events: how.
    pub schema: Option<EventSchema>,
    /// The members that say the same in every change and depend on the event in an event.
    constants: Vec<(String, Value)>,
    /// The member that says on which occasion it was sent.
    occasion: Option<String>,
    /// The members that say when a change is sent: they are others each time.
    of_now: Vec<String>,
}

impl ChangeForm {
    /// By a template's folder and the text in it; `None` where the platform can be informed of nothing.
    pub fn read(
        folder: &Path,
        toml: &toml::Table,
        settings: &BTreeMap<String, String>,
    ) -> Option<ChangeForm> {
        let changes = toml.get("changes")?;
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
        let envelope = text("change.envelope.json.hbs");
        let of_part = |part| ExpectedRequest::read_of(toml, part, envelope.as_deref(), settings);
        let request = changes.get("request").map(of_part);
        let parse = |text: String| EventSchema::parse("change.schema.json", &text).unwrap();
        let (event, change) = (text("event.json.hbs").unwrap_or_default(), text("change.json.hbs"));
        let differs = |(at, value): &(String, Value)| !value.is_null() && depends_at(&event, at);
        let constants = change.as_deref().map(constants).unwrap_or_default();
        let is_now = |inside: &str| inside.split(' ').next_back() == Some("now");
        let places = |text: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
            let all = inside_of(text).into_iter();
            all.filter(|(_, inside)| wanted(inside)).map(|(at, _)| at).collect()
        };
        Some(ChangeForm {
            request,
            schema: text("change.schema.json").map(parse),
            constants: constants.into_iter().filter(differs).collect(),
            occasion: places(&event, &|inside| inside == "json occasion").pop(),
            of_now: change.as_deref().map(|change| places(change, &is_now)).unwrap_or_default(),
        })
    }

    /// Whether this is a change; `None` where the form does not say so. `elsewhere`: whether it was sent to where changes
    /// are sent.
    pub fn is_change(&self, event: &Value, elsewhere: bool) -> Option<bool> {
        if self.request.is_some() {
            return Some(elsewhere);
        }
        let says = |(at, value): &(String, Value)| event.pointer(at) == Some(value);
        (!self.constants.is_empty()).then(|| self.constants.iter().all(says))
    }

    /// The occasion on which this was sent, where it says so.
    pub fn occasion(&self, event: &Value) -> Option<String> {
        event.pointer(self.occasion.as_ref()?)?.as_str().map(str::to_owned)
    }

    /// Without what is otherwise each time that a change is sent.
    pub fn essence(&self, mut change: Value) -> Value {
        for at in &self.of_now {
            if let Some(now) = change.pointer_mut(at) {
                *now = Value::Null;
            }
        }
        change
    }
}

/// The members of a payload that are the same for every event.
fn constants(template: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves(&skeleton_of(template), "", &mut found);
    found
}

/// Whether a member depends on the event there.
fn depends_at(template: &str, at: &str) -> bool {
    inside_of(template).iter().any(|(known, _)| known == at)
}

fn leaves(value: &Value, at: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| leaves(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| leaves(item, &format!("{at}/{n}"), found));
        }
        Value::String(text) if text.starts_with('@') => {}
        leaf => found.push((at.to_owned(), leaf.clone())),
    }
}

/// What a platform can be informed of after an event, by its template's text.
pub struct ChangeRules {
    pub on_value: String,
    /// By the destination's own choice where there is one.
    pub on_rejected: String,
    /// What a destination may choose in its place.
    pub choice: Option<String>,
    /// Our names of the events that it is about; all where there is none.
    events: Vec<String>,
}

impl ChangeRules {
    /// Those of a built-in template for a destination that makes the choice; `None`: it can be informed of nothing.
    pub fn of(platform: &str) -> Option<ChangeRules> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/destinations").join(platform);
        let toml: toml::Table =
            std::fs::read_to_string(folder.join("destination.toml")).unwrap().parse().unwrap();
        let changes = toml.get("changes")?;
        let word = |name: &str| changes.get(name).and_then(toml::Value::as_str).unwrap_or("none").to_owned();
        let words = |name: &str| {
            let words = changes.get(name).and_then(toml::Value::as_array).into_iter().flatten();
            words.map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let choice = words("on_rejected_choices").pop();
        Some(ChangeRules {
            on_value: word("on_value"),
            on_rejected: choice.clone().unwrap_or_else(|| word("on_rejected")),
            choice,
            events: words("events"),
        })
    }

    /// Whether it can be informed of changes of this event.
    pub fn are_about(&self, event: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|known| known == event)
    }
}
