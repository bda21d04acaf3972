//! Why a conversion, or a delivery of it, is not sent: the one reason that holds now. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::change::is_taken_back;
use crate::domain::change_rules::Changes;
use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::{DeathCode, DeathReason, ParkReason, RetryReason};
use crate::domain::destination_state::DestinationState;
use crate::domain::ids::DestinationId;
use crate::domain::routing::Route;
use crate::domain::ruleset::Ruleset;
use crate::domain::skip::{ForwardedBy, SkipCode, SkipReason};
use crate::domain::sought_click::SoughtClick;
use crate::domain::status::Status;
use crate::domain::time::Time;

codes! {
    /// Why a conversion is not sent now.
    UnsentCode = "unsent" {
        Pending = "pending",
            "its status is `pending`, which is not forwarded",
            "nothing to do while the network decides; a person can approve it at once";
        StatusNotForwarded = "status_not_forwarded",
            "its status is not one that is forwarded",
            "to forward such conversions, name the status in the source's `forward_status`";
        NoDestination = "no_destination",
            "no destination is configured",
            "add a `[[destination]]` to the configuration; it takes what is received from then on";
        NotRouted = "not_routed",
            "an advertiser reported it, and no destination names whose conversions it takes",
            "name whose conversions the destination takes in its `[destination.only]`";
        NotTaken = "not_taken",
            "no destination takes a conversion like it",
            "compare it with each destination's `[destination.only]`";
        ConfiguredLater = "configured_later",
            "the destination that takes it was configured after it was received",
            "nothing to do: a change of its status or value is sent there";
        DestinationRemoved = "destination_removed",
            "the destination is not in the configuration",
            "put the destination back into the configuration and reload";
        NoClick = "no_click",
            "no click is recorded for it",
            "record the click (`POST /api/v1/clicks`), then retry";
        ClickTooLate = "click_too_late",
            "its click was recorded when it was no longer waited for",
            "retry: it is sent with its click";
        AwaitsClick = "awaits_click",
            "it is held until its click is recorded",
            "it is sent at once when the click is recorded; when the hold ends first it is skipped, and can be retried";
        DestinationParked = "destination_parked",
            "the destination is parked: the platform refuses the account",
            "do what the hint of the destination's `parked` says";
        DestinationOnHold = "destination_on_hold",
            "the platform asked for a wait",
            "nothing to do: waiting counts as no attempt; after it one delivery is tried, and the others follow when it \
             is accepted";
        DestinationPaused = "destination_paused",
            "too many attempts at the destination failed in a row",
            "nothing to do: attempts go on after the pause";
        AwaitsTurn = "awaits_turn",
            "it was not tried yet, and nothing keeps it from being sent",
            "nothing to do: it is sent at its time";
        AwaitsRetry = "awaits_retry",
            "what was tried did not deliver it, and it is tried again",
            "nothing to do: it is tried again at its time, with growing pauses";
        AwaitsConfirmation = "awaits_confirmation",
            "the platform accepted the request and says later whether it took the event",
            "nothing to do: the platform is asked again at its time";
    }
}

/// Why nothing is sent now, with what it is about.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// With what it becomes automatically, and when.
    Pending {
        becomes: Option<(Time, Status)>,
    },
    StatusNotForwarded {
        status: Status,
        by: ForwardedBy,
    },
    NoDestination,
    NotRouted,
    NotTaken,
    ConfiguredLater,
    /// With until when it can be put back.
    DestinationRemoved {
        until: Time,
    },
    NoClick {
        click: SoughtClick,
    },
    ClickTooLate,
    /// With the end of the hold.
    AwaitsClick {
        click: SoughtClick,
        until: Time,
    },
    DestinationParked(ParkReason),
    /// With the wait's end and the answer that asked for it.
    DestinationOnHold {
        until: Time,
        last: RetryReason,
    },
    DestinationPaused {
        until: Time,
    },
    AwaitsTurn {
        due: Time,
    },
    AwaitsRetry {
        attempts: u32,
        due: Time,
    },
    AwaitsConfirmation {
        tries: u32,
        poll_at: Time,
        /// What became of asking it last, where that was no verdict.
        last: Option<Box<ReplyVerdict>>,
    },
}

impl CodedReason for Unsent {
    type Code = UnsentCode;

