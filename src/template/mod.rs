//! Outside words ↔ nouns: what networks say becomes a conversion, a conversion what platforms want.
//! Outside words ↔ nouns: what networks call things becomes ours, and ours becomes the platforms'.

pub mod account;
mod bytes;
pub mod catalog;
pub mod destination;
mod destination_file;
mod engine;
mod expression;
mod fields;
mod formats;
pub mod json_body;
mod normalise;
pub mod params;
mod payload;
mod places;
pub mod reply;
mod reply_file;
mod requirement;
pub mod retry_after;
mod sheet;
mod signature;
pub mod source;
pub mod source_fault;
pub mod source_file;
pub mod source_map;
pub mod source_stories;
pub mod source_story;
pub mod source_time;
pub mod stories;
mod story;
pub mod toml_reader;
pub mod values;
