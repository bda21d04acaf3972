//! Parameter → field: what today's template makes of a request, one line a parameter.

use serde_json::{Value, json};

use crate::domain::postback::{Fault, RawRequest};
use crate::ingest::postback::Network;
use crate::template::source::params::Params;

/// The mapping of a stored request by its source's template as it is today.
pub fn of_stored(network: &Network, raw: &RawRequest) -> Value {
    of(network, &network.read(raw.query(), raw))
}

/// The mapping of parameters, or why there are none.
pub fn of(network: &Network, params: &Result<Params, Fault>) -> Value {
    match params {
        Ok(params) => {
            let lines: Vec<Value> = network
                .template
                .explain(params)
                .into_iter()
                .map(|line| {
                    json!({
                        "param": line.param,
                        "came": line.came,
                        "field": line.field.map(|field| if field == "params" { "kept under its name" } else { field }),
                        "taken": line.verdict == "taken",
                        "verdict": line.verdict,
                    })
                })
                .collect();
            json!({"template": network.template.name(), "lines": lines, "notes": params.notes, "fault": null})
        }
        Err(fault) => json!({
            "template": network.template.name(),
            "lines": [],
            "notes": [],
            "fault": {"reason": fault.reason, "hint": fault.hint},
        }),
    }
}
