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
