//! What the store keeps for the network's side: report rows, statuses, caps, suppression lists.

pub mod lists;
pub mod report;
pub mod rows;
pub mod statuses;
pub mod suppressed;
pub mod tally;
