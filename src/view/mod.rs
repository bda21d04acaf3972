//! What the API, the pages and `preview` show: one struct per noun, built by one function from domain types.
//! Every member is always there, null where nothing is known. Nothing here knows of HTTP, HTML or a terminal.

pub mod attempt;
pub mod attribution;
pub mod bytes;
pub mod campaign_ref;
pub mod click;
pub mod clock;
pub mod consent;
pub mod conversion;
pub mod delivery;
pub mod destination;
pub mod diagnostic;
pub mod error;
pub mod money;
pub mod page;
pub mod pairs;
pub mod postback;
pub mod preview;
pub mod receipt;
pub mod remark;
pub mod suppression;
pub mod template;
pub mod trace;
