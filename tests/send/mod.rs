//! Sending: what is received from a platform, and which addresses are reached.

mod client;
mod guard;
