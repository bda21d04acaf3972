//! Work for dispatch: what is asked for, what is leased, what an attempt became, how much waits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::attempt::Attempt;
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, DestinationId, Seq};
use crate::domain::reconcile::Observed;
use crate::domain::sent::SentBefore;
use crate::domain::target::TargetId;
use crate::domain::time::Time;

/// What a target's worker asks for when it has room.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Whose queues are read: those of the destinations that the rules name as its own, and no other's.
    pub target: TargetId,
    /// What falls due by then is handed out.
    pub now: Time,
    /// How long the leases hold: longer than it takes until what is handed out is recorded.
    pub lease_for: Duration,
    /// Which deliveries of the target.
    pub wanted: WantedWork,
}

/// Which deliveries of a target are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedWork {
    /// Those that are due.
    Due {
        /// The most first attempts to hand out.
        fresh: usize,
        /// The most later attempts to hand out.
        retries: usize,
    },
    /// The one that waits longest, due or not: the probe of a parked target.
    Oldest,
}

/// Which lease of a delivery it is: what its holder ends it by. Once another has the delivery it says nothing any more.
/// No two leases have the same, not even of two processes one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseToken(u128);

impl LeaseToken {
    /// As the store numbers its leases.
    pub fn new(number: u128) -> LeaseToken {
        LeaseToken(number)
    }

    /// The number.
    pub fn get(self) -> u128 {
        self.0
    }
}

/// A delivery is its holder's until it is recorded or released, or the lease has run out and another has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// By what the attempt is recorded, or the lease given back.
    pub token: LeaseToken,
    /// How much time passes from the claim until it runs out, whatever a wall clock shows meanwhile. A holder who counts
    /// from before it asked is on the safe side.
    pub lasts: Duration,
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
    /// Whose it is.
    pub id: DeliveryId,
    /// By what it is recorded or given back, and for how long it is the caller's.
    pub lease: Lease,
    /// Read when it was claimed, so that its current value is what is sent.
    pub conversion: Conversion,
    /// As it was claimed: with the attempts that counted before this one, and with the last moment at which it may
    /// be sent as the rules have it now.
    pub delivery: Delivery,
    /// As it is kept, with its visitor's latest answers.
    pub click: Option<Arc<Click>>,
    /// Whether the destination was sent the conversion on an earlier occasion.
    pub sent_before: bool,
    /// What it was sent, where this is a change of that.
    pub before: SentBefore,
}

/// What an attempt became.
#[derive(Debug, Clone)]
pub struct AttemptOutcome {
    /// The delivery that was claimed.
    pub id: DeliveryId,
    /// The lease by which it was; it ends.
    pub lease: LeaseToken,
    /// What was sent and received, with secrets masked.
    pub attempt: Attempt,
    /// The delivery after the attempt: its state, and how many attempts have counted.
    pub state: DeliveryState,
    /// The new count, not what to add: a park leaves it as it was.
    pub attempts: u32,
    /// What the attempt knew, so that what was received meanwhile is not lost. `None` where it knew nothing:
    /// it failed inside.
    pub observed: Option<Observed>,
    /// Whether what is sent of the delivery next may be a repeat.
    pub repeat: RepeatRisk,
}

/// Whether what is sent next may be a repeat of what the platform has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RepeatRisk {
    /// Where it is sent again after no one knows what became of it: it got no answer, or its lease had run out.
    #[default]
    AfterTheUnknown,
    /// It was sent more than once in this attempt, and the platform may have taken each.
    Certain,
    /// No: the platform counts what is repeated once.
    CountedOnce,
}

/// What became of what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The attempt is kept, and the delivery is as it says.
    Settled,
    /// The lease had run out and another has, or had, the delivery: the attempt is kept as late, and changed nothing.
    Late,
    /// The delivery is not kept any more.
    Gone,
    /// The delivery's own record cannot be read, or written: nothing is kept of the attempt. The delivery is handed to
    /// no one before the next start, since no attempt at it could be recorded.
    Damaged,
}

/// A delivery that its platform accepted, and of which the platform says later whether it took it. It is in no one's hands:
/// who asks the platform twice is answered twice.
#[derive(Debug, Clone)]
pub struct Unconfirmed {
    /// Whose it is.
    pub id: DeliveryId,
    /// As it is now.
    pub conversion: Conversion,
    /// As it is kept: [`DeliveryState::Confirming`].
    pub delivery: Delivery,
    /// As it is kept.
    pub click: Option<Arc<Click>>,
    /// The attempt that was accepted, without its exchange.
    pub accepted: Attempt,
}

/// What a destination's platform is to be asked about.
#[derive(Debug, Clone, Default)]
pub struct UnconfirmedWork {
    /// Those whose time to ask has come, the longest due first: all of one request are next to one another, since they
    /// are asked about together.
    pub deliveries: Vec<Unconfirmed>,
    /// When the next one is due, if any is.
    pub next_poll: Option<Time>,
}

/// What asking a platform about a delivery became.
#[derive(Debug, Clone)]
pub struct ConfirmOutcome {
    /// Which it is.
    pub id: DeliveryId,
    /// The request that was asked about, and how often that had been before: where the delivery is no longer so, nothing
    /// changes.
    pub request_id: String,
    /// See `request_id`.
    pub tries: u32,
    /// The delivery from now on.
    pub state: DeliveryState,
    /// What is kept of asking; `None` where it goes on: only the last one is kept.
    pub attempt: Option<Attempt>,
    /// Whether what is sent of the delivery next may be a repeat: the platform refused one, and it is not certain which.
    pub repeat: RepeatRisk,
}

/// A delivery that ended without an attempt because it waited too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Which it was.
    pub id: DeliveryId,
    /// Skipped or dead, with the reason.
    pub state: DeliveryState,
}

/// What the passing of time alone changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallsDue {
    /// Deliveries that wait past the last moment at which their platform takes the event end, as their turn would end
    /// them: not those that are leased, nor those for a destination that is out of the configuration. An attempt
    /// without a request is kept of each.
    Expiry,
    /// Held deliveries whose time is over are skipped.
    Holds,
    /// Pending conversions get the status that their offer's disposition foresees.
    Dispositions,
}

/// What fell due and was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FellDue {
    /// By [`FallsDue::Expiry`] these deliveries ended.
    Deliveries(Vec<Expired>),
    /// So many conversions changed.
    Conversions(usize),
}

impl FellDue {
    /// How much it is.
    pub fn count(&self) -> usize {
        match self {
            FellDue::Deliveries(ended) => ended.len(),
            FellDue::Conversions(changed) => *changed,
        }
    }

    /// The deliveries that ended.
    pub fn deliveries(self) -> Vec<Expired> {
        match self {
            FellDue::Deliveries(ended) => ended,
            FellDue::Conversions(_) => Vec::new(),
        }
    }
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
    /// The first moment at which an event that waits becomes too old for its platform, leased ones included; `None` where
    /// none does.
    pub first_loss: Option<Time>,
    /// The number of the oldest conversion that waits to be sent, and is not to be sent later only.
    pub oldest_unsent: Option<Seq>,
    /// Dead letters that are kept.
    pub dead: u64,
}

impl Backlog {
    /// Whether anything is held, waits, or is to be confirmed.
    pub fn is_unfinished(&self) -> bool {
        self.held + self.waiting + self.confirming > 0
    }
}
