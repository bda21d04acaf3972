//! What became news while an attempt was out, and which delivery another one makes needless. Pure.

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::history::{Cause, Change};
use crate::domain::ids::{DeliveryId, Occasion};
use crate::domain::routing::Changes;
use crate::domain::sent::DeliveryKind;

/// What an attempt knew of its conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// How many changes the conversion had gone through when the delivery was claimed.
    pub changes: usize,
    /// Whether the destination hears of changes.
    pub hears: Changes,
}

/// What became of the delivery at `place` while an attempt was out that knew less than is known now.
/// [`crate::domain::routing::plan`] saw it waiting and left it to the attempt, which ended with what was so before:
///
/// - A destination that was sent the conversion, and hears of changes, gets a delivery for the latest one. That
///   its click was received meanwhile is no news to it.
/// - A delivery that was skipped waits again: what it was skipped for may be so no longer.
///
/// Answers whether a delivery was added.
pub fn reconcile(
    conversion: &Conversion,
    deliveries: &mut Vec<Delivery>,
    place: usize,
    observed: Observed,
) -> bool {
    let news = conversion.history.get(observed.changes..).unwrap_or_default();
    let reported_of = |change: &&Change| !matches!(change.cause, Cause::Click(_));
    let Some(latest) = news.iter().rfind(reported_of).or(news.last()) else { return false };
    let others = |delivery: &Delivery| {
        deliveries.iter().enumerate().any(|(at, other)| {
            let same = at != place && other.destination == delivery.destination;
            // One of an earlier change knows nothing of the latest, even where it is later than this.
            same && (other.state.is_to_be_sent() || other.occasion >= Occasion::Change(latest.number))
        })
    };
    let Some(delivery) = deliveries.get(place).filter(|delivery| !others(delivery)) else {
        return false;
    };
    let destination = delivery.destination.clone();
    match (delivery.state.clone(), news.iter().rfind(reported_of)) {
        (DeliveryState::Delivered { at, .. } | DeliveryState::Dead { at, .. }, Some(change))
            if observed.hears == Changes::Send =>
        {
            let (occasion, state) = (Occasion::Change(change.number), DeliveryState::Waiting { due: at });
            let expires_at = delivery.expires_at;
            let (kind, not_before, attempts) = (DeliveryKind::Event, None, 0);
            deliveries.push(Delivery {
                destination,
                occasion,
                kind,
                state,
                not_before,
                expires_at,
                first_attempt_at: None,
                attempts,
                possible_repeat: false,
            });
            true
        }
        (DeliveryState::Skipped { at, .. }, _) => {
            if let Some(delivery) = deliveries.get_mut(place) {
                delivery.state = DeliveryState::Waiting { due: at };
            }
            false
        }
        _ => false,
    }
}

/// Whether another delivery to the same destination is going to inform the conversion as it is, or has:
/// one of a later occasion, or any that was delivered after this one had ended.
pub fn superseded(all: &[Delivery], id: &DeliveryId) -> bool {
    let is_it =
        |delivery: &&Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
    let ended = all.iter().find(is_it).and_then(|delivery| match delivery.state {
        DeliveryState::Dead { at, .. } | DeliveryState::Skipped { at, .. } => Some(at),
        _ => None,
    });
    let others =
        all.iter().filter(|other| other.destination == id.destination && other.occasion != id.occasion);
    others.map(|other| (other.occasion, &other.state)).any(|(occasion, state)| match state {
        DeliveryState::Delivered { at, .. } => {
            occasion > id.occasion || ended.is_some_and(|ended| *at >= ended)
        }
        state => state.is_unfinished(),
    })
}
