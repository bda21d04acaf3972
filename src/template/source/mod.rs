//! Source templates: from one network's parameters to a conversion's draft, or to the reason why there is none.
//!
//! Nothing here decides what a conversion is worth or whose it is, or knows a network's name.

pub mod about;
pub(crate) mod alias;
pub(crate) mod character_reference;
pub(crate) mod charset;
pub(crate) mod click_id;
pub(crate) mod constant_params;
pub mod constants;
pub mod definition;
pub(crate) mod doubts;
pub(crate) mod events;
pub mod explain;
pub mod facts;
pub mod fault;
pub(crate) mod fields;
pub(crate) mod file;
pub mod guide;
pub(crate) mod html_repair;
pub(crate) mod items;
pub(crate) mod json_body;
pub mod map;
pub mod mapped_report;
pub(crate) mod missing_params;
pub mod multipart;
pub(crate) mod number;
pub(crate) mod param_names;
pub mod params;
pub mod pasted_address;
pub(crate) mod pasted_secrets;
pub(crate) mod reader;
pub(crate) mod received;
pub(crate) mod repair;
pub mod reply;
pub mod request;
pub(crate) mod time;
pub mod url_lint;
pub mod verify;
pub(crate) mod words;
