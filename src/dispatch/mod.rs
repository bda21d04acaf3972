//! What is due goes out: claim, render, limit, send, judge, record. One lane a destination.

pub mod breaker;
pub mod schedule;
