//! What `preview` shows: the parameters, the conversion they make, and the requests that would be sent.

use serde::Serialize;
use serde_json::Value;

use crate::domain::conversion::Conversion;
use crate::domain::delivery::SentRequest;
use crate::domain::ids::{ConversionId, DestinationId};
use crate::domain::postback::VerdictName;
use crate::preview::signature::{PreviewedSignature, SignatureFinding};
use crate::preview::{NoConversion, Preview, PreviewedDelivery};
use crate::template::destination::origins::OriginTable;
use crate::template::source::params::Param;
use crate::template::source::verify::rules::VerifyMode;
use crate::view::conversion::{AttributionView, ReportedView};
use crate::view::reason::{NoteView, ReasonView};
use crate::view::value::PairsView;

/// The document of `preview --json`. A quarantined or ignored postback has neither conversion nor attribution.
#[derive(Serialize)]
pub struct PreviewView<'a> {
    postback: PreviewedPostbackView<'a>,
    conversion: Option<PreviewedConversionView<'a>>,
    attribution: Option<AttributionView<'a>>,
    #[serde(flatten)]
    deliveries: PreviewedDeliveriesView<'a>,
}

impl<'a> PreviewView<'a> {
    pub fn of(preview: &'a Preview) -> PreviewView<'a> {
        let conversion = preview.conversion.as_ref().ok();
        PreviewView {
            postback: PreviewedPostbackView::of(preview),
            conversion: conversion.map(PreviewedConversionView::of),
            attribution: conversion.map(|conversion| AttributionView::of(&conversion.attribution)),
            deliveries: PreviewedDeliveriesView::of(&preview.deliveries),
        }
    }
}

/// What would become of the postback.
#[derive(Serialize)]
struct PreviewedPostbackView<'a> {
    status: &'static str,
    #[serde(flatten)]
    rejected: ReasonView,
    parameters: Vec<ParameterView<'a>>,
    /// What the source would find of its signature; null where it does not look.
    signature: Option<PreviewedSignatureView<'a>>,
    /// What was repaired or left out.
    notes: Vec<NoteView>,
    /// Why no destination would get it, where none would.
    unsent: Option<ReasonView>,
}

/// Whether it would be taken as its network's.
#[derive(Serialize)]
struct PreviewedSignatureView<'a> {
    /// As `[verify] kind` has it.
    kind: &'static str,
    /// The header or parameter that has it.
    name: &'a str,
    /// `enforce`, by which what is refused is quarantined, or `observe`, by which it counts.
    mode: &'static str,
    /// `taken`, `refused`, or `not_shown` where what it is checked by was not given.
    state: &'static str,
    #[serde(flatten)]
    refused: ReasonView,
}

impl<'a> PreviewedSignatureView<'a> {
    fn of(signature: &'a PreviewedSignature) -> PreviewedSignatureView<'a> {
        let (state, refused) = match &signature.finding {
            SignatureFinding::Taken => ("taken", ReasonView::default()),
            SignatureFinding::Refused(problem) => ("refused", ReasonView::of(problem)),
            SignatureFinding::NotShown(_) => ("not_shown", ReasonView::default()),
        };
        let mode =
            VerifyMode::NAMES.iter().find(|(_, mode)| *mode == signature.mode).map_or("", |(word, _)| word);
        let kind = signature.kind;
        PreviewedSignatureView { kind, name: signature.place.name(), mode, state, refused }
    }
}

#[derive(Serialize)]
struct ParameterView<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> PreviewedPostbackView<'a> {
    fn of(preview: &'a Preview) -> PreviewedPostbackView<'a> {
        let parameter = |param: &'a Param| ParameterView { name: &param.name, value: &param.value };
        let (params, none) = (preview.params.as_ref().ok(), preview.conversion.as_ref().err());
        let status = none.map_or(VerdictName::Accepted, NoConversion::verdict).as_str();
        let rejected = match none {
            Some(NoConversion::Quarantined(rejection)) => ReasonView::of(rejection),
            Some(NoConversion::Ignored(reason)) => ReasonView::of(reason),
            None => ReasonView::default(),
        };
        PreviewedPostbackView {
            status,
            rejected,
            parameters: params.into_iter().flat_map(|params| &params.pairs).map(parameter).collect(),
            signature: preview.signature.as_ref().map(PreviewedSignatureView::of),
            notes: NoteView::all(preview.all_notes()),
            unsent: preview.unsent.as_ref().map(ReasonView::of),
        }
    }
}

/// The conversion that the postback would make.
#[derive(Serialize)]
struct PreviewedConversionView<'a> {
    conversion_id: ConversionId,
    #[serde(flatten)]
    reported: ReportedView<'a>,
    /// As the postback names it.
    click_id: Option<&'a str>,
}