    fn code(&self) -> UnsentCode {
        match self {
            Unsent::Pending { .. } => UnsentCode::Pending,
            Unsent::StatusNotForwarded { .. } => UnsentCode::StatusNotForwarded,
            Unsent::NoDestination => UnsentCode::NoDestination,
            Unsent::NotRouted => UnsentCode::NotRouted,
            Unsent::NotTaken => UnsentCode::NotTaken,
            Unsent::ConfiguredLater => UnsentCode::ConfiguredLater,
            Unsent::DestinationRemoved { .. } => UnsentCode::DestinationRemoved,
            Unsent::NoClick { .. } => UnsentCode::NoClick,
            Unsent::ClickTooLate => UnsentCode::ClickTooLate,
            Unsent::AwaitsClick { .. } => UnsentCode::AwaitsClick,
            Unsent::DestinationParked(_) => UnsentCode::DestinationParked,
            Unsent::DestinationOnHold { .. } => UnsentCode::DestinationOnHold,
            Unsent::DestinationPaused { .. } => UnsentCode::DestinationPaused,
            Unsent::AwaitsTurn { .. } => UnsentCode::AwaitsTurn,
            Unsent::AwaitsRetry { .. } => UnsentCode::AwaitsRetry,
            Unsent::AwaitsConfirmation { .. } => UnsentCode::AwaitsConfirmation,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Unsent::Pending { .. } | Unsent::StatusNotForwarded { .. } => Some("status"),
            Unsent::NoClick { .. } | Unsent::AwaitsClick { .. } => Some("click_id"),
            _ => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            Unsent::StatusNotForwarded { status, .. } => Some(status.as_str()),
            Unsent::NoClick { click } | Unsent::AwaitsClick { click, .. } => click.id(),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Unsent::Pending { becomes: Some((due, status)) } => {
                format!("its status is `pending`; it becomes `{}` automatically at {due}", status.as_str())
            }
            Unsent::Pending { becomes: None } => {
                "its status is `pending`: it is sent once it is approved".to_owned()
            }
            Unsent::StatusNotForwarded { status, .. } => {
                format!("its status is `{}`, which is not forwarded", status.as_str())
            }
            Unsent::DestinationRemoved { until } => format!(
                "the destination is not in the configuration; put back before {until} it goes on, else it is \
                 skipped"
            ),
            Unsent::NoClick { click } => click.sentence(),
            Unsent::AwaitsClick { click, until } => format!("{}; it is held until {until}", click.sentence()),
            Unsent::DestinationParked(reason) => format!("the destination is parked: {}", reason.sentence()),
            Unsent::DestinationOnHold { until, last } => {
                format!("the platform asked for a wait until {until}: {}", last.sentence())
            }
            Unsent::DestinationPaused { until } => {
                format!("too many attempts at the destination failed in a row: none is made until {until}")
            }
            Unsent::AwaitsTurn { due } => format!("it is sent at {due}"),
            Unsent::AwaitsRetry { attempts: 1, due } => {
                format!("one attempt did not deliver it; the next is at {due}")
            }
            Unsent::AwaitsRetry { attempts, due } => {
                format!("{attempts} attempts did not deliver it; the next is at {due}")
            }
            Unsent::AwaitsConfirmation { tries: 0, poll_at, .. } => format!(
                "the platform accepted the request, and is asked at {poll_at} whether it took the event"
            ),
            Unsent::AwaitsConfirmation { tries, poll_at, last } => {
                let times = if *tries == 1 { "once".to_owned() } else { format!("{tries} times") };
                let last = last.as_ref().and_then(|last| last.sentence());
                let last = last.map(|last| format!(" (last: {last})")).unwrap_or_default();
                format!(
                    "the platform accepted the request and was asked {times} whether it took the event{last}; the \
                     next time is {poll_at}"
                )
            }
            _ => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Unsent::Pending { becomes: Some((_, status)) } => {
                format!("nothing to do: it becomes `{}` automatically", status.as_str())
            }
            Unsent::StatusNotForwarded { by, .. } => by.hint().to_owned(),
            Unsent::NoClick { click } => match click.hint() {
                Some(send) => format!("{send}; retry once the conversion has its click"),
                None => self.code().fix().to_owned(),
            },
            Unsent::AwaitsClick { click, .. } => match click.hint() {
                Some(send) => format!("{send}; without it it is skipped when the hold ends"),
                None => self.code().fix().to_owned(),
            },
            Unsent::DestinationParked(reason) => reason.hint(),
            _ => self.code().fix().to_owned(),
        }
    }
}

