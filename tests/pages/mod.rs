//! The pages, asked without a browser.

mod actions;
mod content;
mod network_side;
mod rights;
pub mod served;
mod sign_in;
