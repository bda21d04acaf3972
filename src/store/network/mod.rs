//! What the store keeps for the network's side: report rows, statuses, caps, claims on clicks, suppression lists.

pub(crate) mod claims;
pub(crate) mod line;
pub(crate) mod lists;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod statuses;
pub(crate) mod suppressed;
