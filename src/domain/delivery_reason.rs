//! Why an attempt ends a delivery as dead, is to be repeated, or parks its destination; and why a person cannot retry.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::exchange::{NoAnswer, PlatformAnswer, SendRefused};
use crate::domain::ids::DestinationId;
use crate::domain::skip::{click_too_old, duration, too_old};
use crate::domain::time::Time;

codes! {
    /// Why a delivery is dead.
    DeathCode = "dead" {
        PlatformRejected = "platform_rejected",
            "the platform answered that it will never take the event as it is",
            "fix what the answer names, then retry; the event id stays the same, so it is counted once";
        Redirected = "redirected",
            "the platform answered with a redirect, which is not followed",
            "configure the address that the answer points to, reload, then retry";
        TooOld = "too_old",
            "the event grew too old for the platform while it waited",
            "nothing to do for this one; see that the destination is sent to in time";
        GaveUp = "gave_up",
            "it was tried until the next attempt would be too late",
            "see to what the last failure names, then retry while the platform takes the event";
        Unrendered = "unrendered",
            "no request could be made from the template",
            "fix what the reason names, reload, then retry";
        RenderingFailed = "rendering_failed",
            "making the request failed inside Postbridge; the log says where",
            "report the log's lines as a fault of Postbridge, and retry once it is fixed";
        ForbiddenAddress = "forbidden_address",
            "the address may not be sent to from here",
            "configure a public web address, reload, then retry";
        UnsendableRequest = "unsendable_request",
            "the request cannot be sent as HTTP",
            "fix what the reason names, reload, then retry";
        StaleClick = "stale_click",
            "the click grew too old for the platform while its conversion waited",
            "nothing to do for this one; see that the destination is sent to in time";
    }
}

codes! {
    /// Why an attempt is to be repeated.
    RetryCode = "retry" {
        NoAnswer = "no_answer",
            "the platform did not answer",
            "nothing to do: it is tried again by the schedule";
        PlatformUnavailable = "platform_unavailable",
            "the platform answered that it does not take the event now",
            "nothing to do: it is tried again by the schedule";
        AttemptFailed = "attempt_failed",
            "the attempt failed inside Postbridge; the log says where",
            "report the log's lines as a fault of Postbridge; it is tried again by the schedule";
        SignInFailed = "sign_in_failed",
            "no access token was given for the account, and a later request may be given one",
            "nothing to do: it is tried again by the schedule";
        FirstUnconfirmed = "first_unconfirmed",
            "the platform has not said yet whether it took what this is a change of",
            "nothing to do: it is sent once the platform has";
    }
}

codes! {
    /// Why a destination is parked.
    ParkCode = "parked" {
        AccountRefused = "account_refused",
            "the platform refuses the account, not the event",
            "set the account up again as the destination's setup guide says, then reload; nothing is lost meanwhile: it is \
             tried again every 15 minutes";
        SignInRefused = "sign_in_refused",
            "the platform gives the account no access token",
            "set the account's sign-in up again as the destination's setup guide says, then reload; nothing is lost meanwhile: \
             it is tried again every 15 minutes";
    }
}

codes! {
    /// Why a delivery is not sent again though a person asks.
    RetryRefusedCode = "retry_refused" {
        Unknown = "not_found",
            "no delivery with this id is kept",
            "deliveries are kept for `keep_conversions_days`; look for it in the list of deliveries";
        NotConfigured = "destination_not_configured",
            "the destination is not configured, so no one would send it",
            "configure the destination again, reload, then retry";
        Delivered = "delivered",
            "it was delivered; sending again would count twice",
            "nothing to do: the platform has it";
        TooOld = "too_old",
            "the event is older than the platform takes",
            "nothing to do for this one: the platform takes no event of this age";
        Superseded = "superseded",
            "another delivery sends the destination the same event; sending this one too would count twice",
            "see the conversion's other deliveries to the destination";
    }
}

/// Why a delivery is dead, with what it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeathReason {
    PlatformRejected(PlatformAnswer),
    Redirected(PlatformAnswer),
    TooOld {
        event_time: Time,
        max_age_ms: i64,
    },
    /// `next_due`: when the next attempt would have been; `last`: why there would have been one.
    GaveUp {
        attempts: u32,
        next_due: Time,
        limit: LimitKind,
        last: RetryReason,
    },
    /// Both by the template; the hint may be empty.
    Unrendered {
        what: String,
        hint: String,
    },
    RenderingFailed,
    /// Its code says whether the address or the request is refused.
    Refused(SendRefused),
    StaleClick {
        click_time: Time,
        max_age_ms: i64,
    },
}

/// What ends a delivery's time.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// The platform takes no event older than this many milliseconds.
    PlatformAge(i64),
    /// The platform names no age; our own patience ends after this many milliseconds.
    Patience(i64),
    /// The platform takes no event whose click is older than this many milliseconds.
    ClickAge(i64),
}

/// Why an attempt is to be repeated, with what it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryReason {
    NoAnswer(NoAnswer),
    PlatformUnavailable(PlatformAnswer),
    AttemptFailed,
    /// Who gives tokens did not answer.
    SignInUnanswered(NoAnswer),
    /// Who gives tokens answered that none is given now.
    SignInUnavailable(PlatformAnswer),
    FirstUnconfirmed,
}

/// Why a destination is parked, with what it is about.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkReason {
    AccountRefused(PlatformAnswer),
    /// The answer of who gives tokens.
    SignInRefused(PlatformAnswer),
    /// Why no token could be asked for.
    SignInImpossible(String),
}

impl ParkReason {
    /// Whether the account gets no token, whatever the platform would say of what is sent with one.
    pub fn is_of_sign_in(&self) -> bool {
        match self {
            ParkReason::SignInRefused(_) | ParkReason::SignInImpossible(_) => true,
            ParkReason::AccountRefused(_) => false,
        }
    }
}