/// Why a delivery is not delivered, by the family that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered<'a> {
    /// It was given up.
    Dead(&'a DeathReason),
    /// It was skipped, and not for want of a click.
    Skipped(&'a SkipReason),
    /// It waits, or was skipped without its click: the conversion as it is now says why.
    Unsent(Unsent),
}

/// Whether a delivery can have it: the others are why there is none.
fn is_of_delivery(code: &UnsentCode) -> bool {
    use UnsentCode::{ConfiguredLater, NoDestination, NotRouted, NotTaken};
    !matches!(code, NoDestination | NotRouted | NotTaken | ConfiguredLater)
}

/// A code as lists of deliveries are filtered by it: one word may be a code of several families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndeliveredCode {
    dead: Option<DeathCode>,
    skipped: Option<SkipCode>,
    unsent: Option<UnsentCode>,
}

impl UndeliveredCode {
    /// The code that is written so in any of the families.
    pub fn parse(word: &str) -> Option<UndeliveredCode> {
        let code = UndeliveredCode {
            dead: DeathCode::parse(word),
            skipped: SkipCode::parse(word),
            unsent: UnsentCode::parse(word).filter(is_of_delivery),
        };
        (code.dead.is_some() || code.skipped.is_some() || code.unsent.is_some()).then_some(code)
    }

    /// Every word that is a code of some delivery's reason, in alphabetical order.
    pub fn words() -> BTreeSet<&'static str> {
        let unsent = UnsentCode::ALL.iter().filter(|code| is_of_delivery(code)).map(|code| code.as_str());
        DeathCode::words().chain(SkipCode::words()).chain(unsent).collect()
    }

    /// Whether it is the code of this reason.
    pub fn is_of(self, reason: &Undelivered<'_>) -> bool {
        match reason {
            Undelivered::Dead(reason) => self.dead == Some(reason.code()),
            Undelivered::Skipped(reason) => self.skipped == Some(reason.code()),
            Undelivered::Unsent(unsent) => self.unsent == Some(unsent.code()),
        }
    }

    /// Whether a delivery in this state can have it, whatever its conversion is. Saves reading most.
    pub fn may_be_of(self, state: &DeliveryState) -> bool {
        match state {
            DeliveryState::Delivered { .. } => false,
            DeliveryState::Confirming { .. } => self.unsent == Some(UnsentCode::AwaitsConfirmation),
            DeliveryState::Dead { reason, .. } => self.dead == Some(reason.code()),
            DeliveryState::Skipped { reason: SkipReason::NoClick, .. } => {
                matches!(self.unsent, Some(UnsentCode::NoClick | UnsentCode::ClickTooLate))
            }
            DeliveryState::Skipped { reason, .. } => self.skipped == Some(reason.code()),
            DeliveryState::Held { .. } => {
                self.is_of_unfinished() || self.unsent == Some(UnsentCode::AwaitsClick)
            }
            DeliveryState::Waiting { .. } => {
                self.is_of_unfinished()
                    || matches!(
                        self.unsent,
                        Some(
                            UnsentCode::DestinationParked
                                | UnsentCode::DestinationOnHold
                                | UnsentCode::DestinationPaused
                                | UnsentCode::AwaitsTurn
                                | UnsentCode::AwaitsRetry
                        )
                    )
            }
        }
    }

    /// Whether it is a reason of what is held and of what waits alike.
    fn is_of_unfinished(self) -> bool {
        matches!(
            self.unsent,
            Some(UnsentCode::Pending | UnsentCode::StatusNotForwarded | UnsentCode::DestinationRemoved)
        )
    }
}

/// What a reason depends on besides the conversion.
#[derive(Debug, Clone, Default)]
pub struct UnsentContext {
    /// As configured now, not as when the conversion was received.
    pub rules: Arc<Ruleset>,
    /// The destinations that are not configured any more, and until when each can be put back.
    pub removed: BTreeMap<DestinationId, Time>,
    /// How the configured destinations are doing; a hold or pause is in force.
    pub workers: Arc<Vec<DestinationState>>,
}

