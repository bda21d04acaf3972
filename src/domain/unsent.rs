//! Why a conversion, or a delivery of it, is not sent: the one reason that holds now. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::code::ReasonCode;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, SkipCode};
use crate::domain::ids::DestinationId;
use crate::domain::routing::{Changes, NO_CLICK};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::time::Time;

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Its status is pending; with what it becomes automatically, and when.
    Pending { becomes: Option<(Time, Status)> },
    /// Its status is one that is not forwarded.
    StatusNotForwarded(Status),
    /// No destination is configured.
    NoDestination,
    /// An advertiser reported it, and no destination names whose conversions it takes.
    NotRouted,
    /// No destination takes a conversion like it.
    NotTaken,
    /// A destination would take it now, and was configured after it was received.
    ConfiguredLater,
    /// The destination is not in the configuration; with until when it can be put back.
    DestinationRemoved { until: Time },
    /// No click is recorded with the id that was received, or none was received.
    NoClick { given: Option<String> },
    /// Its click was recorded when it was no longer waited for.
    ClickTooLate,
    /// It was skipped, with what was kept of the reason.
    Skipped { code: Option<SkipCode>, reason: String },
}

impl Unsent {
    /// As API and pages write it.
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Unsent::Pending { .. } => "pending",
            Unsent::StatusNotForwarded(_) => "status_not_forwarded",
            Unsent::NoDestination => "no_destination",
            Unsent::NotRouted => "not_routed",
            Unsent::NotTaken => "not_taken",
            Unsent::ConfiguredLater => "configured_later",
            Unsent::DestinationRemoved { .. } => SkipCode::DestinationRemoved.as_str(),
            Unsent::NoClick { .. } => "no_click",
            Unsent::ClickTooLate => "click_too_late",
            Unsent::Skipped { code, .. } => return code.map(SkipCode::as_str),
        })
    }

    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Unsent::Pending { becomes: Some((due, status)) } => {
                format!("its status is `pending`; it becomes `{}` automatically at {due}", status.as_str())
            }
            Unsent::Pending { becomes: None } => {
                "its status is `pending`: it is sent once it is approved".to_owned()
            }
            Unsent::StatusNotForwarded(status) => {
                format!("its status is `{}`, which is not forwarded", status.as_str())
            }
            Unsent::NoDestination => "no destination is configured".to_owned(),
            Unsent::NotRouted => {
                "an advertiser reported it, and no destination names whose conversions it takes".to_owned()
            }
            Unsent::NotTaken => "no destination takes a conversion like it".to_owned(),
            Unsent::ConfiguredLater => {
                "the destination that takes it was configured after it was received".to_owned()
            }
            Unsent::DestinationRemoved { until } => format!(
                "the destination is not in the configuration; put back before {until} it goes on, else it is \
                 skipped"
            ),
            Unsent::NoClick { given: Some(given) } => {
                format!("no click is recorded with the id `{given}` that was received")
            }
            Unsent::NoClick { given: None } => "no usable click id was received".to_owned(),
            Unsent::ClickTooLate => "its click was recorded when it was no longer waited for".to_owned(),
            Unsent::Skipped { reason, .. } => reason.clone(),
        }
    }

    /// What a person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Unsent::Pending { becomes: Some(_) } => "Nothing to do, or give it another status now.",
            Unsent::Pending { becomes: None } => "Approve it, or wait for the network to report its status.",
            Unsent::StatusNotForwarded(_) => {
                "To forward such conversions, name the status in the source's `forward_status` or the postback's `on`."
            }
            Unsent::NoDestination => {
                "Add a `[[destination]]` to the configuration; it takes what is received from then on."
            }
            Unsent::NotRouted => {
                "Name the `source`, `offer`, `campaign` or `affiliate` in a destination's `[destination.only]`."
            }
            Unsent::NotTaken => "Compare it with each destination's `[destination.only]`.",
            Unsent::ConfiguredLater => "A change of its status or value is sent there.",
            Unsent::DestinationRemoved { .. } => {
                "Put the destination back into the configuration and reload."
            }
            Unsent::NoClick { given: Some(_) } => "Record the click (`POST /api/v1/clicks`), then retry.",
            Unsent::NoClick { given: None } => {
                "See that the click id is sent: the URL under Sources carries it. Retry once the conversion has its click."
            }
            Unsent::ClickTooLate => "Retry: it is sent with its click.",
            Unsent::Skipped { .. } => "Nothing was sent. Retry when the reason no longer applies.",
        }
    }
}

/// What a reason depends on besides the conversion.
#[derive(Debug, Clone, Default)]
pub struct UnsentContext {
    pub rules: Arc<Ruleset>,
    /// The destinations that are not configured any more, and until when each can be put back.
    pub removed: BTreeMap<DestinationId, Time>,
}

/// Why no destination gets the conversion; `None` where some delivery says what becomes of it.
pub fn of_conversion(conversion: &Conversion, deliveries: &[Delivery], rules: &Ruleset) -> Option<Unsent> {
    if !deliveries.is_empty() {
        return None;
    }
    let policy = rules.policy(&conversion.source);
    let mut takers = rules.routes.iter().filter(|route| route.takes(conversion)).peekable();
    Some(if rules.routes.is_empty() {
        Unsent::NoDestination
    } else if takers.peek().is_none() {
        if conversion.not_routed.is_empty() { Unsent::NotTaken } else { Unsent::NotRouted }
    } else if takers.any(|route| route.forwards(conversion, &policy)) {
        Unsent::ConfiguredLater
    } else {
        of_status(conversion)
    })
}

/// Why a delivery is not sent now; `None` where it was sent, will be at its time, or is dead.
/// `sent_before`: its destination was sent the conversion on an earlier occasion.
pub fn of_delivery(
    conversion: &Conversion,
    (delivery, sent_before): (&Delivery, bool),
    circumstances: &UnsentContext,
) -> Option<Unsent> {
    match &delivery.state {
        DeliveryState::Delivered { .. } | DeliveryState::Dead { .. } => None,
        DeliveryState::Skipped { reason, .. } if reason == NO_CLICK => {
            Some(match conversion.attribution.click() {
                Some(_) => Unsent::ClickTooLate,
                None => Unsent::NoClick { given: conversion.attribution.given().map(str::to_owned) },
            })
        }
        DeliveryState::Skipped { code, reason, .. } => {
            Some(Unsent::Skipped { code: *code, reason: reason.clone() })
        }
        DeliveryState::Held { .. } | DeliveryState::Waiting { .. } => {
            let UnsentContext { rules, removed } = circumstances;
            if let Some(until) = removed.get(&delivery.destination) {
                return Some(Unsent::DestinationRemoved { until: *until });
            }
            let mut routes = rules.routes.iter();
            let route = routes.find(|route| route.destination == delivery.destination)?;
            let policy = rules.policy(&conversion.source);
            let sends_change = route.changes == Changes::Send && sent_before;
            (!sends_change && !route.forwards(conversion, &policy)).then(|| of_status(conversion))
        }
    }
}

fn of_status(conversion: &Conversion) -> Unsent {
    match conversion.status {
        Status::Pending => Unsent::Pending { becomes: conversion.disposition },
        status => Unsent::StatusNotForwarded(status),
    }
}
