//! The worker of one target as it runs, and what is shown of the destinations that it sends to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dispatch::context::{AttemptContext, TargetSetup};
use crate::dispatch::tallies::{DestinationTally, Tallies};
use crate::dispatch::test_event::TestSender;
use crate::dispatch::worker::WorkerCommand;
use crate::domain::destination_state::DestinationState;
use crate::domain::ids::DestinationId;
use crate::domain::target::TargetId;

/// A worker, what it shares with its attempts, and the way to give it orders.
pub struct Running {
    pub shared: Arc<AttemptContext>,
    pub setup: Arc<TargetSetup>,
    pub orders: watch::Sender<WorkerCommand>,
    pub task: JoinHandle<()>,
}

impl Running {
    /// Turns to a new setup: what is in flight ends as it began.
    pub fn turn_to(self, setup: Arc<TargetSetup>, clock: &Clock) -> Running {
        self.shared.generation.store(setup.generation, Ordering::Release);
        // Another postback to a host is no reason to believe that the host does better.
        if matches!(self.shared.target, TargetId::Account(_)) {
            self.shared.target_health.renewed(!setup.sends, clock.now());
        }
        self.orders.send_replace(WorkerCommand::Run(Arc::clone(&setup)));
        Running { setup, ..self }
    }

    /// How each of its destinations is doing: the receiver's health is that of all of them.
    pub fn states(&self, tallies: &Tallies) -> Vec<DestinationState> {
        let health = &self.shared.target_health;
        let (parked, open_until) = (health.parked(), health.open_until());
        let hold = health.hold(self.shared.clock.now());
        let state = |destination: &DestinationId| {
            let DestinationTally { in_flight, is_tried, delivered, confirmations, last_error, .. } =
                tallies.of(destination);
            DestinationState {
                destination: destination.clone(),
                parked: parked.clone(),
                open_until,
                hold: hold.clone(),
                in_flight,
                is_tried,
                delivered,
                confirmations,
                last_error,
            }
        };
        self.setup.destinations.keys().map(state).collect()
    }

    /// By what a test event is sent to one of its destinations.
    pub fn test_sender(&self, destination: &DestinationId) -> Option<TestSender> {
        let to = Arc::clone(self.setup.destinations.get(destination)?);
        Some(TestSender::new(to, Arc::clone(&self.shared)))
    }
}