/// Why no destination gets the conversion; `None` where some delivery says what becomes of it.
pub fn of_conversion(conversion: &Conversion, deliveries: &[Delivery], rules: &Ruleset) -> Option<Unsent> {
    if !deliveries.is_empty() {
        return None;
    }
    let policy = rules.policy(&conversion.source);
    let takers: Vec<&Route> = rules.routes.iter().filter(|route| route.takes(conversion)).collect();
    let by_source = || takers.iter().any(|route| route.forwarded_by() == ForwardedBy::Source);
    Some(if rules.routes.is_empty() {
        Unsent::NoDestination
    } else if takers.is_empty() {
        if conversion.not_routed.is_empty() { Unsent::NotTaken } else { Unsent::NotRouted }
    } else if takers.iter().any(|route| route.forwards(conversion, &policy)) {
        Unsent::ConfiguredLater
    } else {
        of_status(conversion, if by_source() { ForwardedBy::Source } else { ForwardedBy::Postback })
    })
}

/// Why a delivery is not delivered; `None` where it was.
/// `sent_before`: its destination was sent the conversion on an earlier occasion.
pub fn of_delivery<'a>(
    conversion: &Conversion,
    (delivery, sent_before): (&'a Delivery, bool),
    circumstances: &UnsentContext,
) -> Option<Undelivered<'a>> {
    let kept = || of_unfinished(conversion, (delivery, sent_before), circumstances);
    match &delivery.state {
        DeliveryState::Delivered { .. } => None,
        DeliveryState::Confirming { poll_at, tries, last, .. } => {
            let (tries, poll_at, last) = (*tries, *poll_at, last.clone());
            Some(Undelivered::Unsent(Unsent::AwaitsConfirmation { tries, poll_at, last }))
        }
        DeliveryState::Dead { reason, .. } => Some(Undelivered::Dead(reason)),
        DeliveryState::Skipped { reason: SkipReason::NoClick, .. } => {
            Some(Undelivered::Unsent(match conversion.attribution.click() {
                Some(_) => Unsent::ClickTooLate,
                None => Unsent::NoClick { click: SoughtClick::of(conversion) },
            }))
        }
        DeliveryState::Skipped { reason, .. } => Some(Undelivered::Skipped(reason)),
        DeliveryState::Held { until } => {
            Some(Undelivered::Unsent(kept().unwrap_or_else(|| Unsent::AwaitsClick {
                click: SoughtClick::of(conversion),
                until: *until,
            })))
        }
        DeliveryState::Waiting { due } => {
            let kept = kept().or_else(|| of_destination(&delivery.destination, circumstances));
            Some(Undelivered::Unsent(kept.unwrap_or(match delivery.attempts {
                0 => Unsent::AwaitsTurn { due: *due },
                attempts => Unsent::AwaitsRetry { attempts, due: *due },
            })))
        }
    }
}

/// What keeps an unfinished delivery from being sent, whatever its own state.
fn of_unfinished(
    conversion: &Conversion,
    (delivery, sent_before): (&Delivery, bool),
    circumstances: &UnsentContext,
) -> Option<Unsent> {
    let UnsentContext { rules, removed, .. } = circumstances;
    if let Some(until) = removed.get(&delivery.destination) {
        return Some(Unsent::DestinationRemoved { until: *until });
    }
    let route = rules.routes.iter().find(|route| route.destination == delivery.destination)?;
    let policy = rules.policy(&conversion.source);
    let is_taken_back = is_taken_back(conversion.status);
    let may_be_known = delivery.may_be_known && is_taken_back && route.changes != Changes::Never;
    let sends_change = (route.changes.hear(delivery.kind) && sent_before) || may_be_known;
    // An outgoing postback has its own list of statuses, but for what takes back what was sent.
    let is_change = sends_change && (route.on.is_none() || (is_taken_back && !route.changes.are_by_status()));
    let is_sent = is_change || route.forwards(conversion, &policy);
    (!is_sent).then(|| of_status(conversion, route.forwarded_by()))
}

/// What keeps everything that is due from a destination.
fn of_destination(destination: &DestinationId, circumstances: &UnsentContext) -> Option<Unsent> {
    let worker = circumstances.workers.iter().find(|worker| worker.destination == *destination)?;
    if let Some((_, reason)) = &worker.parked {
        return Some(Unsent::DestinationParked(reason.clone()));
    }
    if let Some(hold) = &worker.hold {
        return Some(Unsent::DestinationOnHold { until: hold.until, last: hold.reason.clone() });
    }
    worker.open_until.map(|until| Unsent::DestinationPaused { until })
}

fn of_status(conversion: &Conversion, by: ForwardedBy) -> Unsent {
    match conversion.status {
        Status::Pending => Unsent::Pending { becomes: conversion.disposition },
        status => Unsent::StatusNotForwarded { status, by },
    }
}
