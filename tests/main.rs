//! The one integration-test binary: every file beside this one is a module of it.

// Tests wait for other processes, and so look at the clock.
#![allow(clippy::disallowed_methods)]

mod cli_commands;
mod config_file;
mod config_problems;
mod decisions;
mod destination_payloads;
mod destination_problems;
mod destination_replies;
mod destination_stories;
mod dispatch_breaker;
mod dispatch_decide;
mod dispatch_health;
mod dispatch_lanes;
mod dispatch_platforms;
mod dispatch_schedule;
mod dispatch_shares;
mod dispatch_world;
mod house_rules;
mod journey;
mod kill;
mod masking;
mod nginx;
mod operations;
mod pages_act;
mod pages_ground;
mod pages_in_chromium;
mod pages_show;
mod pages_sign_in;
mod platform;
mod relay;
mod send_client;
mod send_guard;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
mod standin;
mod store_arrivals;
mod store_child;
mod store_deliveries;
mod store_faults;
mod store_fixture;
mod store_ground;
mod store_groups;
mod store_keeping;
mod store_kill;
mod store_power_cut;
mod store_sled;
mod wire_boundaries;
mod wire_bytes;
mod wire_door;
mod wire_limits;
mod wire_listen;
mod wire_smuggling;
