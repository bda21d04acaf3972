//! How one destination is doing, for people to look at.

use crate::domain::delivery::ReplyVerdict;
use crate::domain::delivery_reason::{ParkReason, RetryReason};
use crate::domain::ids::DestinationId;
use crate::domain::sent::ConfirmationCounts;
use crate::domain::time::Time;

/// How one destination is doing, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationState {
    /// A configured one.
    pub destination: DestinationId,
    /// Since when and why the destination's queue waits: its account was refused.
    pub parked: Option<(Time, ParkReason)>,
    /// Until when the breaker keeps attempts back after too many failures.
    pub open_until: Option<Time>,
    /// Whether the receiver asked to be left alone: nothing is sent until then.
    pub hold: Option<Hold>,
    /// Attempts that run at this moment.
    pub in_flight: u64,
    /// Whether a request was ever sent to it, also before the program started.
    pub is_tried: bool,
    /// Deliveries that were taken since the program started.
    pub delivered: u64,
    /// The same, by how certain that is.
    pub confirmations: ConfirmationCounts,
    /// The latest attempt that was to be repeated, died or parked the destination: when, and what it was.
    pub last_error: Option<(Time, ReplyVerdict)>,
}

/// A wait that a receiver asked for: all that is due there waits, and is not charged an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// When the answer that asked for it was received.
    pub since: Time,
    /// After that one delivery is sent to ask; the others go on when it is not refused the same way.
    pub until: Time,
    /// What the receiver said.
    pub reason: RetryReason,
}
