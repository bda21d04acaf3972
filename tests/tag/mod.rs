//! The tag: its script, its endpoint, and consent through it.

mod consent;
mod endpoint;
mod script;
