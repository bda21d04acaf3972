//! The one integration-test binary: every folder next to this one is a module of it.

// Tests wait for other processes, and so look at the clock; and what is not as it must be ends them.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod advertiser_reports;
mod api;
mod cake;
mod cli;
mod code;
mod config;
mod decide;
mod dispatch;
mod docs;
mod fuzz;
mod http1;
mod in_chromium;
mod journeys;
mod links;
mod operations;
mod outgoing;
mod packaging;
mod pages;
mod send;
mod signatures;
mod store;
mod support;
mod tag;
mod template;
mod trials;
