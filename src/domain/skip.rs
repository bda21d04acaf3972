//! Why a delivery was skipped: what keeps it from being sent as things are.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::event::EventName;
use crate::domain::ids::ClickId;
use crate::domain::status::Status;
use crate::domain::time::{DAY_MS, HOUR_MS, Time};

codes! {
    /// Why a delivery was skipped.
    SkipCode = "skipped" {
        NoClick = "no_click",
            "no click is recorded for it",
            "record the click (`POST /api/v1/clicks`), then retry";
        NotChosen = "not_chosen",
            "it is not among the share of conversions that this postback reports",
            "nothing to do: `percent` of the postback chooses by the click id, always the same way";
        StatusNotForwarded = "status_not_forwarded",
            "its status is not one that is forwarded",
            "retry once it has a status that is forwarded";
        Off = "off",
            "the destination is off",
            "set the destination's `mode` to `live`, reload, then retry";
        Shadow = "shadow",
            "the destination is in shadow mode: the request was made, not sent",
            "set the destination's `mode` to `live`, reload, then retry";
        ConsentDenied = "consent_denied",
            "the visitor refused consent (`ad_user_data`)",
            "nothing to do; after a later yes, retry";
        ConsentUnknown = "consent_unknown",
            "the visitor's consent is not known, and this destination has `consent = \"granted\"`",
            "ask visitors for consent, and send their answer with the click or the postback; after a yes, retry";
        DestinationRemoved = "destination_removed",
            "the destination was taken out of the configuration and not put back within `keep_removed_hours`",
            "put the destination back into the configuration, then retry";
        TooOld = "too_old",
            "the event was too old for the platform before it could be sent",
            "nothing to do for this one; see that the source reports sooner";
        EventNotMapped = "event_not_mapped",
            "the destination has no name for the event",
            "name the event under `events` of the destination, reload, then retry";
        PayloadIncomplete = "payload_incomplete",
            "the platform would refuse it, because a value is missing",
            "let the source report what is missing of this sale, then retry";
        ValueTooLow = "value_too_low",
            "the platform would refuse it, because a value is too low",
            "send a value that the platform takes, then retry";
        StaleClick = "stale_click",
            "the click was too old for the platform before its conversion could be sent",
            "nothing to do for this one; see that the source reports sooner";
        NothingToChange = "nothing_to_change",
            "the platform was not delivered what this is a change of, has it as it is now, or takes no such change",
            "nothing to do; where what was to be changed is a dead letter, retry that: the values of then are sent";
        Irreversible = "irreversible",
            "the platform was sent the conversion and cannot be informed of how it is now",
            "correct it on the platform's own pages where they can; to send only what is final, let the source forward what is approved alone, and approve it late";
        Erased = "erased",
            "the data of its person was erased before it was sent",
            "nothing: what is left of the sale names no one whom a platform could match";
    }
}

/// Why a delivery was skipped, with what it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    NoClick,
    NotChosen {
        percent: u8,
    },
    StatusNotForwarded {
        status: Status,
        by: ForwardedBy,
    },
    Off,
    Shadow,
    ConsentDenied,
    ConsentUnknown,
    DestinationRemoved,
    TooOld {
        event_time: Time,
        max_age_ms: i64,
    },
    EventNotMapped {
        event: EventName,
    },
    PayloadIncomplete(Box<MissingValue>),
    ValueTooLow(Box<LowValue>),
    StaleClick {
        click_time: Time,
        max_age_ms: i64,
    },
    NothingToChange(Unneeded),
    /// With the status that the platform cannot be informed of.
    Irreversible {
        status: Status,
    },
    Erased,
}

/// Why there is nothing to change at a platform.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unneeded {
    /// What was to be changed was not delivered.
    NotDelivered,
    /// What the platform was sent last is what is so now.
    AsSent,
    /// The platform cannot be informed of what is otherwise.
    NotRestated,
}

/// Who says which statuses are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardedBy {
    /// The source's `forward_status`.
    Source,
    /// The outgoing postback's `on`.
    Postback,
}

