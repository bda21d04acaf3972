//! What is under the embedded store: ordered keys and values, one durable batch at a time. Nothing here knows a record.

pub mod backup;
mod block;
pub mod checkpoint;
mod compare;
mod convert;
pub mod current_index;
pub mod data_folder;
pub mod erasure_file;
pub mod error;
#[cfg(feature = "conformance")]
pub mod faulty;
pub mod folder;
mod heal;
mod index_folder;
mod index_note;
pub mod index_renewal;
pub mod index_sums;
pub mod journal;
pub mod journaled;
pub mod kv;
#[cfg(feature = "conformance")]
pub mod memory;
mod merge;
pub mod open_folder;
pub mod overlay;
pub mod packed;
mod pieces;
mod recent_blocks;
mod repair;
pub mod restore;
pub mod salvage;
pub mod sled;
pub mod tidy;
pub mod torn_end;
mod unhealed;
mod unreadable;
pub mod verify;
pub mod verify_live;
