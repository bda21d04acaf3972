//! The way out: an HTTP client that reaches web addresses only, within its deadline, and keeps little of an answer.

pub mod client;
pub mod guard;
