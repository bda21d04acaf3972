//! Outside words to nouns and back: what networks say becomes a conversion, a conversion what platforms want.

pub mod account;
mod bytes;
pub mod catalog;
pub mod destination;
mod destination_file;
mod engine;
mod expression;
mod fields;
mod formats;
mod normalise;
mod payload;
mod places;
pub mod reply;
mod reply_file;
mod requirement;
pub mod retry_after;
mod sheet;
mod signature;
pub mod stories;
mod story;
//! Outside words ↔ nouns: what networks call things becomes ours, and ours becomes the platforms'.

pub mod json_body;
pub mod params;
pub mod source;
pub mod source_fault;
pub mod source_file;
pub mod source_map;
pub mod source_story;
pub mod source_time;
pub mod toml_reader;
pub mod values;
