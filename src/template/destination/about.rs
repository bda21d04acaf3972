//! What a destination template says about itself: how sure it is, and what its platform asks for.

use crate::domain::change_rules::{OnRejected, OnValue};
use crate::domain::expiry::AgeLimits;
use crate::template::destination::change_request::CHANGE_FILES;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::expression::Expression;
use crate::template::destination::late_request::LATE_FILES;
use crate::template::destination::request_variant::RequestVariant;
use crate::template::destination::schema::EventSchema;
use crate::template::diagnostic::Problem;
use crate::template::provenance::{self, FactDoubt, PlatformFact};

/// The helpers that write a time, and the unit that each gives.
const TIME_UNITS: [(&str, &str); 4] =
    [("unix", "seconds"), ("unix_ms", "milliseconds"), ("unix_us", "microseconds"), ("rfc3339", "RFC 3339")];

impl DestinationTemplate {
    /// Where the template's facts are from, in the order of the file.
    pub fn facts(&self) -> &[PlatformFact] {
        &self.file.facts
    }

    /// Whether nothing that it needs to be right is in doubt.
    pub fn is_verified(&self) -> bool {
        provenance::is_verified(self.facts())
    }

    /// What of its facts is in doubt.
    pub fn doubts(&self) -> Vec<FactDoubt> {
        provenance::doubts(self.facts())
    }

    /// How its requests say who sends them: the words of `[request.auth]`, `none` where nothing does.
    pub fn auth_kinds(&self) -> Vec<&'static str> {
        let kinds: Vec<_> = self.auth().iter().map(|auth| auth.kind()).collect();
        if kinds.is_empty() { vec!["none"] } else { kinds }
    }

    /// In what the platform is given the time of an event; `None` where no helper of times writes it.
    pub fn time_unit(&self) -> Option<&'static str> {
        let is_written_by = |helper: &str| {
            self.any(&|expression| match expression {
                Expression::Call(call) if call.helper.name == helper => {
                    call.arguments.iter().any(|argument| argument.any(&is_event_time))
                }
                _ => false,
            })
        };
        TIME_UNITS.into_iter().find(|(helper, _)| is_written_by(helper)).map(|(_, unit)| unit)
    }

    /// The schema of one event, where the folder has one.
    ///
    /// # Errors
    /// It is not JSON, or not a schema.
    pub fn schema(&self) -> Result<Option<EventSchema>, Problem> {
        self.read_schema("schema.json", self.schema.as_deref())
    }

    /// The schema of one change, where changes have one of their own.
    ///
    /// # Errors
    /// It is not JSON, or not a schema.
    pub fn change_schema(&self) -> Result<Option<EventSchema>, Problem> {
        self.read_schema(CHANGE_FILES.schema, self.change_schema.as_deref())
    }

    /// The schema of one event that is sent late, where such events have one of their own.
    ///
    /// # Errors
    /// It is not JSON, or not a schema.
    pub fn late_schema(&self) -> Result<Option<EventSchema>, Problem> {
        self.read_schema(LATE_FILES.schema, self.late_schema.as_deref())
    }

    fn read_schema(&self, file: &str, text: Option<&str>) -> Result<Option<EventSchema>, Problem> {
        let place = format!("{}/{file}", self.place);
        text.map(|text| EventSchema::parse(&place, text)).transpose()
    }

    /// Whether an event that is sent late has a payload of its own.
    pub(crate) fn has_late_payload(&self) -> bool {
        self.late.as_ref().is_some_and(RequestVariant::has_body)
    }

    /// How long ago an event happened that is sent in another way, in milliseconds; `None`: all are sent in one.
    pub fn late_after_ms(&self) -> Option<i64> {
        self.file.late.as_ref().map(|late| late.after_ms)
    }

    /// What `[changes]` has become of changes, in its words; empty without the table.
    pub fn words_of_changes(&self) -> Vec<&'static str> {
        let spec = &self.file.changes;
        if spec.line == 0 {
            return Vec::new();
        }
        let all = spec.all_on_rejected();
        let by_status = all.contains(&OnRejected::Status);
        let restates = (spec.rules.on_value == OnValue::Restate && !by_status).then_some("restate");
        restates.into_iter().chain(all.into_iter().map(OnRejected::as_str)).collect()
    }

    /// Its folder, as problems name it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How old an event and its click may be.
    pub fn age_limits(&self) -> AgeLimits {
        AgeLimits { event_ms: self.file.max_age_ms, click_ms: self.file.max_click_age_ms }
    }

    /// How old a click must be before anything of it is sent, in milliseconds.
    pub fn min_click_age_ms(&self) -> Option<i64> {
        self.file.min_click_age_ms
    }

    /// How many things `[[require]]` asks for.
    pub fn requirements(&self) -> usize {
        self.file.requirements.len()
    }

    /// Whether any request names what the platform can know an event again by.
    pub fn names_an_id(&self) -> bool {
        !self.file.dedup_by.is_empty()
            || ["event_id", "transaction_id"].into_iter().any(|name| self.request_names(None, name))
    }
}

fn is_event_time(expression: &Expression) -> bool {
    matches!(expression, Expression::Field(field) if field.name == "event_time")
}
