//! The leases of one attempt that have not ended, for the case that it is cut off or fails inside.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ids::DeliveryId;
use crate::domain::time::Time;
use crate::store::contract::work::{Claimed, LeaseToken};

/// Shared by an attempt and its worker.
#[derive(Clone, Default)]
pub struct OpenLeases(Arc<Mutex<Vec<OpenLease>>>);

/// A lease of a delivery, and what is recorded of it where its attempt fails inside.
pub struct OpenLease {
    pub id: DeliveryId,
    pub token: LeaseToken,
    /// How many counted before.
    pub attempts: u32,
    pub not_before: Option<Time>,
    /// Set once it is known what became of it: from then on its record ends the lease, and nothing else does.
    pub has_ended: bool,
}

impl OpenLeases {
    /// Those of what was claimed.
    pub fn of(work: &[Claimed]) -> OpenLeases {
        let lease = |claimed: &Claimed| OpenLease {
            id: claimed.id.clone(),
            token: claimed.lease.token,
            attempts: claimed.delivery.attempts,
            not_before: claimed.delivery.not_before,
            has_ended: false,
        };
        OpenLeases(Arc::new(Mutex::new(work.iter().map(lease).collect())))
    }

    /// It is known what became of these; their records are on their way.
    pub fn have_ended(&self, tokens: impl Iterator<Item = LeaseToken>) {
        let mut leases = self.0.lock();
        for token in tokens {
            if let Some(lease) = leases.iter_mut().find(|lease| lease.token == token) {
                lease.has_ended = true;
            }
        }
    }

    /// These are recorded.
    pub fn are_recorded(&self, tokens: impl Iterator<Item = LeaseToken>) {
        let mut leases = self.0.lock();
        for token in tokens {
            if let Some(at) = leases.iter().position(|lease| lease.token == token) {
                leases.swap_remove(at);
            }
        }
    }

    /// What is left of them.
    pub fn take(&self) -> Vec<OpenLease> {
        std::mem::take(&mut *self.0.lock())
    }
}
