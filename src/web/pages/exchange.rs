//! A delivery for the pages: its state, and each attempt's request and response.

use serde::Serialize;

use crate::domain::attempt::Attempt;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::time::Time;
use crate::domain::unsent::UnsentContext;
use crate::view::delivery::{AttemptView, DeliveryView};
use crate::view::value::readable;

/// What a delivery is shown by.
pub struct DeliveryContext<'a> {
    pub now: Time,
    pub circumstances: &'a UnsentContext,
}

/// A delivery with attempts and whether it can be sent again, as the templates `conversion` and
/// `deliveries` show it.
#[derive(Serialize)]
pub struct DeliveryCard<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    timing: Timing,
    can_retry: bool,
    attempt_log: Vec<AttemptCard<'a>>,
}

/// Since or until when a state lasts.
#[derive(Serialize)]
struct Timing {
    label: &'static str,
    at: Time,
}

impl<'a> DeliveryCard<'a> {
    /// With the attempts given; `sent_before`: its destination was sent the conversion on an earlier occasion.
    pub fn of(
        conversion: &Conversion,
        (delivery, sent_before): (&'a Delivery, bool),
        attempts: &'a [Attempt],
        present: &DeliveryContext<'_>,
    ) -> DeliveryCard<'a> {
        DeliveryCard {
            delivery: DeliveryView::of(conversion, (delivery, sent_before), present.circumstances),
            timing: timing(&delivery.state),
            can_retry: can_retry(&delivery.state, present.now),
            attempt_log: attempts.iter().map(AttemptCard::of).collect(),
        }
    }
}

fn timing(state: &DeliveryState) -> Timing {
    let (label, at) = match state {
        DeliveryState::Held { until } => ("Held until", *until),
        DeliveryState::Waiting { due } => ("Due", *due),
        DeliveryState::Confirming { poll_at, .. } => ("Asked whether it was taken at", *poll_at),
        DeliveryState::Delivered { at, .. } => ("Delivered", *at),
        DeliveryState::Dead { at, .. } => ("Dead since", *at),
        DeliveryState::Skipped { at, .. } => ("Skipped", *at),
    };
    Timing { label, at }
}

/// What a person can send now: what gave up, and what waits for a later time.
fn can_retry(state: &DeliveryState, now: Time) -> bool {
    match state {
        DeliveryState::Dead { .. } | DeliveryState::Skipped { .. } => true,
        DeliveryState::Waiting { due } => *due > now,
        DeliveryState::Held { .. } | DeliveryState::Confirming { .. } | DeliveryState::Delivered { .. } => {
            false
        }
    }
}

/// An attempt with the body of its response as a person reads it.
#[derive(Serialize)]
struct AttemptCard<'a> {
    #[serde(flatten)]
    attempt: AttemptView<'a>,
    response_text: Option<String>,
}

impl<'a> AttemptCard<'a> {
    fn of(attempt: &'a Attempt) -> AttemptCard<'a> {
        let response_text = attempt.answer().map(|answer| readable(&answer.body));
        AttemptCard { attempt: AttemptView::of(attempt), response_text }
    }
}
