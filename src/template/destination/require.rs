//! What a platform certainly refuses is not sent: requirements on the finished payload.

use rust_decimal::Decimal;

use crate::domain::skip::{ClickParts, LowValue, MissingValue, SkipReason};
use crate::template::destination::payload::{Payload, RenderedPayload};

/// One requirement of a template's `[[require]]`.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    /// The platform's names of the events it is for; empty: all.
    pub events: Vec<String>,
    pub test: RequirementTest,
    /// Why the platform refuses it otherwise.
    pub why: String,
    /// Whether it is a recorded click that brings what is required.
    pub from_click: bool,
    pub line: usize,
}

/// Places are JSON pointers into the payload.
#[derive(Debug, Clone)]
pub(crate) enum RequirementTest {
    /// At least one of these is there.
    Any(Vec<String>),
    /// Each of these is there.
    All(Vec<String>),
    /// Where this number is there, it is not below.
    AtLeast(String, Decimal),
}

impl Requirement {
    fn pointers(&self) -> &[String] {
        match &self.test {
            RequirementTest::Any(pointers) | RequirementTest::All(pointers) => pointers,
            RequirementTest::AtLeast(pointer, _) => std::slice::from_ref(pointer),
        }
    }
}

/// A requirement, with its places found in one payload.
pub(crate) struct LocatedRequirement {
    requirement: Requirement,
    places: Vec<Option<usize>>,
}

/// Finds the places of every requirement; also says which pointers the payload does not have at all.
pub(crate) fn bind(
    requirements: &[Requirement],
    payload: &mut Payload,
) -> (Vec<LocatedRequirement>, Vec<(usize, String)>) {
    let mut unknown = Vec::new();
    let mut bound = Vec::with_capacity(requirements.len());
    for requirement in requirements {
        let mut places = Vec::new();
        for pointer in requirement.pointers() {
            let place = payload.watch(pointer);
            if place.is_none() {
                unknown.push((requirement.line, pointer.clone()));
            }
            places.push(place);
        }
        bound.push(LocatedRequirement { requirement: requirement.clone(), places });
    }
    (bound, unknown)
}

impl LocatedRequirement {
    /// Why this payload is not to be sent, if so. `click`: what a recorded click would bring.
    pub(crate) fn refusal(
        &self,
        event_name: &str,
        written: &RenderedPayload,
        click: impl FnOnce() -> ClickParts,
    ) -> Option<SkipReason> {
        let requirement = &self.requirement;
        if !requirement.events.is_empty() && !requirement.events.iter().any(|event| event == event_name) {
            return None;
        }
        let found = |place: &Option<usize>| written.members.get((*place)?)?.clone();
        let why = requirement.why.clone();
        let (fields, any): (Vec<String>, bool) = match &requirement.test {
            RequirementTest::Any(pointers) => {
                let none = self.places.iter().all(|place| found(place).is_none());
                (pointers.iter().filter(|_| none).map(|pointer| name(pointer)).collect(), true)
            }
            RequirementTest::All(pointers) => {
                let absent = pointers.iter().zip(&self.places).filter(|(_, place)| found(place).is_none());
                (absent.map(|(pointer, _)| name(pointer)).collect(), false)
            }
            RequirementTest::AtLeast(pointer, least) => {
                let range = self.places.first().and_then(found)?;
                let value = std::str::from_utf8(written.bytes.get(range)?).ok()?.trim_matches('"');
                let number: Decimal = value.parse().ok()?;
                let (value, least_text) = (value.to_owned(), least.to_string());
                let low = || LowValue { field: name(pointer), value, least: least_text, why };
                return (number < *least).then(|| SkipReason::ValueTooLow(Box::new(low())));
            }
        };
        if fields.is_empty() {
            return None;
        }
        let click = requirement.from_click.then(click);
        Some(SkipReason::PayloadIncomplete(Box::new(MissingValue { fields, any, why, click })))
    }
}

/// `/data/0/user_data/em` → `user_data.em`: the list and its number are the same for every event.
fn name(pointer: &str) -> String {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let from = steps.iter().rposition(|step| step.parse::<usize>().is_ok()).map_or(0, |at| at + 1);
    steps.get(from..).filter(|rest| !rest.is_empty()).unwrap_or(&steps).join(".")
}
