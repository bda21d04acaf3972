//! The leases of one attempt that have not ended, for the case that it is cut off or fails inside.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ids::DeliveryId;
use crate::domain::time::Time;
use crate::store::contract::work::{Claimed, LeaseToken, RepeatRisk};

/// Shared by an attempt and its worker.
#[derive(Clone, Default)]
pub struct OpenLeases(Arc<Mutex<Vec<OpenLease>>>);

/// A lease of a delivery, and what is recorded of it where its attempt is cut off or fails inside.
pub struct OpenLease {
    pub id: DeliveryId,
    pub token: LeaseToken,
    /// How many counted before.
    pub attempts: u32,
    pub not_before: Option<Time>,
    pub stage: LeaseStage,
    /// Whether what is sent next may be a repeat, once something has left.
    pub repeat: RepeatRisk,
}

/// How far the attempt at a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStage {
    /// Nothing has left: it may be given back.
    Unsent,
    /// A request with it has left, and it is not known what became of it.
    Sent,
    /// It is known: its record ends the lease, and nothing else does.
    Ended,
}

impl OpenLeases {
    /// Those of what was claimed.
    pub fn of(work: &[Claimed]) -> OpenLeases {
        let lease = |claimed: &Claimed| OpenLease {
            id: claimed.id.clone(),
            token: claimed.lease.token,
            attempts: claimed.delivery.attempts,
            not_before: claimed.delivery.not_before,
            stage: LeaseStage::Unsent,
            repeat: RepeatRisk::default(),
        };
        OpenLeases(Arc::new(Mutex::new(work.iter().map(lease).collect())))
    }

    /// A request with these leaves.
    pub fn mark_sent(&self, sent: impl Iterator<Item = (LeaseToken, RepeatRisk)>) {
        let mut leases = self.0.lock();
        each(&mut leases, sent, |lease, repeat| {
            lease.stage = LeaseStage::Sent;
            lease.repeat = repeat;
        });
    }

    /// It is known what became of these; their records are on their way.
    pub fn mark_ended(&self, tokens: impl Iterator<Item = LeaseToken>) {
        let mut leases = self.0.lock();
        each(&mut leases, tokens.map(|token| (token, ())), |lease, ()| lease.stage = LeaseStage::Ended);
    }

    /// These are recorded.
    pub fn forget(&self, tokens: &[LeaseToken]) {
        let mut leases = self.0.lock();
        match tokens.len() {
            len if len == leases.len() => leases.clear(),
            _ => leases.retain(|lease| !tokens.contains(&lease.token)),
        }
    }

    /// What is left of them.
    pub fn take(&self) -> Vec<OpenLease> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Changes the leases with these tokens, which are in their order most often.
fn each<T>(
    leases: &mut [OpenLease],
    tokens: impl Iterator<Item = (LeaseToken, T)>,
    change: impl Fn(&mut OpenLease, T),
) {
    let mut next = 0;
    for (token, with) in tokens {
        let is_next = leases.get(next).is_some_and(|lease| lease.token == token);
        let found = if is_next { Some(next) } else { leases.iter().position(|lease| lease.token == token) };
        if let Some((at, lease)) = found.and_then(|at| Some((at, leases.get_mut(at)?))) {
            change(lease, with);
            next = at + 1;
        }
    }
}
