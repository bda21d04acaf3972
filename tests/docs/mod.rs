//! The documentation is true.

mod readme;
mod watching;
