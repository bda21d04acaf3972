//! What a platform certainly refuses is not sent: requirements on the finished payload, in words a person reads.

use rust_decimal::Decimal;

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
    /// Whether a recorded click would bring what is required.
    pub(crate) fn is_found_by_click(&self) -> bool {
        self.requirement.from_click
    }

    /// Why this payload is not to be sent, if so. Names the field.
    pub(crate) fn refusal(&self, event_name: &str, written: &RenderedPayload) -> Option<String> {
        let requirement = &self.requirement;
        if !requirement.events.is_empty() && !requirement.events.iter().any(|event| event == event_name) {
            return None;
        }
        let found = |place: &Option<usize>| written.members.get((*place)?)?.clone();
        let why = &requirement.why;
        match &requirement.test {
            RequirementTest::Any(pointers) => {
                let none = self.places.iter().all(|place| found(place).is_none());
                none.then(|| format!("none of {} is known: {why}", names(pointers.iter())))
            }
            RequirementTest::All(pointers) => {
                let absent = pointers.iter().zip(&self.places).filter(|(_, place)| found(place).is_none());
                let absent: Vec<&String> = absent.map(|(pointer, _)| pointer).collect();
                let verb = if absent.len() == 1 { "is" } else { "are" };
                (!absent.is_empty()).then(|| format!("{} {verb} missing: {why}", names(absent.into_iter())))
            }
            RequirementTest::AtLeast(pointer, least) => {
                let range = self.places.first().and_then(found)?;
                let text = std::str::from_utf8(written.bytes.get(range)?).ok()?.trim_matches('"');
                let number: Decimal = text.parse().ok()?;
                (number < *least)
                    .then(|| format!("{} is {text}, below {least}: {why}", names(std::iter::once(pointer))))
            }
        }
    }
}

/// `/data/0/user_data/em` → `user_data.em`: the list and its number are the same for every event.
fn names<'a>(pointers: impl Iterator<Item = &'a String>) -> String {
    let name = |pointer: &String| {
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        let from = steps.iter().rposition(|step| step.parse::<usize>().is_ok()).map_or(0, |at| at + 1);
        steps.get(from..).filter(|rest| !rest.is_empty()).unwrap_or(&steps).join(".")
    };
    pointers.map(name).collect::<Vec<_>>().join(", ")
}
