//! Outside words ↔ nouns: what networks call things becomes ours, and ours becomes the platforms'.
//!
//! Nothing here waits, stores or sends, and nothing knows a network's or a platform's name: those are text files.

pub mod catalog;
pub mod destination;
pub mod diagnostic;
pub mod macros;
pub mod minify;
pub mod preset;
pub mod provenance;
pub mod source;
pub mod story_counts;
pub mod tag_script;
pub(crate) mod toml_doc;
pub(crate) mod typed_text;
