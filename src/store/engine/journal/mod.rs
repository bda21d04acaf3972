//! The journal: every commit in the order in which it was answered. It is the truth; the index can be made anew from it.

pub mod append;
pub mod changes;
pub mod checked;
pub mod damage;
pub mod files;
pub mod finish;
pub mod finished;
pub mod frame;
pub mod inspect;
pub mod manifest;
pub mod replay;
pub mod rewrite;
pub mod segment;
pub mod segment_reader;