impl<'a> PreviewedConversionView<'a> {
    fn of(conversion: &'a Conversion) -> PreviewedConversionView<'a> {
        PreviewedConversionView {
            conversion_id: conversion.id,
            reported: ReportedView::of(conversion),
            click_id: conversion.attribution.given(),
        }
    }
}

/// What destinations would get: the requests that could be made, and the destinations for which none could.
#[derive(Serialize)]
pub struct PreviewedDeliveriesView<'a> {
    requests: Vec<PreviewedRequestView<'a>>,
    skipped: Vec<PreviewedDeliveryView<'a>>,
}

impl<'a> PreviewedDeliveriesView<'a> {
    pub fn of(deliveries: &'a [PreviewedDelivery]) -> PreviewedDeliveriesView<'a> {
        let (mut requests, mut skipped) = (Vec::new(), Vec::new());
        for previewed in deliveries {
            let delivery = PreviewedDeliveryView::of(previewed);
            match &previewed.request {
                Ok(request) => {
                    let mode = previewed.mode.as_str();
                    requests.push(PreviewedRequestView::of(delivery, mode, (request, &previewed.origins)));
                }
                Err(_) => skipped.push(delivery),
            }
        }
        PreviewedDeliveriesView { requests, skipped }
    }
}

/// The delivery to one destination.
#[derive(Serialize)]
struct PreviewedDeliveryView<'a> {
    destination: &'a DestinationId,
    /// The state that it would have at its turn.
    state: &'static str,
    #[serde(flatten)]
    reason: ReasonView,
    remarks: Vec<ReasonView>,
}

impl<'a> PreviewedDeliveryView<'a> {
    fn of(previewed: &'a PreviewedDelivery) -> PreviewedDeliveryView<'a> {
        PreviewedDeliveryView {
            destination: &previewed.destination,
            state: previewed.state.as_str(),
            reason: previewed.reason().as_ref().map(ReasonView::of_undelivered).unwrap_or_default(),
            remarks: ReasonView::all(&previewed.remarks),
        }
    }
}

/// A request that could be made, also where it would not be sent; its secrets masked.
#[derive(Serialize)]
struct PreviewedRequestView<'a> {
    #[serde(flatten)]
    delivery: PreviewedDeliveryView<'a>,
    /// Whether the destination is live.
    mode: &'static str,
    method: &'a str,
    url: &'a str,
    headers: PairsView<'a>,
    body: Value,
    /// By the place of each value in body and parameters, the names that it is made of; none of what the template
    /// writes itself.
    origins: &'a OriginTable,
}

impl<'a> PreviewedRequestView<'a> {
    fn of(
        delivery: PreviewedDeliveryView<'a>,
        mode: &'static str,
        (request, origins): (&'a SentRequest, &'a OriginTable),
    ) -> PreviewedRequestView<'a> {
        PreviewedRequestView {
            delivery,
            mode,
            method: &request.method,
            url: &request.url,
            headers: PairsView::of(&request.headers),
            body: body(request),
            origins,
        }
    }
}

/// JSON where the body is JSON, else its text; null where there is none.
pub fn body(request: &SentRequest) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&request.body).unwrap_or_else(|_| request.body.as_str().into())
}
