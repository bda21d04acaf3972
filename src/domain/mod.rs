//! The nouns and the pure decisions about them: no IO, no async, no clock.

pub mod attribution;
pub mod click;
pub mod conversion;
pub mod delivery;
pub mod ids;
pub mod money;
pub mod postback;
pub mod time;
