//! What the store is given and what it answers: one file for what is received, one for what is looked up.

pub mod arrival;
pub mod lookup;
