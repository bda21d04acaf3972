//! What became news while an attempt was out, and which delivery another one makes needless. Pure.

use crate::domain::change::{self, PlannedChange};
use crate::domain::change_rules::{ChangeRules, Changes, OnValue};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::history::{Cause, Change, FieldChange};
use crate::domain::ids::{DeliveryId, Occasion};
use crate::domain::sent::DeliveryKind;
use crate::domain::time::Time;

/// What an attempt knew of its conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// How many changes the conversion had gone through when the delivery was claimed.
    pub changes: usize,
    /// What the destination can be informed of.
    pub hears: Changes,
}

/// What became of the delivery at `place` while an attempt was out that knew less than is known now.
/// [`crate::domain::routing::plan`] saw it waiting and left it to the attempt, which ended with what was so before:
///
/// - A destination that was sent the conversion, and hears of changes, gets a delivery for the latest one, as its rules
///   say: see [`change::planned`]. That its click was received meanwhile is no news to it.
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
    let reported: Vec<&Change> = news.iter().filter(reported_of).collect();
    match (delivery.state.clone(), observed.hears.rules(), reported.last()) {
        // What the platform has accepted it may know: the change waits for its verdict.
        (
            DeliveryState::Delivered { at, .. }
            | DeliveryState::Dead { at, .. }
            | DeliveryState::Confirming { accepted_at: at, .. },
            Some(rules),
            Some(change),
        ) => {
            let fields = || reported.iter().flat_map(|change| &change.fields);
            let planned = if observed.hears.are_by_status() {
                by_status(&rules, fields(), at)
            } else {
                let mine = deliveries.iter().filter(|one| one.destination == delivery.destination);
                change::planned(&rules, conversion, &mine.collect::<Vec<_>>(), fields(), at)
            };
            let Some(PlannedChange { kind, state, not_before }) = planned else { return false };
            let expires_at = rules.max_age_ms.map(|age| conversion.event_time.plus_millis(age));
            let occasion = Occasion::Change(change.number);
            let added = Delivery::new(delivery.destination.clone(), occasion, kind, state);
            deliveries.push(Delivery { not_before, expires_at, ..added });
            true
        }
        (DeliveryState::Skipped { at, .. }, ..) => {
            if let Some(delivery) = deliveries.get_mut(place) {
                delivery.state = DeliveryState::Waiting { due: at };
            }
            false
        }
        _ => false,
    }
}

/// A change that is sent as it is now, with its status.
fn by_status<'a>(
    rules: &ChangeRules,
    mut fields: impl Iterator<Item = &'a FieldChange>,
    at: Time,
) -> Option<PlannedChange> {
    let is_sent =
        rules.on_value == OnValue::Restate || fields.any(|field| matches!(field, FieldChange::Status(_)));
    let (kind, state) = (DeliveryKind::Status, DeliveryState::Waiting { due: at });
    is_sent.then_some(PlannedChange { kind, state, not_before: None })
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
