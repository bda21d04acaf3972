//! What a delivery comes to at its turn, before anything leaves: it ends unsent, or its request is ready.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dispatch::decide::{self, Class, Rules, Settled};
use crate::domain::delivery::{DeliveryState, OutgoingRequest};
use crate::domain::routing::Forwarding;
use crate::domain::time::Time;
use crate::store::Claimed;
use crate::template::account::{Account, Mode, RenderInput, Rendered};

/// The outcome of preparing a delivery.
pub enum Prepared {
    /// Nothing leaves; with the request where one was made all the same.
    Ended {
        settled: Box<Settled>,
        request: Option<Box<OutgoingRequest>>,
    },
    Ready(OutgoingRequest),
}

/// Decides whether a delivery is sent now, and renders its request.
pub fn prepare(account: &Account, rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Prepared {
    let ended = |settled| Prepared::Ended { settled: Box::new(settled), request: None };
    if let Some(settled) = decide::before(rules, claimed, now) {
        return ended(settled);
    }
    let by_ids = decide::by_ids_alone(rules, claimed).then(|| claimed.conversion.ids_only());
    let input = RenderInput {
        conversion: by_ids.as_ref().unwrap_or(&claimed.conversion),
        click: claimed.click.as_deref().filter(|_| by_ids.is_none()),
        delivery: &claimed.id,
        now,
    };
    // A helper that panics must cost one delivery, not the lane with all its leases.
    match catch_unwind(AssertUnwindSafe(|| account.render(&input))) {
        Ok(Ok(Rendered::Skip { reason })) => ended(Settled::skipped(claimed, Class::Unfit, reason, now)),
        Ok(Ok(Rendered::Request(request))) if account.mode() == Mode::Shadow => {
            let reason = "shadow: rendered, not sent".to_owned();
            let settled = Settled::skipped(claimed, Class::Shadow, reason, now);
            Prepared::Ended { settled: Box::new(settled), request: Some(Box::new(request)) }
        }
        Ok(Ok(Rendered::Request(request))) => Prepared::Ready(request),
        Ok(Err(problem)) => ended(Settled::dead_unsent(claimed, Class::Unrendered, problem.to_string(), now)),
        Err(_) => {
            let reason = "the template's rendering failed inside; the log says where".to_owned();
            ended(Settled::dead_unsent(claimed, Class::Unrendered, reason, now))
        }
    }
}

/// The state in which a delivery would be at its turn, `now`, just before it is sent: as it is where it
/// would be sent. For previews, which show what [`prepare`] does.
pub fn forecast(
    account: &Account,
    forwarding: Forwarding<'_>,
    claimed: &Claimed,
    now: Time,
) -> DeliveryState {
    match prepare(account, &Rules::of(account, forwarding), claimed, now) {
        Prepared::Ended { settled, .. } => settled.state,
        Prepared::Ready(_) => claimed.delivery.state.clone(),
    }
}
