//! Source templates: from one network's parameters to a conversion's draft, or to the reason why there is none.
//!
//! Nothing here decides what a conversion is worth or whose it is, or knows a network's name.

pub(crate) mod body_limits;
pub mod character_reference;
pub mod charset;
pub(crate) mod defaults;
pub mod definition;
pub mod explain;
pub mod fault;
pub(crate) mod fields;
pub mod file;
pub(crate) mod html_repair;
pub mod json_body;
pub(crate) mod json_members;
pub(crate) mod links;
pub mod map;
pub mod multipart;
pub mod param_fault;
pub(crate) mod param_name;
pub mod params;
pub(crate) mod reader;
pub(crate) mod received;
pub(crate) mod repair;
pub mod request;
pub mod time;
