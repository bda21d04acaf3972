//! `postbridge.toml` → a validated [`Config`](configuration::Config), or every problem at once, each with its line and fix.
//!
//! Read once at the start and at a reload; nothing here is asked while a request is answered, and nothing here
//! opens a store or a socket.

pub(crate) mod campaign;
pub(crate) mod checks;
pub mod configuration;
pub(crate) mod creative;
pub(crate) mod destination;
pub(crate) mod endpoints;
pub(crate) mod exposure;
pub mod file;
pub(crate) mod filters;
pub mod links;
pub(crate) mod mount_points;
pub(crate) mod names;
pub(crate) mod offer;
pub(crate) mod outgoing;
pub(crate) mod part;
pub mod postback_url;
pub(crate) mod preset;
pub mod secret_files;
pub mod secrets;
pub(crate) mod server;
pub(crate) mod server_exposure;
pub(crate) mod source;
pub(crate) mod source_checks;
pub(crate) mod source_words;
pub(crate) mod templates;
pub(crate) mod verify;
