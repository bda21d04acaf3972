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
