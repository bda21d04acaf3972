//! What a platform certainly refuses is not sent: requirements on the finished request.

use rust_decimal::Decimal;
use serde_json::Value as Json;

use crate::domain::skip::{ClickParts, LowValue, MissingValue, SkipReason};
use crate::template::destination::parameters::{ParameterTable, RenderedParameters};
use crate::template::destination::payload::{Payload, RenderedPayload};
use crate::template::toml_doc::text::Text;

/// One requirement of a template's `[[require]]`.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    /// The platform's names of the events it is for; empty: all.
    pub events: Vec<String>,
    /// In which requests it is looked at; `None`: in all.
    pub when: Option<RequiredWhen>,
    pub test: RequirementTest,
    /// Why the platform refuses it otherwise.
    pub why: String,
    /// What to do about it; `None`: its code says.
    pub hint: Option<String>,
    /// Whether it is a recorded click that brings what is required.
    pub from_click: bool,
    pub line: usize,
}

/// Places are JSON pointers into the payload (`/user/em`), parameters of the query (`?id`) and of a form (`form:id`).
#[derive(Debug, Clone)]
pub(crate) enum RequirementTest {
    /// All of at least one of these groups are there.
    AnyOf(Vec<Vec<String>>),
    /// Each of these is there.
    All(Vec<String>),
    /// Where this number is there, it is not below.
    AtLeast(String, Decimal),
}

/// What a request has of which something more is required.
#[derive(Debug, Clone)]
pub(crate) struct RequiredWhen {
    /// A place that is there.
    pub at: String,
    /// What is there. `None`: anything.
    pub equals: Option<String>,
}

impl RequiredWhen {
    fn holds(&self, found: Option<&str>) -> bool {
        let Some(found) = found else { return false };
        // What is in a payload is JSON, a parameter is its own text.
        let json: Option<Json> = serde_json::from_str(found).ok();
        let text = json.as_ref().and_then(Json::as_str).unwrap_or(found);
        self.equals.as_ref().is_none_or(|equals| equals == text)
    }
}

impl Requirement {
    /// Those of the test, and then that of the condition.
    fn places(&self) -> impl Iterator<Item = &String> {
        let groups = match &self.test {
            RequirementTest::AnyOf(groups) => groups.as_slice(),
            RequirementTest::All(places) => std::slice::from_ref(places),
            RequirementTest::AtLeast(_, _) => &[],
        };
        let number = match &self.test {
            RequirementTest::AtLeast(place, _) => Some(place),
            _ => None,
        };
        groups.iter().flatten().chain(number).chain(self.when.as_ref().map(|when| &when.at))
    }
}

/// The parts of a request in which requirements have their places.
pub(crate) struct RequestParts<'a> {
    /// `None` where the request has no payload.
    pub payload: Option<&'a mut Payload>,
    pub query: &'a ParameterTable,
    pub form: &'a ParameterTable,
}

/// A request's parts, rendered.
pub(crate) struct WrittenParts<'a> {
    pub payload: Option<&'a RenderedPayload>,
    pub query: &'a RenderedParameters<'a>,
    pub form: &'a RenderedParameters<'a>,
}

/// A place that a template can produce, by its number there.
#[derive(Debug, Clone, Copy)]
enum RequiredPlace {
    Payload(usize),
    Query(usize),
    Form(usize),
}

impl RequestParts<'_> {
    fn find(&mut self, place: &str) -> Option<RequiredPlace> {
        if let Some(name) = place.strip_prefix('?') {
            return self.query.number(name).map(RequiredPlace::Query);
        }
        if let Some(name) = place.strip_prefix("form:") {
            return self.form.number(name).map(RequiredPlace::Form);
        }
        self.payload.as_mut()?.watch(place).map(RequiredPlace::Payload)
    }
}

impl WrittenParts<'_> {
    /// What is there, as it is written: a text of a payload in its quotes.
    fn at(&self, place: RequiredPlace) -> Option<&str> {
        match place {
            RequiredPlace::Query(number) => self.query.value(number),
            RequiredPlace::Form(number) => self.form.value(number),
            RequiredPlace::Payload(number) => {
                let payload = self.payload?;
                let range = payload.members.get(number)?.clone()?;
                std::str::from_utf8(payload.bytes.get(range)?).ok()
            }
        }
    }
}

/// A payload, if the request has one, and what must be true of the request before it is sent.
pub(crate) struct EventBody {
    pub payload: Option<Payload>,
    pub requirements: Vec<LocatedRequirement>,
}

