//! The verb for what arrives: a postback or a click becomes one durable write. No HTTP here.

pub mod click;

pub mod postback;
pub mod preview;
pub mod status;
pub mod suppression;
