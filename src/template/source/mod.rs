//! Source templates: from one network's parameters to a conversion's draft, or to the reason why there is none.
//!
//! Nothing here decides what a conversion is worth or whose it is, or knows a network's name.

pub mod character_reference;
pub mod charset;
pub mod definition;
pub mod explain;
pub mod fault;
pub(crate) mod fields;
pub mod file;
pub(crate) mod html_repair;
pub mod json_body;
pub mod map;
pub mod multipart;
pub mod params;
pub(crate) mod reader;
pub(crate) mod received;
pub(crate) mod repair;
pub mod request;
pub mod time;
