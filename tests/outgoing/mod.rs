//! Outgoing postbacks to affiliates' trackers.

mod hosts;
mod postbacks;
mod served;
