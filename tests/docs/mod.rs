//! The documentation is true.

mod links;
mod readme;
mod reason_codes;
mod rejection_codes;
mod templates;
mod watching;
mod workflow;
