//! HTTP/1.1 on real sockets: bytes, limits, connections, smuggling.

mod boundaries;
mod bytes;
mod connections;
mod hints;
mod limits;
mod listen;
mod smuggling;
