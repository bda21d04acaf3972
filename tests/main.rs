//! The one integration-test binary: every file beside this one is a module of it.

mod destination_stories;
mod dispatch_breaker;
mod dispatch_decide;
mod dispatch_health;
mod dispatch_lanes;
mod dispatch_platforms;
mod dispatch_schedule;
mod dispatch_shares;
mod dispatch_world;
mod send_client;
mod send_guard;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
mod standin;
mod store_conformance;
mod store_arrivals;
mod store_deliveries;
mod store_ground;
mod store_keeping;
