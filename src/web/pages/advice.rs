//! The words next to a state: how long ago, and what to do next. Pure.

use crate::domain::conversion::{Conversion, no_click};
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, DestinationState, ReplyVerdict};
use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// `3 min ago`, `in 4 h`, `now`: a distance a person can hold, rounded down.
pub fn distance(at: Time, now: Time) -> String {
    let millis = at.millis_since(now);
    let size = millis.abs();
    let text = match size {
        0..1_000 => return "now".to_owned(),
        1_000..60_000 => format!("{} s", size / 1_000),
        60_000..HOUR_MS => format!("{} min", size / 60_000),
        HOUR_MS..DAY_MS => format!("{} h", size / HOUR_MS),
        _ => format!("{} d", size / DAY_MS),
    };
    if millis < 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// What is next for a delivery that nothing keeps from being sent: held for its click, waiting, delivered. What a
/// person can do about any other is the hint of its reason.
pub fn next_step(
    conversion: &Conversion,
    delivery: &Delivery,
    last: Option<&Attempt>,
    worker: Option<&DestinationState>,
) -> String {
    match &delivery.state {
        DeliveryState::Held { .. } => held(conversion),
        DeliveryState::Waiting { .. } => waiting(delivery, worker),
        _ => match last.map(|attempt| &attempt.verdict) {
            Some(ReplyVerdict::Delivered { warnings }) if !warnings.is_empty() => {
                "The platform took it and added the remarks below; look whether they concern you.".to_owned()
            }
            _ => "Nothing to do: the platform took it.".to_owned(),
        },
    }
}

/// A hint as a sentence of its own.
pub fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

fn held(conversion: &Conversion) -> String {
    match conversion.attribution.given() {
        Some(given) => format!(
            "It is sent at once when the click `{given}` is recorded; after the time above it is skipped and can be retried."
        ),
        None if no_click(conversion).is_some() => {
            "It names no click, so it is skipped after the time above, unless it is reported again with its click id."
                .to_owned()
        }
        None => "The postback named no click, so it is skipped after the time above. Check that the network sends the click id: the URL under Sources has the macro."
            .to_owned(),
    }
}

fn waiting(delivery: &Delivery, worker: Option<&DestinationState>) -> String {
    if worker.is_some_and(|worker| worker.parked.is_some()) {
        return "The destination is parked: its account was refused. See Destinations; it is tried again every 15 minutes."
            .to_owned();
    }
    if worker.is_some_and(|worker| worker.hold.is_some()) {
        return "Nothing to do: the destination asked for a wait; Destinations shows until when. Then one delivery is tried, and the others follow."
            .to_owned();
    }
    if delivery.attempts == 0 {
        "Nothing to do: it is sent at its turn.".to_owned()
    } else {
        "Nothing to do: it is tried again at the time above, with growing pauses.".to_owned()
    }
}
