//! What the API, the pages and `preview` show: one struct per noun, built by one function from domain types.
//! Every member is always there, null where nothing is known. Nothing here knows of HTTP, HTML or a terminal.

pub mod click;
pub mod clock;
pub mod conversion;
pub mod delivery;
pub mod destination;
pub mod postback;
pub mod preview;
pub mod problem;
pub mod reason;
pub mod schema;
pub mod suppression;
pub mod template;
pub mod value;
