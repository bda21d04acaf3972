//! The schemas of a template's folder, by which what its stories send is checked.

use crate::template::destination::change_request::CHANGE_FILES;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::late_request::LATE_FILES;
use crate::template::destination::schema::EventSchema;
use crate::template::diagnostic::Problem;

/// A file of one event, of one change, or of one event that is sent late.
pub(crate) struct SchemaFile {
    /// Its name in the folder.
    pub name: &'static str,
    pub schema: EventSchema,
}

/// Those that are there.
pub(crate) struct StorySchemas {
    event: Option<SchemaFile>,
    change: Option<SchemaFile>,
    late: Option<SchemaFile>,
    /// Whether late events have a payload of their own, which the schema of others says nothing of.
    has_late_payload: bool,
}

/// The schema of one event.
pub(crate) const EVENT_SCHEMA: &str = "schema.json";

impl StorySchemas {
    /// Those of a template; what is wrong with one is put to the problems.
    pub(crate) fn of(template: &DestinationTemplate, problems: &mut Vec<Problem>) -> StorySchemas {
        let mut read = |name, schema: Result<Option<EventSchema>, Problem>| {
            let schema = schema.map_err(|problem| problems.push(problem)).ok().flatten();
            schema.map(|schema| SchemaFile { name, schema })
        };
        StorySchemas {
            event: read(EVENT_SCHEMA, template.schema()),
            change: read(CHANGE_FILES.schema, template.change_schema()),
            late: read(LATE_FILES.schema, template.late_schema()),
            has_late_payload: template.has_late_payload(),
        }
    }

    /// That of a request: what has no payload of its own is as an event is.
    pub(crate) fn of_request(&self, part: &EventPart, is_change: bool) -> Option<&SchemaFile> {
        let change = self.change.as_ref().filter(|_| is_change);
        let late = self.late.as_ref().filter(|_| part.is_late);
        let as_events = !(part.is_late && self.has_late_payload);
        change.or(late).or(self.event.as_ref().filter(|_| as_events))
    }

    /// The one of this name, where it is there.
    pub(crate) fn named(&self, name: &str) -> Option<&SchemaFile> {
        [&self.event, &self.change, &self.late].into_iter().flatten().find(|file| file.name == name)
    }
}
