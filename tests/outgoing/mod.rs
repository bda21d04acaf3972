//! Outgoing postbacks to affiliates' trackers.

mod hosts;
mod postbacks;
mod presets;
mod served;
