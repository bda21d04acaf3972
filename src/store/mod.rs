//! What is remembered: the contract by intent, and the embedded store behind it.

mod cache;
mod codec;
mod command_queue;
mod commit;
pub mod contract;
pub(crate) mod crash;
mod decision;
pub mod embedded;
pub mod engine;
mod index;
mod leases;
mod query;
mod reader;
mod rebuild;
mod records;
mod seq_map;
mod table;
mod weight;
pub mod writer;
