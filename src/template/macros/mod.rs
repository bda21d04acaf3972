//! Macros: how the URLs of networks write the place of a value, and what is written there when nothing filled it in.
//!
//! Nothing here knows of a source or a platform; a grammar is an argument.

pub mod detect;
pub(crate) mod direct_link;
pub mod grammar;
pub mod names;
pub mod outgoing;
pub(crate) mod parameters;
pub(crate) mod placeholder;
mod shape;
pub mod url;
