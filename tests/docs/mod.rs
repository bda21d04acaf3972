//! The documentation is true.

mod links;
mod readme;
mod templates;
mod watching;
