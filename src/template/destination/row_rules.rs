//! What an answer says of one of the events that a request carried, by the event's row.

use serde_json::Value as Json;

use crate::domain::click::Pairs;
use crate::domain::delivery::ReplyVerdict;
use crate::domain::delivery_reason::{DeathReason, RetryReason};
use crate::domain::exchange::PlatformAnswer;
use crate::domain::sent::Confirmation;
use crate::template::destination::reply::{ReasonPart, ReplyOutcome, Rule, shown, warnings, words};
use crate::template::destination::reply_rows::RowPlace;

/// What an answer means to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventVerdict {
    /// What becomes of it.
    pub verdict: ReplyVerdict,
    /// What the template keeps of the answer, by name.
    pub kept: Pairs,
}

impl EventVerdict {
    /// Whether the platform took the event.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.verdict, ReplyVerdict::Delivered { .. })
    }
}

/// Where an answer names events, and what that means to them.
#[derive(Debug)]
pub(crate) struct RowRules {
    pub place: RowPlace,
    /// What is said of an event that is named: the first rule that fits its row. None: it is dead.
    pub rules: Vec<Rule>,
    /// Where a row says why.
    pub reasons: Vec<ReasonPart>,
}

/// A row's answer, and what is known of its event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowScope {
    /// Of the answer.
    pub status: u16,
    /// How many events the request carried.
    pub sent: usize,
    /// Whether the platform may have been sent the event before without anyone knowing what became of that.
    pub after_unknown: bool,
}

impl RowRules {
    /// What a row says of its event.
    pub(crate) fn said(&self, row: &Json, scope: RowScope) -> EventVerdict {
        let fits = |rule: &&Rule| {
            rule.after_unknown.is_none_or(|wanted| wanted == scope.after_unknown)
                && rule.fits_json(Some(row), scope.sent)
        };
        let rule = self.rules.iter().find(fits);
        let answer = || PlatformAnswer {
            status: scope.status,
            why: rule.and_then(|rule| rule.why.clone()),
            said: words(&self.reasons, Some(row), &shown(row)),
        };
        let delivered = |confirmation| {
            let at = rule.and_then(|rule| rule.warnings.as_deref());
            ReplyVerdict::Delivered { warnings: warnings(Some(row), at), confirmation }
        };
        let verdict = match rule.map_or(ReplyOutcome::Dead, |rule| rule.then) {
            ReplyOutcome::Delivered => delivered(Confirmation::Confirmed),
            ReplyOutcome::Duplicate => delivered(Confirmation::Duplicate),
            ReplyOutcome::Retry => {
                let reason = RetryReason::PlatformUnavailable(answer());
                ReplyVerdict::Retry { reason, after_ms: rule.and_then(|rule| rule.after_ms), hold_ms: None }
            }
            ReplyOutcome::Dead | ReplyOutcome::Park => {
                ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(answer()) }
            }
        };
        let kept = rule.map(|rule| rule.kept(Some(row))).unwrap_or_default();
        EventVerdict { verdict, kept }
    }
}
