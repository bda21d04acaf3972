//! The one integration-test binary: every file beside this one is a module of it.

mod destination_payloads;
mod destination_problems;
mod destination_replies;
mod destination_stories;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
