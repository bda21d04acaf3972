//! A delivery for the pages: its state, each attempt's request and response, and the next step.

use serde::Serialize;

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::time::Time;
use crate::domain::unsent::UnsentContext;
use crate::ops::DestinationHealth;
use crate::view::delivery::{AttemptView, DeliveryView};
use crate::view::value::readable;
use crate::web::pages::advice;

/// What a delivery is shown by.
pub struct DeliveryContext<'a> {
    pub health: &'a DestinationHealth,
    pub circumstances: &'a UnsentContext,
}

/// A delivery with attempts, its next step, and whether it can be sent again, as the templates `conversion` and
/// `deliveries` show it.
#[derive(Serialize)]
pub struct DeliveryCard<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    timing: Timing,
    next_step: String,
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
        let DeliveryContext { health, circumstances } = *present;
        let worker = health.worker(&delivery.destination);
        let view = DeliveryView::of(conversion, (delivery, sent_before), circumstances);
        let next_step = match view.reason().hint() {
            "" => advice::next_step(conversion, delivery, attempts.last(), worker),
            hint => advice::sentence(hint),
        };
        DeliveryCard {
            delivery: view,
            timing: timing(&delivery.state),
            next_step,
            can_retry: can_retry(&delivery.state, health.at),
            attempt_log: attempts.iter().map(AttemptCard::of).collect(),
        }
    }
}

fn timing(state: &DeliveryState) -> Timing {
    let (label, at) = match state {
        DeliveryState::Held { until } => ("Held until", *until),
        DeliveryState::Waiting { due } => ("Due", *due),
        DeliveryState::Delivered { at } => ("Delivered", *at),
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
        DeliveryState::Held { .. } | DeliveryState::Delivered { .. } => false,
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
        let response_text = attempt.answer.as_ref().map(|answer| readable(&answer.body));
        AttemptCard { attempt: AttemptView::of(attempt), response_text }
    }
}
