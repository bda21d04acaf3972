//! A delivery: its state since or until when, the one reason that holds now, and its attempts.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::attempt::{Attempt, AttemptEffect, BatchPlace, EarlierRequest};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, PlatformResponse, ReplyVerdict, SentRequest};
use crate::domain::event::EventName;
use crate::domain::ids::{ConversionId, DestinationId, EventId, SourceId};
use crate::domain::sent::{Confirmation, LaterVerdict, SentEvent};
use crate::domain::time::Time;
use crate::domain::unsent::{self, UnsentContext};
use crate::store::contract::lookup::ListedDelivery;
use crate::view::reason::ReasonView;
use crate::view::schema::{
    AttemptPurposeWord, ConfirmationWord, DeliveryKindWord, DeliveryStateWord, TimeText,
};
use crate::view::value::{MoneyView, PairsView};

/// A delivery without its attempts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub struct DeliveryView<'a> {
    /// `{conversion}~{destination}~{occasion}`: what a retry names.
    id: String,
    #[schemars(with = "String")]
    destination: &'a DestinationId,
    /// `first`, or the number of the change that caused it.
    occasion: String,
    /// What it says of the conversion: `event`, that it happened; `restate` another value of what was sent before;
    /// `retract`, that it does not count; `status`, all of it again with its status.
    #[schemars(with = "DeliveryKindWord")]
    kind: &'static str,
    #[schemars(with = "DeliveryStateWord")]
    state: &'static str,
    /// Those that counted.
    attempts: u32,
    /// Whether the platform may have been sent the event by an attempt whose answer is not known, and may count what is
    /// sent again twice: its template names no time for which it counts a repeat once, or that has passed.
    possible_repeat: bool,
    #[serde(flatten)]
    reason: ReasonView,
    #[serde(flatten)]
    time: StateTime,
    /// How certain it is that the platform took the event; null while it is not delivered.
    #[schemars(with = "Option<ConfirmationWord>")]
    confirmation: Option<&'static str>,
    /// Null where the platform says in its answer whether it takes the event.
    later_verdict: Option<LaterVerdictView<'a>>,
}

/// What a platform says later of a request that it accepted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LaterVerdict")]
struct LaterVerdictView<'a> {
    /// The platform's name of the request.
    request_id: &'a str,
    /// When it accepted the request.
    #[schemars(with = "TimeText")]
    accepted_at: Time,
    /// How often it was asked.
    tries: u32,
    /// When it confirmed that it took the event; null while it has not.
    #[schemars(with = "Option<TimeText>")]
    confirmed_at: Option<Time>,
}