impl CodedReason for DeathReason {
    type Code = DeathCode;

    fn code(&self) -> DeathCode {
        match self {
            DeathReason::PlatformRejected(_) => DeathCode::PlatformRejected,
            DeathReason::Redirected(_) => DeathCode::Redirected,
            DeathReason::TooOld { .. } => DeathCode::TooOld,
            DeathReason::StaleClick { .. } => DeathCode::StaleClick,
            DeathReason::GaveUp { .. } => DeathCode::GaveUp,
            DeathReason::Unrendered { .. } => DeathCode::Unrendered,
            DeathReason::RenderingFailed => DeathCode::RenderingFailed,
            DeathReason::Refused(refused) if refused.is_address() => DeathCode::ForbiddenAddress,
            DeathReason::Refused(_) => DeathCode::UnsendableRequest,
        }
    }

    fn field(&self) -> Option<&str> {
        matches!(self, DeathReason::TooOld { .. }).then_some("event_time")
    }

    fn sentence(&self) -> String {
        match self {
            DeathReason::PlatformRejected(answer) => answer.sentence(None),
            DeathReason::Redirected(answer) => answer.sentence(Some("redirects are not followed")),
            DeathReason::TooOld { event_time, max_age_ms } => format!(
                "{}; it waited here until the platform would no longer take it",
                too_old(*event_time, *max_age_ms)
            ),
            DeathReason::StaleClick { click_time, max_age_ms } => format!(
                "{}; it waited here until the platform would no longer take it",
                click_too_old(*click_time, *max_age_ms)
            ),
            DeathReason::GaveUp { attempts, next_due, limit, last } => {
                let (end, last) = (limit.sentence(), last.sentence());
                format!(
                    "gave up after attempt {attempts}: the next would be due {next_due} and {end}; last: {last}"
                )
            }
            DeathReason::Unrendered { what, .. } => what.clone(),
            DeathReason::RenderingFailed => self.code().meaning().to_owned(),
            DeathReason::Refused(refused) => refused.to_string(),
        }
    }

    fn hint(&self) -> String {
        match self {
            DeathReason::Unrendered { hint, .. } if !hint.is_empty() => format!("{hint}; reload, then retry"),
            DeathReason::Refused(SendRefused::Private(_) | SendRefused::PrivateName(..)) => {
                "allow it with `allow_private_network = true` in the destination, reload, then retry"
                    .to_owned()
            }
            _ => self.code().fix().to_owned(),
        }
    }
}

impl LimitKind {
    fn sentence(self) -> String {
        match self {
            LimitKind::PlatformAge(age) => {
                format!("the platform takes no event older than {}", duration(age))
            }
            LimitKind::Patience(patience) => format!("a delivery is tried for {}", duration(patience)),
            LimitKind::ClickAge(age) => {
                format!("the platform takes no event whose click is older than {}", duration(age))
            }
        }
    }
}

impl CodedReason for RetryReason {
    type Code = RetryCode;

    fn code(&self) -> RetryCode {
        match self {
            RetryReason::NoAnswer(_) => RetryCode::NoAnswer,
            RetryReason::PlatformUnavailable(_) => RetryCode::PlatformUnavailable,
            RetryReason::AttemptFailed => RetryCode::AttemptFailed,
            RetryReason::SignInUnanswered(_) | RetryReason::SignInUnavailable(_) => RetryCode::SignInFailed,
            RetryReason::FirstUnconfirmed => RetryCode::FirstUnconfirmed,
        }
    }

    fn sentence(&self) -> String {
        match self {
            RetryReason::NoAnswer(cause) => cause.to_string(),
            RetryReason::PlatformUnavailable(answer) => answer.sentence(None),
            RetryReason::AttemptFailed | RetryReason::FirstUnconfirmed => self.code().meaning().to_owned(),
            RetryReason::SignInUnanswered(cause) => format!("no access token: {cause}"),
            RetryReason::SignInUnavailable(answer) => format!("no access token: {}", answer.sentence(None)),
        }
    }
}

impl CodedReason for ParkReason {
    type Code = ParkCode;

    fn code(&self) -> ParkCode {
        match self {
            ParkReason::AccountRefused(_) => ParkCode::AccountRefused,
            ParkReason::SignInRefused(_) | ParkReason::SignInImpossible(_) => ParkCode::SignInRefused,
        }
    }

    fn sentence(&self) -> String {
        match self {
            ParkReason::AccountRefused(answer) => answer.sentence(Some("the account is refused")),
            ParkReason::SignInRefused(answer) => format!("no access token: {}", answer.sentence(None)),
            ParkReason::SignInImpossible(why) => format!("no access token: {why}"),
        }
    }
}

/// Why a delivery is not sent again, with what it is about.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryRefused {
    Unknown,
    NotConfigured(DestinationId),
    Delivered,
    TooOld,
    Superseded,
}

impl CodedReason for RetryRefused {
    type Code = RetryRefusedCode;

    fn code(&self) -> RetryRefusedCode {
        match self {
            RetryRefused::Unknown => RetryRefusedCode::Unknown,
            RetryRefused::NotConfigured(_) => RetryRefusedCode::NotConfigured,
            RetryRefused::Delivered => RetryRefusedCode::Delivered,
            RetryRefused::TooOld => RetryRefusedCode::TooOld,
            RetryRefused::Superseded => RetryRefusedCode::Superseded,
        }
    }

    fn sentence(&self) -> String {
        match self {
            RetryRefused::NotConfigured(destination) => {
                format!("the destination `{destination}` is not configured, so no one would send it")
            }
            _ => self.code().meaning().to_owned(),
        }
    }
}
