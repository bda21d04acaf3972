//! Parameter → field: what today's template makes of a request, one line a parameter.

use serde::Serialize;

use crate::domain::postback::RawRequest;
use crate::domain::rejection::Rejection;
use crate::ingest::postback::Network;
use crate::template::source::explain::{ExplainedField, ExplainedParam, ParamOutcome};
use crate::template::source::params::Params;
use crate::view::reason::{NoteView, ReasonView};

/// What the template `mapping` shows.
#[derive(Serialize)]
pub struct MappingTable {
    template: String,
    lines: Vec<MappingRow>,
    /// What was repaired.
    notes: Vec<NoteView>,
    /// Why there is nothing to show.
    rejected: Option<ReasonView>,
}

#[derive(Serialize)]
struct MappingRow {
    param: String,
    received: String,
    field: Option<&'static str>,
    taken: bool,
    verdict: String,
}

impl MappingRow {
    fn of(explained: ExplainedParam) -> MappingRow {
        let ExplainedParam { param, received_text, field, outcome } = explained;
        let field = field.map(|field| match field {
            ExplainedField::Mapped(name) => name,
            ExplainedField::KeptByName => "kept under its name",
        });
        let (taken, verdict) = (outcome == ParamOutcome::Taken, outcome.sentence());
        MappingRow { param, received: received_text, field, taken, verdict }
    }
}

/// The mapping of a stored request by its source's template as it is today.
pub fn of_stored(network: &Network, raw: &RawRequest) -> MappingTable {
    of(network, &network.read(raw.query(), raw))
}

/// The mapping of parameters, or why there are none.
pub fn of(network: &Network, params: &Result<Params, Rejection>) -> MappingTable {
    let template = network.template.name().to_owned();
    match params {
        Ok(params) => {
            let lines =
                network.template.explain(&network.binding, params).into_iter().map(MappingRow::of).collect();
            let notes = NoteView::all(&params.notes);
            MappingTable { template, lines, notes, rejected: None }
        }
        Err(rejection) => MappingTable {
            template,
            lines: Vec::new(),
            notes: Vec::new(),
            rejected: Some(ReasonView::of(rejection)),
        },
    }
}
