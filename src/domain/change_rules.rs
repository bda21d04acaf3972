//! What a destination can be informed of after it was sent a conversion, as its template has it.

use crate::domain::sent::DeliveryKind;

/// What becomes of a conversion's changes at a destination that was sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Nothing, and no one expects it: an outgoing postback that reports each conversion once.
    Never,
    /// What its rules say.
    By(ChangeRules),
}

impl Changes {
    /// Each change is reported, whatever it is of.
    pub const EACH: Changes = Changes::By(ChangeRules {
        on_value: OnValue::Restate,
        on_rejected: OnRejected::Status,
        ..ChangeRules::NONE
    });

    /// Its rules, where it has any.
    pub fn rules(self) -> Option<ChangeRules> {
        match self {
            Changes::Never => None,
            Changes::By(rules) => Some(rules),
        }
    }

    /// Whether a change is the event once more with its status, which says all of it.
    pub fn are_by_status(self) -> bool {
        self.rules().is_some_and(|rules| rules.on_rejected == OnRejected::Status)
    }

    /// Whether a delivery of this kind, of what was sent before, informs the destination of a change.
    pub fn hear(self, kind: DeliveryKind) -> bool {
        self.are_by_status() || (self != Changes::Never && kind.is_change())
    }
}

/// What a destination can be informed of, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeRules {
    /// What another value becomes.
    pub on_value: OnValue,
    /// What becomes of it where the conversion is rejected or scrubbed.
    pub on_rejected: OnRejected,
    /// What becomes of it where it was taken back and is approved again.
    pub after_retract: OnValue,
    /// How old the first delivery must be, in milliseconds since it was delivered; `None`: of any age.
    pub min_age_ms: Option<i64>,
    /// How old the event may be, in milliseconds since it happened; `None`: of any age.
    pub max_age_ms: Option<i64>,
}

impl ChangeRules {
    /// Those of a platform that can be informed of nothing.
    pub const NONE: ChangeRules = ChangeRules {
        on_value: OnValue::None,
        on_rejected: OnRejected::None,
        after_retract: OnValue::None,
        min_age_ms: None,
        max_age_ms: None,
    };
}

/// What another value of a conversion becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnValue {
    /// The new one is sent in the place of the one that was.
    Restate,
    /// Nothing: the platform keeps the one that it has.
    #[default]
    None,
}

impl OnValue {
    /// The words of a template.
    pub const NAMES: [(&'static str, OnValue); 2] = [("restate", OnValue::Restate), ("none", OnValue::None)];
}

/// What becomes of a conversion that was sent and is rejected or scrubbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRejected {
    /// It is taken back.
    Retract,
    /// It is restated as worth 0: the platform counts it still.
    Zero,
    /// It is sent again with its status, as every change is.
    Status,
    /// Nothing: the platform cannot take it back.
    #[default]
    None,
}

impl OnRejected {
    /// The words of templates and of the configuration.
    pub const NAMES: [(&'static str, OnRejected); 4] = [
        (OnRejected::Retract.as_str(), OnRejected::Retract),
        (OnRejected::Zero.as_str(), OnRejected::Zero),
        (OnRejected::Status.as_str(), OnRejected::Status),
        (OnRejected::None.as_str(), OnRejected::None),
    ];

    /// As templates and the configuration write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnRejected::Retract => "retract",
            OnRejected::Zero => "zero",
            OnRejected::Status => "status",
            OnRejected::None => "none",
        }
    }
}
