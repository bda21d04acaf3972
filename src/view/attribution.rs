//! Which click earned a conversion, and the clicks that did not.

use serde::Serialize;

use crate::domain::attribution::{Attribution, Considered, Reading};
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::time::Time;

/// How the click was found, or that none was.
#[derive(Serialize)]
pub struct AttributionView<'a> {
    /// `matched`, `expired` or `unmatched`.
    state: &'static str,
    /// The click id as it was received.
    raw_click_id: Option<&'a str>,
    click_id: Option<&'a ClickId>,
    /// How the received id names the click: `exact`, `trimmed`, `decoded_twice` or `repeated`.
    match_method: Option<&'static str>,
    /// Where no click id was received and one of the visitor's clicks was chosen: whose, and by which model.
    visitor: Option<&'a VisitorId>,
    model: Option<&'static str>,
}

impl<'a> AttributionView<'a> {
    pub fn of(attribution: &'a Attribution) -> AttributionView<'a> {
        let reading = match attribution {
            Attribution::Matched { reading, .. } | Attribution::Expired { reading, .. } => Some(*reading),
            _ => None,
        };
        let chosen = match attribution {
            Attribution::Visitor { visitor, model, .. } => Some((visitor, *model)),
            _ => None,
        };
        AttributionView {
            state: attribution.as_str(),
            raw_click_id: attribution.given(),
            click_id: attribution.click(),
            match_method: reading.map(Reading::as_str),
            visitor: chosen.map(|(visitor, _)| visitor),
            model: chosen.map(|(_, model)| model.as_str()),
        }
    }
}

/// A click that might have earned the conversion and did not.
#[derive(Serialize)]
pub struct CandidateView<'a> {
    click_id: &'a ClickId,
    time: Time,
    /// Why not.
    reason: &'a str,
}

impl<'a> CandidateView<'a> {
    pub fn of(candidate: &'a Considered) -> CandidateView<'a> {
        CandidateView { click_id: &candidate.click, time: candidate.at, reason: &candidate.why }
    }
}
