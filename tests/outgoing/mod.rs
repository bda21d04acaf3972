//! Outgoing postbacks to affiliates' trackers.

pub mod hosts;
pub mod postbacks;
mod served;
