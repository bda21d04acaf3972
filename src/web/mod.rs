//! The front door: what comes in over HTTP, from the bytes of the wire to the answer.

pub mod listen;
pub mod tls;
pub mod wire;