impl ForwardedBy {
    /// Where to name a status so that it is sent.
    pub fn hint(self) -> &'static str {
        match self {
            ForwardedBy::Source => {
                "to forward such conversions, name the status in the source's `forward_status`"
            }
            ForwardedBy::Postback => "to report such conversions, name the status in the postback's `on`",
        }
    }
}

/// What a template requires of a payload, and is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingValue {
    /// As the platform names them.
    pub fields: Vec<String>,
    /// Whether one of them would do.
    pub any: bool,
    /// Why the platform wants it, by the template.
    pub why: String,
    /// What to record of a click, where a click would bring what is missing.
    pub click: Option<ClickParts>,
    /// What to do about it, by the template; `None`: what its code says.
    pub hint: Option<String>,
}

/// What to record of a click: landing URL, IP address and user agent, and these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickParts {
    /// The click that was found and lacks it; `None` where none was found.
    pub click: Option<ClickId>,
    /// Query parameters of the landing URL, by name.
    pub params: Vec<String>,
    /// The site's own cookies, by name.
    pub cookies: Vec<String>,
}

/// A number that is below what the platform takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowValue {
    /// As the platform names it.
    pub field: String,
    /// The number that the request would have.
    pub value: String,
    /// The lowest number that it takes.
    pub least: String,
    /// Why the platform wants it, by the template.
    pub why: String,
}

impl CodedReason for SkipReason {
    type Code = SkipCode;

    fn code(&self) -> SkipCode {
        match self {
            SkipReason::NoClick => SkipCode::NoClick,
            SkipReason::NotChosen { .. } => SkipCode::NotChosen,
            SkipReason::StatusNotForwarded { .. } => SkipCode::StatusNotForwarded,
            SkipReason::Off => SkipCode::Off,
            SkipReason::Shadow => SkipCode::Shadow,
            SkipReason::ConsentDenied => SkipCode::ConsentDenied,
            SkipReason::ConsentUnknown => SkipCode::ConsentUnknown,
            SkipReason::DestinationRemoved => SkipCode::DestinationRemoved,
            SkipReason::TooOld { .. } => SkipCode::TooOld,
            SkipReason::StaleClick { .. } => SkipCode::StaleClick,
            SkipReason::EventNotMapped { .. } => SkipCode::EventNotMapped,
            SkipReason::PayloadIncomplete(_) => SkipCode::PayloadIncomplete,
            SkipReason::ValueTooLow(_) => SkipCode::ValueTooLow,
            SkipReason::NothingToChange(_) => SkipCode::NothingToChange,
            SkipReason::Irreversible { .. } => SkipCode::Irreversible,
            SkipReason::Erased => SkipCode::Erased,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            SkipReason::NoClick => Some("click_id"),
            SkipReason::StatusNotForwarded { .. } | SkipReason::Irreversible { .. } => Some("status"),
            SkipReason::ConsentDenied | SkipReason::ConsentUnknown => Some("ad_user_data"),
            SkipReason::TooOld { .. } => Some("event_time"),
            SkipReason::EventNotMapped { .. } => Some("event"),
            SkipReason::PayloadIncomplete(missing) => missing.fields.first().map(String::as_str),
            SkipReason::ValueTooLow(low) => Some(&low.field),
            SkipReason::NotChosen { .. }
            | SkipReason::Off
            | SkipReason::Shadow
            | SkipReason::DestinationRemoved
            | SkipReason::NothingToChange(_)
            | SkipReason::StaleClick { .. }
            | SkipReason::Erased => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            SkipReason::StatusNotForwarded { status, .. } | SkipReason::Irreversible { status } => {
                Some(status.as_str())
            }
            SkipReason::EventNotMapped { event } => Some(event.as_str()),
            SkipReason::ValueTooLow(low) => Some(&low.value),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            SkipReason::NotChosen { percent } => {
                format!("not among the {percent} % of conversions that this postback reports")
            }
            SkipReason::StatusNotForwarded { status, by } => {
                let by = match by {
                    ForwardedBy::Source => "its source does not forward",
                    ForwardedBy::Postback => "is not among those that this postback reports",
                };
                format!("the status is `{}` now, which {by}", status.as_str())
            }
            SkipReason::TooOld { event_time, max_age_ms } => {
                format!("{}, and the platform takes no older event", too_old(*event_time, *max_age_ms))
            }
            SkipReason::StaleClick { click_time, max_age_ms } => {
                format!(
                    "{}, and the platform takes no conversion of an older one",
                    click_too_old(*click_time, *max_age_ms)
                )
            }
            SkipReason::EventNotMapped { event } => {
                format!("the destination has no name for the event `{event}`")
            }
            SkipReason::PayloadIncomplete(missing) => missing.sentence(),
            SkipReason::NothingToChange(Unneeded::NotDelivered) => {
                "the platform was not delivered what this is a change of".to_owned()
            }
            SkipReason::NothingToChange(Unneeded::AsSent) => {
                "what the platform was sent last is what is so now".to_owned()
            }
            SkipReason::NothingToChange(Unneeded::NotRestated) => {
                "the platform takes no other value of what it was sent".to_owned()
            }
            SkipReason::Irreversible { status: status @ (Status::Rejected | Status::Scrubbed) } => format!(
                "the status is `{}` now, and the platform cannot take back what it was sent: it still counts it",
                status.as_str()
            ),
            SkipReason::Irreversible { status } => format!(
                "the status is `{}` again, and the platform counts no conversion that was taken back there",
                status.as_str()
            ),
            SkipReason::ValueTooLow(low) => {
                format!("{} is {}, below {}: {}", low.field, low.value, low.least, low.why)
            }
            _ => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            SkipReason::StatusNotForwarded { by, .. } => by.hint().to_owned(),
            SkipReason::PayloadIncomplete(missing) => match &missing.click {
                Some(parts @ ClickParts { click: Some(id), .. }) => format!(
                    "report the click `{id}` again by `POST /api/v1/clicks` with its {}: what it lacks is filled \
                     in; then retry",
                    parts.names()
                ),
                Some(parts) => format!("record each click with its {}", parts.names()),
                None => missing.hint.clone().unwrap_or_else(|| self.code().fix().to_owned()),
            },
            _ => self.code().fix().to_owned(),
        }
    }
}

