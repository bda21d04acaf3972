//! Presets: the postback URLs of traffic sources and trackers, and what these answer, as text.

pub mod definition;
pub(crate) mod file;
pub(crate) mod fill;
pub mod usage;