/// A requirement, with its places found in one event's request.
pub(crate) struct LocatedRequirement {
    requirement: Requirement,
    /// In the order of the requirement's.
    places: Vec<Option<RequiredPlace>>,
}

/// Finds the places of every requirement; also says which of them, and of other places that are named, the request does
/// not have at all.
pub(crate) fn bind(
    requirements: &[Requirement],
    named: &[Text],
    mut parts: RequestParts<'_>,
) -> (Vec<LocatedRequirement>, Vec<(usize, String)>) {
    let unnamed = named.iter().filter(|place| parts.find(&place.value).is_none());
    let mut unknown: Vec<(usize, String)> = unnamed.map(|place| (place.line, place.value.clone())).collect();
    let mut bound = Vec::with_capacity(requirements.len());
    for requirement in requirements {
        let mut places = Vec::new();
        for place in requirement.places() {
            let found = parts.find(place);
            if found.is_none() {
                unknown.push((requirement.line, place.clone()));
            }
            places.push(found);
        }
        bound.push(LocatedRequirement { requirement: requirement.clone(), places });
    }
    (bound, unknown)
}

/// As [`bind`], of those requirements alone that can be met: a change need not have what an event has.
pub(crate) fn bind_found(requirements: &[Requirement], parts: RequestParts<'_>) -> Vec<LocatedRequirement> {
    let (mut bound, _) = bind(requirements, &[], parts);
    bound.retain(|located| {
        let mut found = located.places.iter().map(Option::is_some);
        match located.requirement.test {
            RequirementTest::AnyOf(_) => found.any(|found| found),
            RequirementTest::All(_) | RequirementTest::AtLeast(..) => found.all(|found| found),
        }
    });
    bound
}

impl LocatedRequirement {
    /// Why this request is not to be sent, if so. `click`: what a recorded click would bring.
    pub(crate) fn refusal(
        &self,
        event_name: &str,
        written: &WrittenParts<'_>,
        click: impl FnOnce() -> ClickParts,
    ) -> Option<SkipReason> {
        let requirement = &self.requirement;
        if !requirement.events.is_empty() && !requirement.events.iter().any(|event| event == event_name) {
            return None;
        }
        let found = |place: &Option<RequiredPlace>| written.at((*place)?);
        if requirement.when.as_ref().is_some_and(|when| !when.holds(self.places.last().and_then(found))) {
            return None;
        }
        let why = requirement.why.clone();
        let (fields, any): (Vec<String>, bool) = match &requirement.test {
            RequirementTest::AnyOf(groups) => {
                let mut places = self.places.iter();
                let is_whole = |group: &Vec<String>| {
                    let absent = places.by_ref().take(group.len()).filter(|place| found(place).is_none());
                    absent.count() == 0
                };
                let whole = groups.iter().map(is_whole).filter(|is_whole| *is_whole).count();
                let names = |group: &Vec<String>| {
                    group.iter().map(|place| name(place)).collect::<Vec<_>>().join(" with ")
                };
                (groups.iter().filter(|_| whole == 0).map(names).collect(), true)
            }
            RequirementTest::All(all) => {
                let absent = all.iter().zip(&self.places).filter(|(_, place)| found(place).is_none());
                (absent.map(|(place, _)| name(place)).collect(), false)
            }
            RequirementTest::AtLeast(place, least) => {
                let value = self.places.first().and_then(found)?.trim_matches('"');
                let number: Decimal = value.parse().ok()?;
                let (value, least_text) = (value.to_owned(), least.to_string());
                let low = || LowValue { field: name(place), value, least: least_text, why };
                return (number < *least).then(|| SkipReason::ValueTooLow(Box::new(low())));
            }
        };
        if fields.is_empty() {
            return None;
        }
        let click = requirement.from_click.then(click);
        let hint = requirement.hint.clone();
        Some(SkipReason::PayloadIncomplete(Box::new(MissingValue { fields, any, why, click, hint })))
    }
}

/// `/data/0/user_data/em` → `user_data.em`: the list and its number are the same for every event. `?id` and `form:id`
/// are `id`.
fn name(place: &str) -> String {
    if let Some(parameter) = place.strip_prefix('?').or_else(|| place.strip_prefix("form:")) {
        return parameter.to_owned();
    }
    let steps: Vec<&str> = place.split('/').skip(1).collect();
    let from = steps.iter().rposition(|step| step.parse::<usize>().is_ok()).map_or(0, |at| at + 1);
    steps.get(from..).filter(|rest| !rest.is_empty()).unwrap_or(&steps).join(".")
}
