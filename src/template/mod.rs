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
