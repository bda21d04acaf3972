//! What each destination has before it.

use crate::domain::ids::Seq;
use crate::domain::time::Time;
use crate::store::contract::work::Backlog;
use crate::store::index::Index;

impl Index {
    /// What every destination has before it that has unfinished or dead deliveries, by name.
    pub fn backlog(&mut self, now: Time) -> Vec<Backlog> {
        let busy = self.queues.each().filter(|(_, queues)| queues.has_unfinished() || queues.dead() > 0);
        let mut backlog: Vec<Backlog> = busy
            .map(|(destination, queues)| Backlog {
                destination: Some(destination.clone()),
                held: queues.held(),
                waiting: queues.waiting(),
                confirming: queues.confirming(),
                due: queues.due(now),
                oldest_due: queues.oldest_due(now),
                first_loss: queues.first_expiry(),
                oldest_unsent: queues.oldest_unsent(now).and_then(Seq::new),
                dead: queues.dead(),
            })
            .collect();
        backlog.sort_by(|a, b| a.destination.cmp(&b.destination));
        backlog
    }
}
