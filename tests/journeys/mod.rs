//! Whole journeys through a built `serve`, from outside.

mod addresses;
mod every_platform;
mod main_job;
mod nginx;
mod readme_steps;
mod real_senders;
