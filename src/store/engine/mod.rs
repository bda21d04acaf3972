//! What is under the embedded store: ordered keys and values, one durable batch at a time. Nothing here knows a record.

mod block;
pub mod error;
#[cfg(feature = "conformance")]
pub mod faulty;
pub mod folder;
pub mod kv;
#[cfg(feature = "conformance")]
pub mod memory;
pub mod packed;
mod pieces;
mod recent_blocks;
pub mod sled;
