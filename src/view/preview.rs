//! What `preview` shows: the parameters, the conversion they make, and the requests that would be sent.

use serde::Serialize;
use serde_json::Value;

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{DeliveryState, SentRequest};
use crate::domain::ids::ConversionId;
use crate::domain::postback::Fault;
use crate::domain::remark::Remark;
use crate::template::source::params::Param;
use crate::view::attribution::AttributionView;
use crate::view::conversion::ReportedView;
use crate::view::delivery::skip_code;
use crate::view::pairs::PairsView;
use crate::view::remark::RemarkView;

/// The document of `preview --json`. A quarantined postback has neither conversion nor attribution.
#[derive(Serialize)]
pub struct PreviewView<'a> {
    pub postback: PreviewedPostbackView<'a>,
    pub conversion: Option<PreviewedConversionView<'a>>,
    pub attribution: Option<AttributionView<'a>>,
    pub requests: Vec<PreviewedRequestView<'a>>,
    pub skipped: Vec<PreviewedSkipView<'a>>,
}

/// What would become of the postback.
#[derive(Serialize)]
pub struct PreviewedPostbackView<'a> {
    status: &'static str,
    reason: Option<&'a str>,
    hint: Option<&'a str>,
    parameters: Vec<ParameterView<'a>>,
    /// What was repaired or left out.
    notes: &'a [String],
}

#[derive(Serialize)]
struct ParameterView<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> PreviewedPostbackView<'a> {
    pub fn of(
        fault: Option<&'a Fault>,
        params: &'a [Param],
        notes: &'a [String],
    ) -> PreviewedPostbackView<'a> {
        let parameter = |param: &'a Param| ParameterView { name: &param.name, value: &param.value };
        PreviewedPostbackView {
            status: if fault.is_some() { "quarantined" } else { "accepted" },
            reason: fault.map(|fault| fault.reason.as_str()),
            hint: fault.map(|fault| fault.hint.as_str()),
            parameters: params.iter().map(parameter).collect(),
            notes,
        }
    }
}

/// The conversion that the postback would make.
#[derive(Serialize)]
pub struct PreviewedConversionView<'a> {
    conversion_id: ConversionId,
    #[serde(flatten)]
    reported: ReportedView<'a>,
    /// As the postback names it.
    click_id: Option<&'a str>,
}

impl<'a> PreviewedConversionView<'a> {
    pub fn of(conversion: &'a Conversion) -> PreviewedConversionView<'a> {
        PreviewedConversionView {
            conversion_id: conversion.id,
            reported: ReportedView::of(conversion),
            click_id: conversion.attribution.given(),
        }
    }
}

/// The delivery to one destination.
#[derive(Serialize)]
struct PreviewedDeliveryView<'a> {
    destination: &'a str,
    /// The state that it would have at its turn.
    state: &'static str,
    reason_code: Option<&'static str>,
    reason: Option<&'a str>,
    remarks: Vec<RemarkView>,
}

impl<'a> PreviewedDeliveryView<'a> {
    fn of(destination: &'a str, state: &'a DeliveryState, remarks: &[Remark]) -> PreviewedDeliveryView<'a> {
        PreviewedDeliveryView {
            destination,
            state: state.as_str(),
            reason_code: skip_code(state),
            reason: end_reason(state),
            remarks: RemarkView::all(remarks),
        }
    }
}

/// A request that could be made, also where it would not be sent; its secrets masked.
#[derive(Serialize)]
pub struct PreviewedRequestView<'a> {
    #[serde(flatten)]
    delivery: PreviewedDeliveryView<'a>,
    mode: &'static str,
    method: &'a str,
    url: &'a str,
    headers: PairsView<'a>,
    body: Value,
}

impl<'a> PreviewedRequestView<'a> {
    /// `mode`: whether the destination is live.
    pub fn of(
        (destination, mode): (&'a str, &'static str),
        state: &'a DeliveryState,
        request: &'a SentRequest,
        remarks: &[Remark],
    ) -> PreviewedRequestView<'a> {
        PreviewedRequestView {
            delivery: PreviewedDeliveryView::of(destination, state, remarks),
            mode,
            method: &request.method,
            url: &request.url,
            headers: PairsView::of(&request.headers),
            body: body(request),
        }
    }
}

/// A destination for which no request could be made.
#[derive(Serialize)]
pub struct PreviewedSkipView<'a>(PreviewedDeliveryView<'a>);

impl<'a> PreviewedSkipView<'a> {
    /// `missing`: why there is no request.
    pub fn of(
        destination: &'a str,
        state: &'a DeliveryState,
        missing: &'a str,
        remarks: &[Remark],
    ) -> PreviewedSkipView<'a> {
        let delivery = PreviewedDeliveryView::of(destination, state, remarks);
        PreviewedSkipView(PreviewedDeliveryView { reason: delivery.reason.or(Some(missing)), ..delivery })
    }
}

/// Why a delivery would not be sent at its turn.
pub fn end_reason(state: &DeliveryState) -> Option<&str> {
    match state {
        DeliveryState::Skipped { reason, .. } | DeliveryState::Dead { reason, .. } => Some(reason),
        DeliveryState::Held { .. } | DeliveryState::Waiting { .. } | DeliveryState::Delivered { .. } => None,
    }
}

/// JSON where the body is JSON, else its text; null where there is none.
pub fn body(request: &SentRequest) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&request.body).unwrap_or_else(|_| request.body.as_str().into())
}
