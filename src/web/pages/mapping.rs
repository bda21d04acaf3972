//! Parameter → field: what today's template makes of a request, one line a parameter.

use serde::Serialize;

use crate::domain::postback::{Fault, RawRequest};
use crate::ingest::postback::Network;
use crate::template::source::definition::Explained;
use crate::template::source::params::Params;

/// What the template `mapping` shows.
#[derive(Serialize)]
pub struct Mapping {
    template: String,
    lines: Vec<Line>,
    /// What was repaired.
    notes: Vec<String>,
    fault: Option<FaultText>,
}

/// Why there is nothing to show, and the fix.
#[derive(Serialize)]
pub struct FaultText {
    reason: String,
    hint: String,
}

impl FaultText {
    pub fn of(fault: &Fault) -> FaultText {
        FaultText { reason: fault.reason.clone(), hint: fault.hint.clone() }
    }
}

#[derive(Serialize)]
struct Line {
    param: String,
    received: String,
    field: Option<&'static str>,
    taken: bool,
    verdict: String,
}

impl Line {
    fn of(explained: Explained) -> Line {
        let Explained { param, received_text, field, verdict } = explained;
        let field = field.map(|field| if field == "params" { "kept under its name" } else { field });
        Line { param, received: received_text, field, taken: verdict == "taken", verdict }
    }
}

/// The mapping of a stored request by its source's template as it is today.
pub fn of_stored(network: &Network, raw: &RawRequest) -> Mapping {
    of(network, &network.read(raw.query(), raw))
}

/// The mapping of parameters, or why there are none.
pub fn of(network: &Network, params: &Result<Params, Fault>) -> Mapping {
    let template = network.template.name().to_owned();
    match params {
        Ok(params) => {
            let lines = network.template.explain(params).into_iter().map(Line::of).collect();
            Mapping { template, lines, notes: params.notes.clone(), fault: None }
        }
        Err(fault) => {
            Mapping { template, lines: Vec::new(), notes: Vec::new(), fault: Some(FaultText::of(fault)) }
        }
    }
}
