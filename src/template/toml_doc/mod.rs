//! TOML documents, read with every problem at its line: the configuration, the templates and the stories.
//!
//! Nothing here knows what a key means; anyone who reads a document asks for its keys.

pub mod document;
pub mod outside;
pub mod table;
pub mod text;
