//! TOML documents, read with every problem at its line: the configuration, the templates and the stories.
//!
//! Nothing here knows what a key means; anyone who reads a document asks for its keys.

pub(crate) mod document;
pub(crate) mod outside;
pub(crate) mod overlay;
pub(crate) mod table;
pub(crate) mod text;
