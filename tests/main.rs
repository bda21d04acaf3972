//! The one integration-test binary: every file beside this one is a module of it.

mod destination_stories;
