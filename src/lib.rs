//! Postbridge: a postback relay and attribution bridge. This page is the map of the house.
//!
//! Nouns, words, memory, three verbs, doors. `domain` holds the nouns; `template` turns outside words
//! into nouns and back; `store` remembers. The verbs meet only in the store: `ingest` (something
//! arrived → one write), `dispatch` (something is due out), `upkeep` (time passed). `web` and `send`
//! are the doors, `config`, `app` and `cli` the wiring.
//!
//! What holds everywhere:
//!
//! 1. A 200 means durable. Any storage error is a 503, and the process ends.
//! 2. Every postback with a valid key leaves one record with its bytes, whatever happens.
//! 3. A conversion, or a change to it, and the deliveries it causes appear together or not at all.
//! 4. Ids are derived: a retry, a replay and a re-import carry the same event id.
//! 5. At least once, never silently dropped: a delivery ends as delivered, dead or skipped.
//! 6. One sick destination never delays another, and retries never starve fresh events.
//! 7. Money is a decimal and a currency from end to end.
//! 8. Secrets live in the configuration and in the outgoing request, nowhere else.
//! 9. `now` is an argument; only `ambient` reads a clock.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![deny(clippy::disallowed_methods)]

pub mod problem;

pub mod ambient;

pub mod domain;

pub mod template;

pub mod config;

pub mod store;

pub mod ingest;

pub mod send;

pub mod dispatch;

pub mod upkeep;

pub mod web;

pub mod app;

pub mod cli;
