//! What the store keeps for the network's side: report rows, statuses, caps, claims on clicks, suppression lists.

pub mod claims;
pub mod line;
pub mod lists;
pub mod report;
pub mod rows;
pub mod statuses;
pub mod suppressed;
