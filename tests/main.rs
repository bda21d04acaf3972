//! The one integration-test binary: every file beside this one is a module of it.

mod wire_bytes;
mod wire_door;
mod destination_stories;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
