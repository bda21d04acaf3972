//! Until when what waits may be sent, and what may be no longer.

use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::expiry;
use crate::domain::ids::DestinationId;
use crate::domain::routing::Route;
use crate::domain::time::Time;
use crate::store::index::Index;
use crate::store::table::delivery::DeliverySlot;

impl Index {
    /// Which destinations are configured from now on, and how old their events may be.
    pub fn go_by(&mut self, routes: &[Route]) {
        self.max_ages = routes.iter().map(|route| (route.destination.clone(), route.max_age_ms)).collect();
    }

    /// The last moment at which a delivery may be sent: by what is configured now, else as it was planned.
    pub fn expires_at(&self, conversion: &Conversion, delivery: &Delivery) -> Option<Time> {
        match self.max_ages.get(&delivery.destination) {
            Some(max_age_ms) => expiry::expires_at(conversion.event_time, *max_age_ms),
            None => delivery.expires_at,
        }
    }

    /// Up to `most` deliveries to configured destinations that wait past their last moment, by destination.
    pub fn expired(&self, now: Time, most: usize) -> Vec<(DestinationId, DeliverySlot)> {
        let configured =
            self.all_queues.iter().filter(|(destination, _)| self.max_ages.contains_key(destination));
        let expired = configured.flat_map(|(destination, queues)| {
            queues.expired(now).map(move |slot| (destination.clone(), slot))
        });
        expired.take(most).collect()
    }
}
