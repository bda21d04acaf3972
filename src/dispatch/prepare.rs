//! What becomes of a delivery at its turn, before anything leaves: it ends unsent, or its request is ready.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dispatch::decide::SettledAttempt;
use crate::domain::change::{Unchanged, at_its_turn};
use crate::domain::delivery::{DeliveryState, OutgoingRequest};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::event::EventName;
use crate::domain::expiry::{AgeRule, EndedUnsent};
use crate::domain::remark::Remark;
use crate::domain::routing::Forwarding;
use crate::domain::send_check::{AtItsTurn, SendRules, by_ids_alone, ended_unsent};
use crate::domain::sent::{DeliveryKind, SentBefore, SentEvent};
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::store::contract::work::Claimed;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::diagnostic::Problem;

/// The outcome of preparing a delivery.
pub enum Prepared {
    /// Nothing leaves.
    Ended {
        /// How the delivery ends, and why.
        settled: Box<SettledAttempt>,
        /// The request that a shadow destination would have sent; `None` of others.
        request: Option<Box<OutgoingRequest>>,
        /// As of [`Prepared::Ready`]; empty where nothing was rendered.
        remarks: Vec<Remark>,
    },
    /// What is to leave.
    Ready {
        /// With its secrets.
        part: Box<EventPart>,
        /// What it says of the conversion.
        sent: Box<SentEvent>,
        /// What of the conversion is not in it or is otherwise in it.
        remarks: Vec<Remark>,
    },
}

/// What a destination's deliveries of one source's conversions go by.
pub fn rules_of<'a>(
    (destination, event): (&ReadyDestination, &EventName),
    forwarding: Forwarding<'a>,
    age: AgeRule,
) -> SendRules<'a> {
    SendRules {
        changes: destination.changes_of(event),
        age,
        policy: forwarding.policy,
        on: forwarding.on,
        consent: destination.consent_need(),
        max_click_age_ms: destination.age_limits().click_ms,
    }
}

/// Decides whether a delivery is sent now, and renders its request. A destination that is off takes nothing.
pub fn prepare(
    destination: &ReadyDestination,
    rules: &SendRules<'_>,
    claimed: &Claimed,
    now: Time,
) -> Prepared {
    let ended = |end, remarks| Prepared::Ended {
        settled: Box::new(SettledAttempt::unsent(claimed, end, now)),
        request: None,
        remarks,
    };
    if destination.mode() == DestinationMode::Off {
        return ended(EndedUnsent::Skipped(SkipReason::Off), Vec::new());
    }
    let turn = AtItsTurn {
        conversion: &claimed.conversion,
        delivery: &claimed.delivery,
        click: claimed.click.as_deref(),
        sent_before: claimed.sent_before,
        may_be_known: may_be_known(claimed),
    };
    if let Some(end) = ended_unsent(rules, turn, now) {
        return ended(end, Vec::new());
    }
    let kind = match kind_at_its_turn(rules, claimed) {
        Ok(kind) => kind,
        Err(Unchanged::Skipped(reason)) => return ended(EndedUnsent::Skipped(reason), Vec::new()),
        Err(Unchanged::Dead(reason)) => return ended(EndedUnsent::Dead(reason), Vec::new()),
        Err(Unchanged::Waits) => {
            let settled = Box::new(SettledAttempt::unconfirmed(claimed, now));
            return Prepared::Ended { settled, request: None, remarks: Vec::new() };
        }
    };
    let by_ids = by_ids_alone(rules, turn).then(|| claimed.conversion.by_ids(turn.click));
    let input = RenderInput {
        conversion: by_ids.as_ref().unwrap_or(&claimed.conversion),
        click: claimed.click.as_deref().filter(|_| by_ids.is_none()),
        delivery: &claimed.id,
        kind,
        sent: claimed.before.event(),
        now,
        // What a source that is no longer configured writes is not guessed.
        customer: rules.policy.map(|policy| policy.customer).unwrap_or_default(),
    };
    let unrendered = |reason| ended(EndedUnsent::Dead(reason), Vec::new());
    // A helper that panics must cost one delivery, not the worker with all its leases.
    match catch_unwind(AssertUnwindSafe(|| destination.render_event(&input))) {
        Ok(Ok(Rendering { rendered: Rendered::Skip { reason }, remarks })) => {
            ended(EndedUnsent::Skipped(reason), remarks)
        }
        Ok(Ok(Rendering { rendered: Rendered::Request(part, sent), remarks })) => match destination.mode() {
            DestinationMode::Shadow => {
                let settled = SettledAttempt::unsent(claimed, EndedUnsent::Skipped(SkipReason::Shadow), now);
                let request = destination.assemble(&[&part], &claimed.id, now).request;
                let (settled, request) = (Box::new(settled), Some(Box::new(request)));
                Prepared::Ended { settled, request, remarks }
            }
            _ => Prepared::Ready { part: Box::new(part), sent, remarks },
        },
        Ok(Err(Problem { what, hint, .. })) => unrendered(DeathReason::Unrendered { what, hint }),
        Err(_logged) => unrendered(DeathReason::RenderingFailed),
    }
}

/// Whether the conversion does not count any more, and the destination may have it all the same.
fn may_be_known(claimed: &Claimed) -> bool {
    matches!(claimed.before, SentBefore::Unanswered(_))
}

/// What the delivery says of its conversion: of a change, by what was sent before.
///
/// # Errors
/// Nothing is sent of it now.
fn kind_at_its_turn(rules: &SendRules<'_>, claimed: &Claimed) -> Result<DeliveryKind, Unchanged> {
    let kind = claimed.delivery.kind;
    match rules.changes.rules().filter(|_| kind.is_change() || may_be_known(claimed)) {
        Some(_) if rules.changes.are_by_status() => Ok(DeliveryKind::Status),
        Some(change_rules) => at_its_turn(&change_rules, &claimed.conversion, &claimed.before),
        None => Ok(kind),
    }
}

/// The state in which a delivery would be at its turn, `now`, just before it is sent: as it is where it
/// would be sent. For previews, which show what [`prepare`] does.
pub fn forecast(
    destination: &ReadyDestination,
    forwarding: Forwarding<'_>,
    claimed: &Claimed,
    now: Time,
) -> DeliveryState {
    let to = (destination, &claimed.conversion.event);
    match prepare(destination, &rules_of(to, forwarding, AgeRule::Counts), claimed, now) {
        Prepared::Ended { settled, .. } => settled.state,
        Prepared::Ready { .. } => claimed.delivery.state.clone(),
    }
}