impl MissingValue {
    fn sentence(&self) -> String {
        let (names, why) = (self.fields.join(", "), &self.why);
        let no_click = self.click.as_ref().is_some_and(|parts| parts.click.is_none());
        let no_click = if no_click { "; no click was found" } else { "" };
        match (self.any, self.fields.as_slice()) {
            (true, _) => format!("none of {names} is known: {why}{no_click}"),
            (false, [_]) => format!("{names} is missing: {why}{no_click}"),
            (false, _) => format!("{names} are missing: {why}{no_click}"),
        }
    }
}

impl ClickParts {
    fn names(&self) -> String {
        let mut wanted = vec!["landing URL, IP address and user agent".to_owned()];
        for (kind, names) in [("landing parameter", &self.params), ("cookie", &self.cookies)] {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            match quoted.as_slice() {
                [] => {}
                [one] => wanted.push(format!("the {kind} {one}")),
                several => wanted.push(format!("the {kind}s {}", several.join(", "))),
            }
        }
        wanted.join(", ")
    }
}

/// That an event is older than the platform takes.
pub(in crate::domain) fn too_old(event_time: Time, max_age_ms: i64) -> String {
    format!("event_time {event_time} is more than {} ago", duration(max_age_ms))
}

/// That a click is older than the platform takes.
pub(in crate::domain) fn click_too_old(click_time: Time, max_age_ms: i64) -> String {
    format!("the click at {click_time} is more than {} ago", duration(max_age_ms))
}

/// `7 days`, `36 hours`, `90 s`.
pub(in crate::domain) fn duration(millis: i64) -> String {
    match millis {
        whole if whole > 0 && whole % DAY_MS == 0 => format!("{} days", whole / DAY_MS),
        whole if whole > 0 && whole % HOUR_MS == 0 => format!("{} hours", whole / HOUR_MS),
        other => format!("{} s", other / 1_000),
    }
}
