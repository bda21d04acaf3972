//! The nouns and the pure decisions about them: no IO, no async, no clock.

pub mod address;
pub mod attribution;
pub mod catch_up;
pub mod click;
pub mod consent;
pub mod conversion;
pub mod decision;
pub mod delivery;
pub mod earning;
pub mod filter;
pub mod ids;
pub mod mask;
pub mod missing_click;
pub mod moment;
pub mod money;
pub mod offer;
pub mod postback;
pub mod rejection;
pub mod remark;
pub mod rights;
pub mod routing;
pub mod rulebook;
pub mod status;
pub mod suppression;
pub mod text;
pub mod time;
