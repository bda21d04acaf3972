//! What one account's words mean, over its template: `status` and `events` of a `[[source]]`.

use crate::domain::event::EventName;
use crate::domain::status::Status;
use crate::template::diagnostic::did_you_mean;
use crate::template::source::definition::{Field, SourceTemplate};
use crate::template::source::events::words;
use crate::template::toml_doc::table::Table;
use crate::template::typed_text::event_name;

/// Of a shorter name any other is near.
const SHORTEST_TYPO: usize = 6;

/// The network's words, in lower case, and what each means.
type Meanings<T> = Vec<(String, T)>;

/// The account's own words of statuses and of events. Words that the template reads nowhere are warned of.
pub fn read(table: &Table<'_>, template: Option<&SourceTemplate>) -> (Meanings<Status>, Meanings<EventName>) {
    let statuses = Status::ALL.map(|status| (status.as_str(), status));
    let statuses = words(table, "status", |text| text.one_of(&statuses));
    let events = words(table, "events", event_name);
    for (key, field, is_empty) in
        [("status", Field::Status, statuses.is_empty()), ("events", Field::Event, events.is_empty())]
    {
        let Some(template) = template.filter(|template| !is_empty && !template.reads(field)) else {
            continue;
        };
        let what = format!(
            "`{key}` in [[source]]: the template `{}` reads no {} from postbacks, so that none of these words is ever \
             looked up",
            template.name(),
            field.name(),
        );
        let hint = format!("leave `{key}` out, or map `{}` in a template of your own", field.name());
        table.warning(key, what, hint);
    }
    for (word, event) in &events {
        let event = event.as_str();
        let is_custom = event.len() >= SHORTEST_TYPO && !EventName::STANDARD.contains(&event);
        if let Some(near) = is_custom.then(|| did_you_mean(event, EventName::STANDARD)).flatten() {
            let what =
                format!("`events` in [[source]]: `{word}` is the event `{event}`, which is none of ours");
            let hint = format!("did you mean `{near}`? An event of another name is sent on as a custom one");
            table.warning("events", what, hint);
        }
    }
    (statuses, events)
}
