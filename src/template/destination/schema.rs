//! The schema of one event, as the platform's own page gives it: what a template writes is checked against it.

use jsonschema::{Draft, Validator};
use serde_json::Value as Json;

use crate::template::destination::envelope::EventPart;
use crate::template::diagnostic::Problem;

/// A `schema.json`, ready to check events.
pub struct EventSchema {
    validator: Validator,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// The JSON pointer of the member; empty for the event as a whole.
    pub at: String,
    /// The keyword of the schema that it breaks, as in `required`.
    pub keyword: String,
    /// What is wrong, for a person.
    pub what: String,
    /// Where a number is out of bounds, whether it is within them in another unit of time.
    pub is_in_another_unit: bool,
}

/// Smaller numbers are no times since 1970, whatever the unit.
const LEAST_TIME: i64 = 1_000_000;

/// How many of one unit of time are in a larger one.
const UNIT_STEPS: [i64; 2] = [1_000, 1_000_000];

impl EventSchema {
    /// Reads the schema of the file at `place`.
    ///
    /// # Errors
    /// It is not JSON, or not a schema.
    pub fn parse(place: &str, text: &str) -> Result<EventSchema, Problem> {
        let schema: Json = serde_json::from_str(text).map_err(|error| {
            Problem::new(format!("it is not JSON: {error}"), "a schema is a JSON document")
                .at(place, error.line().max(1))
        })?;
        let validator = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        let validator = validator.build(&schema).map_err(|error| {
            let what = format!("it is not a schema: {error}");
            Problem::new(what, "see https://json-schema.org/draft/2020-12").in_file(place)
        })?;
        Ok(EventSchema { validator })
    }

    /// Everything that is wrong with an event.
    pub fn faults(&self, event: &Json) -> Vec<SchemaFault> {
        let fault = |error: jsonschema::ValidationError<'_>| SchemaFault {
            at: error.instance_path().to_string(),
            keyword: error.kind().keyword().to_owned(),
            what: error.to_string(),
            is_in_another_unit: self.fits_in_another_unit(event, &error),
        };
        self.validator.iter_errors(event).map(fault).collect()
    }

    /// Whether the number that is out of bounds is none if it is a thousand or a million times more or less.
    fn fits_in_another_unit(&self, event: &Json, error: &jsonschema::ValidationError<'_>) -> bool {
        let bounds = ["maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"];
        let (at, keyword) = (error.instance_path().to_string(), error.kind().keyword().to_owned());
        let number = error.instance().as_i64().filter(|number| number.abs() > LEAST_TIME);
        let Some(number) = number.filter(|_| bounds.contains(&keyword.as_str())) else { return false };
        let units = UNIT_STEPS.into_iter().flat_map(|step| [number / step, number.saturating_mul(step)]);
        units.into_iter().any(|number| {
            let mut other = event.clone();
            if let Some(member) = other.pointer_mut(&at) {
                *member = Json::from(number);
            }
            self.validator.iter_errors(&other).all(|error| error.instance_path().to_string() != at)
        })
    }
}

/// One event as a request carries it; of a request without a payload its parameters, each a text.
pub fn event_of(part: &EventPart) -> Json {
    let object = |pairs: &[u8]| {
        let pairs = form_urlencoded::parse(pairs);
        Json::Object(pairs.map(|(name, value)| (name.into_owned(), Json::from(value.into_owned()))).collect())
    };
    match serde_json::from_slice(&part.body) {
        Ok(event) => event,
        Err(_) if !part.body.is_empty() => object(&part.body),
        Err(_) => object(part.head.url.split_once('?').map_or("", |(_, query)| query).as_bytes()),
    }
}
