//! `postbridge.toml` → a validated [`Config`](configuration::Config), or every problem at once, each with its line and fix.
//!
//! Read once at the start and at a reload; nothing here is asked while a request is answered, and nothing here
//! opens a store or a socket.

pub mod campaign;
pub mod checks;
pub mod configuration;
pub mod creative;
pub mod destination;
pub mod endpoints;
pub mod exposure;
pub mod file;
pub mod filters;
pub mod links;
pub mod names;
pub mod offer;
pub mod outgoing;
pub mod part;
pub mod secrets;
pub mod server;
pub mod server_exposure;
pub mod source;
pub mod templates;
