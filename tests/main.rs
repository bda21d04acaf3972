//! The one integration-test binary: every file beside this one is a module of it.

mod wire_boundaries;
mod wire_bytes;
mod wire_door;
mod wire_limits;
mod wire_listen;
mod wire_smuggling;
