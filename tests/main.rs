//! The one integration-test binary: every file beside this one is a module of it.

mod cli_commands;
mod config_file;
mod config_problems;
mod destination_stories;
mod house_rules;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
mod store_conformance;
mod store_ground;
mod wire_boundaries;
mod wire_bytes;
mod wire_door;
mod wire_limits;
mod wire_listen;
mod wire_smuggling;
