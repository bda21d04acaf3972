//! What the API, the pages and `preview` show: one struct per noun, built by one function from domain types.
//! Every member is always there, null where nothing is known. Nothing here knows of HTTP, HTML or a terminal.

pub(crate) mod click;
pub(crate) mod clock;
pub(crate) mod conversion;
pub(crate) mod delivery;
pub(crate) mod destination;
pub(crate) mod erasure;
pub mod postback;
pub(crate) mod preview;
pub(crate) mod problem;
pub(crate) mod reason;
pub(crate) mod reason_code;
pub(crate) mod schema;
pub(crate) mod store_work;
pub(crate) mod suppression;
pub(crate) mod template;
pub(crate) mod test_event;
pub(crate) mod url_finding;
pub(crate) mod value;
