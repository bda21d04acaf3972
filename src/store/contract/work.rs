//! Work for dispatch: what is asked for, what is leased, what an attempt became, how much waits.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, DestinationId, Seq};
use crate::domain::reconcile::Observed;
use crate::domain::target::TargetId;
use crate::domain::time::Time;

/// What a target's worker asks for when it has room.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Whose queues are read: those of the destinations that the rules name as its own, and no other's.
    pub target: TargetId,
    /// What falls due by then is handed out.
    pub now: Time,
    /// The most first attempts to hand out.
    pub fresh: usize,
    /// The most later attempts to hand out.
    pub retries: usize,
}

/// Work that is leased to the caller until it is recorded or released.
#[derive(Debug, Clone, Default)]
pub struct LeasedWork {
    /// Each is sent once, then recorded or released; first attempts come before retries.
    pub work: Vec<Claimed>,
    /// When the next delivery to the target falls due, if none is now. A hint.
    pub next_due: Option<Time>,
}

/// One leased delivery with its conversion as it is now, and the click if it is matched and kept.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// By what the attempt is recorded or the lease released.
    pub id: DeliveryId,
    /// Read when it was claimed, so that its current value is what is sent.
    pub conversion: Conversion,
    /// As it was claimed: with the attempts that counted before this one, and with the last moment at which it may
    /// be sent as the rules have it now.
    pub delivery: Delivery,
    /// As it is kept, with its visitor's latest answers.
    pub click: Option<Arc<Click>>,
    /// Whether the destination was sent the conversion on an earlier occasion.
    pub sent_before: bool,
}

/// What an attempt became.
#[derive(Debug, Clone)]
pub struct AttemptOutcome {
    /// The delivery that was claimed; its lease ends.
    pub id: DeliveryId,
    /// What was sent and received, with secrets masked.
    pub attempt: Attempt,
    /// The delivery after the attempt: its state, and how many attempts have counted.
    pub state: DeliveryState,
    /// The new count, not what to add: a park leaves it as it was.
    pub attempts: u32,
    /// What the attempt knew, so that what was received meanwhile is not lost. `None` where it knew nothing:
    /// it failed inside.
    pub observed: Option<Observed>,
}

/// A delivery that ended without an attempt because it waited too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Which it was.
    pub id: DeliveryId,
    /// Skipped or dead, with the reason.
    pub state: DeliveryState,
}

/// How much one destination has before it. Counted as things happen, never scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Always set by the store; `None` only in a backlog that is empty by default.
    pub destination: Option<DestinationId>,
    /// Waits for its click.
    pub held: u64,
    /// Has its click or needs none, due or not.
    pub waiting: u64,
    /// Accepted by the platform, which has not said yet whether it took it.
    pub confirming: u64,
    /// Waiting and due at the time asked for, leased ones included.
    pub due: u64,
    /// The earliest due time that has passed; `None` where nothing is due.
    pub oldest_due: Option<Time>,
    /// The number of the oldest conversion that waits to be sent, and is not to be sent later only.
    pub oldest_unsent: Option<Seq>,
    /// Dead letters that are kept.
    pub dead: u64,
}
