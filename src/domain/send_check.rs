//! Whether a delivery is still to be sent at its turn: by its status, the visitor's consent, the event's age. Pure.

use crate::domain::change::is_taken_back;
use crate::domain::change_rules::Changes;
use crate::domain::click::Click;
use crate::domain::consent::ConsentNeed;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::expiry::{AgeRule, ClickEnd, EndedUnsent, expired};
use crate::domain::remark::erased_at;
use crate::domain::routing::{Route, SourcePolicy, is_forwardable};
use crate::domain::skip::{ForwardedBy, SkipReason};
use crate::domain::status::Status;
use crate::domain::time::Time;

/// What is known of the destination and of the conversion's source.
#[derive(Debug, Clone, Copy)]
pub struct SendRules<'a> {
    /// What a destination that was sent the conversion can be informed of.
    pub changes: Changes,
    /// Whether the time may end the delivery.
    pub age: AgeRule,
    /// Absent when the source is no longer configured.
    pub policy: Option<&'a SourcePolicy>,
    /// The statuses that an outgoing postback reports, whatever the source forwards.
    pub on: Option<&'a [Status]>,
    /// What it needs of the visitor's consent.
    pub consent: ConsentNeed,
    /// How old the click may be, in milliseconds; `None`: of any age.
    pub max_click_age_ms: Option<i64>,
}

impl<'a> SendRules<'a> {
    /// Those of a destination that the routes name, by a clock that is believed.
    pub fn of(route: &'a Route, policy: Option<&'a SourcePolicy>) -> SendRules<'a> {
        SendRules {
            changes: route.changes,
            age: AgeRule::Counts,
            policy,
            on: route.on.as_deref(),
            consent: route.consent,
            max_click_age_ms: route.max_click_age_ms,
        }
    }
}

/// A delivery whose turn it is.
#[derive(Debug, Clone, Copy)]
pub struct AtItsTurn<'a> {
    /// As it is now, and so its values.
    pub conversion: &'a Conversion,
    /// With the last moment at which it may be sent.
    pub delivery: &'a Delivery,
    /// With its visitor's latest answers; `None` where it has none, or it is not kept.
    pub click: Option<&'a Click>,
    /// Whether the destination was sent the conversion on an earlier occasion.
    pub sent_before: bool,
    /// Whether the conversion does not count any more, and an attempt at this delivery got no answer: the destination may
    /// count it.
    pub may_be_known: bool,
}

/// What ends a delivery before it is rendered; `None`: render and send it.
///
/// - A status that the source no longer forwards is not sent, except where the delivery reports a
///   change to a destination that hears of changes and was sent the conversion before, or may have been.
///   Where no one knows what was sent, it is irreversible. For a source that is no longer configured,
///   `approved` is what is forwarded, as by default.
/// - An outgoing postback has its own list of statuses, which holds for changes too, but for one that takes back what was
///   sent. What is scrubbed it does not report.
/// - What the visitor's consent does not allow is not sent, nor to an ad platform what is left once a person's data was erased, except a
///   change to a conversion that the destination knows; see [`by_ids_alone`].
/// - An event that is too old for the platform, or whose click is, is not sent: see [`expired`].
pub fn ended_unsent(rules: &SendRules<'_>, turn: AtItsTurn<'_>, now: Time) -> Option<EndedUnsent> {
    if let Some(by) = not_reported(rules, turn) {
        let status = turn.conversion.status;
        let is_informed =
            rules.changes != Changes::Never && !(rules.changes.are_by_status() && rules.on.is_some());
        let may_count = turn.delivery.may_be_known && is_taken_back(status);
        return Some(EndedUnsent::Skipped(if may_count && is_informed {
            SkipReason::Irreversible { status }
        } else {
            SkipReason::StatusNotForwarded { status, by }
        }));
    }
    if let Some(reason) = refusal(rules, turn).filter(|_| !sends_change(rules, turn)) {
        return Some(EndedUnsent::Skipped(reason));
    }
    match rules.age {
        AgeRule::Counts => expired(turn.delivery, turn.conversion.event_time, click_end(rules, turn), now),
        AgeRule::Suspended => None,
    }
}

fn click_end(rules: &SendRules<'_>, turn: AtItsTurn<'_>) -> Option<ClickEnd> {
    Some(ClickEnd { click: turn.click?.at, max_age_ms: rules.max_click_age_ms? })
}

/// Whether the delivery restates or retracts what the destination was sent before the visitor's consent
/// ended, or before the person's data was erased: then it names ids and amounts, and nothing of the person.
pub fn by_ids_alone(rules: &SendRules<'_>, turn: AtItsTurn<'_>) -> bool {
    refusal(rules, turn).is_some()
}

fn refusal(rules: &SendRules<'_>, turn: AtItsTurn<'_>) -> Option<SkipReason> {
    // A destination that gets nothing personal is sent what is left: it pays an affiliate, or counts a sale.
    if rules.consent.asks() && erased_at(&turn.conversion.remarks).is_some() {
        return Some(SkipReason::Erased);
    }
    rules.consent.refusal(turn.conversion.consent_with(turn.click))
}

fn sends_change(rules: &SendRules<'_>, turn: AtItsTurn<'_>) -> bool {
    (rules.changes.hear(turn.delivery.kind) && turn.sent_before)
        || (turn.may_be_known && rules.changes != Changes::Never)
}

/// Who says that its status is not sent; `None` where it is.
fn not_reported(rules: &SendRules<'_>, turn: AtItsTurn<'_>) -> Option<ForwardedBy> {
    let status = turn.conversion.status;
    if let Some(on) = rules.on {
        // What was sent is taken back, whatever is sent on first report.
        let is_change = !rules.changes.are_by_status() && sends_change(rules, turn);
        let reported = if is_taken_back(status) && is_change {
            true
        } else {
            on.contains(&status) && status != Status::Scrubbed
        };
        return (!reported).then_some(ForwardedBy::Postback);
    }
    let forwardable =
        rules.policy.map_or(status == Status::Approved, |policy| is_forwardable(turn.conversion, policy));
    (!forwardable && !sends_change(rules, turn)).then_some(ForwardedBy::Source)
}
