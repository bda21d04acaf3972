//! What is known of a visitor by other means than the request's own words: the program behind a user agent, the country of
//! an address.
//!
//! Nothing here keeps anything or asks anyone: it reads a list that is compiled in, and a file.

pub mod agent;
pub mod country;
