//! Whole journeys through a built `serve`, from outside.

mod accounts;
mod addresses;
mod changes;
mod every_platform;
mod later_verdicts;
mod ledger;
mod main_job;
mod moved_relay;
mod nginx;
mod readme_steps;
mod real_senders;
mod revoked_grants;
mod sales;
mod test_events;
mod unfilled_macros;
