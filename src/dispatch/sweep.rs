//! How far a sweep through a queue that may not be sent has come.

use crate::domain::delivery::DeliveryState;
use crate::domain::ids::DeliveryId;
use crate::domain::time::Time;
use crate::store::Claimed;

/// The place in the queue up to which a sweep has looked.
pub struct Passed {
    /// All that is due earlier was looked at.
    pub due: Time,
    /// What is due just then and can still wait: kept until the sweep is past it, or the next step
    /// would be given the same again.
    pub held: Vec<DeliveryId>,
}

impl Passed {
    /// Goes past one that can wait; answers what need not be kept any more.
    pub fn by(&mut self, claimed: Claimed) -> Vec<DeliveryId> {
        let due = match claimed.delivery.state {
            DeliveryState::Waiting { due } => due,
            _ => self.due,
        };
        let behind = if due > self.due { std::mem::take(&mut self.held) } else { Vec::new() };
        self.due = self.due.max(due);
        self.held.push(claimed.id);
        behind
    }
}
