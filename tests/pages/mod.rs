//! The pages, asked without a browser.

mod actions;
mod content;
mod erasures;
mod network_side;
mod pasted_urls;
mod rights;
mod served;
mod sign_in;
mod suppression_lists;
mod test_events;
