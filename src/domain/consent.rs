//! What a visitor agreed to, when the visitor said so, and whether a destination may get their data. Pure.

use serde::{Deserialize, Serialize};

use crate::domain::skip::SkipReason;
use crate::domain::time::{MINUTE_MS, Time};

/// What a visitor answered. `None` in a field: not asked, or not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Whether data about the visitor may be given to ad platforms.
    pub ad_user_data: Option<bool>,
    /// Whether ads may be chosen by that data.
    pub ad_personalization: Option<bool>,
}

impl Consent {
    /// These answers, given at `at`.
    pub fn said_at(self, at: Time) -> ConsentRecord {
        let dated = |answer: Option<bool>| answer.map(|granted| DatedAnswer { granted, at });
        ConsentRecord {
            ad_user_data: dated(self.ad_user_data),
            ad_personalization: dated(self.ad_personalization),
        }
    }

    /// Whether data about the visitor was refused.
    pub fn refuses_data(self) -> bool {
        self.ad_user_data == Some(false)
    }
}

/// One answer, and when it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedAnswer {
    /// `false`: refused.
    pub granted: bool,
    /// When it was given; of an answer in a report, when what is reported happened.
    pub at: Time,
}

/// The latest answers, each with its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// See [`Consent::ad_user_data`]; `None`: no answer is known.
    pub ad_user_data: Option<DatedAnswer>,
    /// See [`Consent::ad_personalization`]; `None`: no answer is known.
    pub ad_personalization: Option<DatedAnswer>,
}

impl ConsentRecord {
    /// Of each question the later answer; of two with one time the stricter. In whatever order records
    /// are put together, and however often, the result is the same.
    #[must_use]
    pub fn latest(self, other: ConsentRecord) -> ConsentRecord {
        ConsentRecord {
            ad_user_data: later(self.ad_user_data, other.ad_user_data),
            ad_personalization: later(self.ad_personalization, other.ad_personalization),
        }
    }

    /// The refusals alone.
    #[must_use]
    pub fn refusals(self) -> ConsentRecord {
        let refused = |answer: Option<DatedAnswer>| answer.filter(|answer| !answer.granted);
        ConsentRecord {
            ad_user_data: refused(self.ad_user_data),
            ad_personalization: refused(self.ad_personalization),
        }
    }

    /// Whether no answer is known, neither a yes nor a no.
    pub fn is_empty(self) -> bool {
        self == ConsentRecord::default()
    }

    /// The answers without their times.
    pub fn answers(self) -> Consent {
        let granted = |answer: Option<DatedAnswer>| answer.map(|answer| answer.granted);
        Consent {
            ad_user_data: granted(self.ad_user_data),
            ad_personalization: granted(self.ad_personalization),
        }
    }
}

fn later(one: Option<DatedAnswer>, other: Option<DatedAnswer>) -> Option<DatedAnswer> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let rank = |answer: &DatedAnswer| (answer.at, !answer.granted);
    Some(if rank(&other) > rank(&one) { other } else { one })
}

/// By how much a browser's clock may differ from ours and still be taken as it is. Within it the times
/// of one browser keep their order exactly, however long its messages are under way.
pub const CLOCK_TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// When an answer was given that a browser reports at `received`. Both numbers are milliseconds of its
/// own clock: when the answer was given, and when the message was sent, where the message says so. A
/// clock that is wrong by more than the tolerance is corrected; no answer is of a time after its message.
pub fn said_by_browser(said: i64, sent: Option<i64>, received: Time) -> Time {
    let sent = sent.unwrap_or(received.as_millis());
    let age = sent.saturating_sub(said.max(0)).max(0);
    let wrong_by = received.as_millis().abs_diff(sent);
    let base = if wrong_by <= CLOCK_TOLERANCE_MS.unsigned_abs() { sent } else { received.as_millis() };
    Time::from_millis(base.saturating_sub(age).max(0)).unwrap_or(received)
}

/// What a destination needs of a visitor's consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsentNeed {
    /// It is an ad platform's: it gets nothing of a visitor who refused `ad_user_data`.
    pub personal: bool,
    /// It gets nothing without an explicit yes.
    pub explicit: bool,
}

impl ConsentNeed {
    /// Whether any answer makes a difference.
    pub fn asks(self) -> bool {
        self.personal || self.explicit
    }

    /// Why nothing may be sent after these answers, if nothing may.
    pub fn refusal(self, consent: Consent) -> Option<SkipReason> {
        match consent.ad_user_data {
            Some(false) if self.personal || self.explicit => Some(SkipReason::ConsentDenied),
            None if self.explicit => Some(SkipReason::ConsentUnknown),
            _ => None,
        }
    }
}
