//! The CAKE-compatible API.

mod calls;
mod stories;