impl<'a> LaterVerdictView<'a> {
    fn of(state: &'a DeliveryState) -> Option<LaterVerdictView<'a>> {
        match state {
            DeliveryState::Confirming { request_id, accepted_at, tries, .. } => {
                let (accepted_at, tries) = (*accepted_at, *tries);
                Some(LaterVerdictView { request_id, accepted_at, tries, confirmed_at: None })
            }
            DeliveryState::Delivered { at: accepted_at, later: Some(later), .. } => {
                let LaterVerdict { request_id, tries, at } = &**later;
                let (accepted_at, tries) = (*accepted_at, *tries);
                Some(LaterVerdictView { request_id, accepted_at, tries, confirmed_at: Some(*at) })
            }
            _ => None,
        }
    }
}

/// The time of a state, named after what happens or happened then.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StateTime {
    Until(#[schemars(with = "TimeText")] Time),
    PollAt(#[schemars(with = "TimeText")] Time),
    Due(#[schemars(with = "TimeText")] Time),
    At(#[schemars(with = "TimeText")] Time),
}

impl<'a> DeliveryView<'a> {
    /// `sent_before`: its destination was sent the conversion on an earlier occasion.
    pub fn of(
        conversion: &Conversion,
        (delivery, sent_before): (&'a Delivery, bool),
        circumstances: &UnsentContext,
    ) -> DeliveryView<'a> {
        let reason = unsent::of_delivery(conversion, (delivery, sent_before), circumstances);
        DeliveryView {
            id: delivery.id(conversion.id).to_string(),
            destination: &delivery.destination,
            occasion: delivery.occasion.to_string(),
            kind: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            possible_repeat: delivery.possible_repeat,
            reason: reason.as_ref().map(ReasonView::of_undelivered).unwrap_or_default(),
            time: StateTime::of(&delivery.state),
            confirmation: delivery.state.confirmation().map(Confirmation::as_str),
            later_verdict: LaterVerdictView::of(&delivery.state),
        }
    }
}

impl StateTime {
    fn of(state: &DeliveryState) -> StateTime {
        match state {
            DeliveryState::Held { until } => StateTime::Until(*until),
            DeliveryState::Waiting { due } => StateTime::Due(*due),
            DeliveryState::Confirming { poll_at, .. } => StateTime::PollAt(*poll_at),
            DeliveryState::Delivered { at, .. }
            | DeliveryState::Dead { at, .. }
            | DeliveryState::Skipped { at, .. } => StateTime::At(*at),
        }
    }
}

/// A delivery as lists show it: with the cornerstones of its conversion and the last attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListedDelivery")]
pub struct ListedDeliveryView<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    #[schemars(with = "String")]
    conversion_id: ConversionId,
    #[schemars(with = "String")]
    event_id: EventId,
    #[schemars(with = "String")]
    source: &'a SourceId,
    #[schemars(with = "String")]
    event: &'a EventName,
    transaction_id: Option<&'a str>,
    /// The conversion's `value` as it is now, which may be another than was sent.
    conversion_value: Option<MoneyView>,
    /// Null before the first one, and where it was skipped when it was planned.
    last_attempt: Option<AttemptView<'a>>,
}

impl<'a> ListedDeliveryView<'a> {
    pub fn of(listed: &'a ListedDelivery, circumstances: &UnsentContext) -> ListedDeliveryView<'a> {
        let conversion = &listed.conversion;
        ListedDeliveryView {
            delivery: DeliveryView::of(conversion, (&listed.delivery, listed.sent_before), circumstances),
            conversion_id: conversion.id,
            event_id: conversion.id.event_id(),
            source: &conversion.source,
            event: &conversion.event,
            transaction_id: conversion.transaction_id.as_deref(),
            conversion_value: conversion.value.map(MoneyView::of),
            last_attempt: listed.last_attempt.as_ref().map(AttemptView::of),
        }
    }
}

/// An attempt with what was sent and what was received.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub struct AttemptView<'a> {
    #[schemars(with = "TimeText")]
    at: Time,
    /// From its turn to the whole answer or the failure; making the request is in it.
    took_ms: u32,
    /// `delivered`, `retry`, `dead`, `park` or `skipped`.
    outcome: &'static str,
    /// Whether another attempt had the delivery by the time this one was recorded: it changed nothing.
    late: bool,
    /// What its request was for: `report`, to report the event; `confirm`, to hear what became of it, which has no other
    /// effect.
    #[schemars(with = "AttemptPurposeWord")]
    purpose: &'static str,
    #[serde(flatten)]
    reason: ReasonView,
    /// What the platform remarked though it accepted the event.
    warnings: &'a [String],
    remarks: Vec<ReasonView>,
    /// What the request said of the conversion; null where the platform certainly did not take it.
    sent: Option<SentView<'a>>,
    /// Null where nothing was sent. Of one that carried several events the body is this event's own part.
    request: Option<RequestView<'a>>,
    /// Null where the request was about this event alone.
    batch: Option<BatchView>,
    /// Null where no answer was received.
    response: Option<ResponseView<'a>>,
    /// The requests of this attempt that carried the event before `request`, oldest first: among more events, where the
    /// answer did not say what became of it, or with a token that was refused. Its part of their bodies was the same.
    earlier_requests: Vec<EarlierRequestView<'a>>,
}

impl<'a> AttemptView<'a> {
    pub fn of(attempt: &'a Attempt) -> AttemptView<'a> {
        let warnings: &[String] = match &attempt.verdict {
            ReplyVerdict::Delivered { warnings, .. } => warnings,
            _ => &[],
        };
        AttemptView {
            at: attempt.at,
            took_ms: attempt.took_ms,
            outcome: attempt.verdict.as_str(),
            late: attempt.effect == AttemptEffect::Late,
            purpose: attempt.purpose.as_str(),
            reason: ReasonView::of_verdict(&attempt.verdict),
            warnings,
            remarks: ReasonView::all(&attempt.remarks),
            sent: attempt.sent.as_deref().map(SentView::of),
            request: attempt.request().map(|request| RequestView::of_event(request, attempt.place)),
            batch: attempt.place.map(BatchView::of),
            response: attempt.answer().map(ResponseView::of),
            earlier_requests: attempt.before().iter().map(EarlierRequestView::of).collect(),
        }
    }
}

/// A request that carried an event before the one that its answer is about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EarlierRequest")]
struct EarlierRequestView<'a> {
    #[schemars(with = "TimeText")]
    at: Time,
    took_ms: u32,
    /// How many it carried.
    events: u32,
    /// At most the first 4 KiB of its body. Null where no answer was received.
    response: Option<ResponseView<'a>>,
}

impl<'a> EarlierRequestView<'a> {
    fn of(larger: &'a EarlierRequest) -> EarlierRequestView<'a> {
        let EarlierRequest { at, took_ms, events, answer } = larger;
        let response = answer.as_ref().map(ResponseView::of);
        EarlierRequestView { at: *at, took_ms: *took_ms, events: *events, response }
    }
}

/// What a request said of its conversion: as it was sent, whatever the conversion is now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sent")]
struct SentView<'a> {
    /// What it said of the conversion, as in `kind` of its delivery.
    #[schemars(with = "DeliveryKindWord")]
    kind: &'static str,
    /// The event's name as the platform calls it.
    event: &'a str,
    /// Null where the request named none.
    value: Option<MoneyView>,
    #[schemars(with = "TimeText")]
    event_time: Time,
    #[schemars(with = "String")]
    event_id: EventId,
    transaction_id: Option<&'a str>,
    /// The click's identifiers that were in the request, by the name of their parameter or cookie.
    ids: PairsView<'a>,
    /// What the template keeps of the answer, by name.
    reply: PairsView<'a>,
}

impl<'a> SentView<'a> {
    fn of(sent: &'a SentEvent) -> SentView<'a> {
        SentView {
            kind: sent.kind.as_str(),
            event: &sent.event,
            value: sent.value.map(MoneyView::of),
            event_time: sent.event_time,
            event_id: sent.event_id,
            transaction_id: sent.transaction_id.as_deref(),
            ids: PairsView::of(&sent.ids),
            reply: PairsView::of(&sent.reply),
        }
    }
}

/// The place of an event in a request that carried several.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Batch")]
struct BatchView {
    /// Which of them it is, counted from 1.
    position: u32,
    /// How many there were.
    events: u32,
}

impl BatchView {
    fn of(place: BatchPlace) -> BatchView {
        BatchView { position: place.position, events: place.events }
    }
}

/// A request as it was sent, its secrets masked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Request")]
pub struct RequestView<'a> {
    method: &'a str,
    url: &'a str,
    /// Name and value, in the order in which they were sent.
    headers: &'a [(String, String)],
    /// Empty where the request has none.
    body: &'a str,
}

impl<'a> RequestView<'a> {
    pub fn of(request: &'a SentRequest) -> RequestView<'a> {
        let SentRequest { method, url, headers, body } = request;
        RequestView { method, url, headers, body }
    }

    /// Of a request that carried several events: one event's own part of the body, for the others are about others.
    fn of_event(request: &'a SentRequest, place: Option<BatchPlace>) -> RequestView<'a> {
        let own = place.map(|place| place.own_part(&request.body).unwrap_or_default());
        RequestView { body: own.unwrap_or(&request.body), ..RequestView::of(request) }
    }
}

/// A response; at most the first 64 KiB of its body.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Response")]
pub struct ResponseView<'a> {
    status: u16,
    headers: &'a [(String, String)],
    /// Bytes that are not UTF-8 are replaced.
    body: Cow<'a, str>,
    /// Whether there was more of it.
    truncated: bool,
}

impl<'a> ResponseView<'a> {
    fn of(response: &'a PlatformResponse) -> ResponseView<'a> {
        ResponseView {
            status: response.status,
            headers: &response.headers,
            body: String::from_utf8_lossy(&response.body),
            truncated: response.truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::EarlierRequestView;
    use crate::domain::attempt::EarlierRequest;
    use crate::domain::delivery::PlatformResponse;
    use crate::domain::time::Time;

    #[test]
    fn a_request_that_carried_an_event_before_is_shown_with_its_answer_and_without_one() {
        let answer = PlatformResponse {
            status: 400,
            headers: vec![("x-id".to_owned(), "7".to_owned())],
            body: b"{}".to_vec(),
            truncated: false,
        };
        let at = Time::from_millis(1_790_000_000_000).unwrap();
        let mut larger = EarlierRequest { at, took_ms: 90, events: 8, answer: Some(answer) };
        let shown = serde_json::to_value(EarlierRequestView::of(&larger)).unwrap();
        let response = json!({"status": 400, "headers": [["x-id", "7"]], "body": "{}", "truncated": false});
        assert_eq!(
            shown,
            json!({"at": "2026-09-21T14:13:20.000Z", "took_ms": 90, "events": 8, "response": response})
        );
        larger.answer = None;
        assert!(serde_json::to_value(EarlierRequestView::of(&larger)).unwrap()["response"].is_null());
    }
}
