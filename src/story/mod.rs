//! Golden stories: what goes in, and exactly what must come out. Read, run and compared for `check` and the tests.
//!
//! Nothing here is part of a running relay.

mod confirm;
pub mod expected;
pub(crate) mod file;
pub mod lint;
pub mod preset;
mod repeat;
pub(crate) mod reply_file;
mod request_files;
pub mod run;
pub(crate) mod schemas;
mod sent;
mod signature;
pub mod source;
