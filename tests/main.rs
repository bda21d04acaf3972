//! The one integration-test binary: every file beside this one is a module of it.

mod store_conformance;
mod store_ground;
