//! The one integration-test binary: every file beside this one is a module of it.

mod dispatch_breaker;
mod dispatch_schedule;
mod send_client;
mod send_guard;
mod standin;
mod destination_stories;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
