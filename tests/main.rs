//! The one integration-test binary: every file beside this one is a module of it.

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
