//! Postbridge: a postback relay and attribution bridge. This page is the map of the crate.
//!
//! `domain` holds the nouns and the pure rules about them; `template` reads what networks send and writes what
//! platforms want; `store` keeps it all. `ingest` (something was received → one write), `dispatch` (something is due to
//! be sent), `maintenance` (time has passed) and `ops` (a person wants something) meet only in the store. `web` and
//! `send` are the way in and the way out; `config`, `app` and `cli` the wiring.
//!
//! ARCHITECTURE.md follows a postback, a delivery and a click through the files.
//!
//! What holds everywhere:
//!
//! 1. A 200 means durable. A storage error is a 503, and a broken store ends the process.
//! 2. Every postback with a valid key leaves one record with its bytes, whatever is wrong with it; what cannot be
//!    recorded is answered 503 and sent again.
//! 3. A conversion, or a change to it, and the deliveries it causes appear together or not at all.
//! 4. Ids are derived: a retry, a replay and a re-import carry the same event id.
//! 5. At least once, never silently dropped: a delivery ends as delivered, dead or skipped.
//! 6. One sick destination never delays another, and retries never starve fresh events.
//! 7. Money is a decimal and a currency from end to end.
//! 8. Secrets live in the configuration and in the outgoing request, nowhere else.
//! 9. `now` is an argument; only `clock` reads a clock.

#![forbid(unsafe_code)]

// Clock and entropy: the only inputs that do not arrive in a request.
pub mod clock;

// The nouns, and the pure decisions about them: whose sale it is, what it pays, who is notified.
pub mod domain;

// Outside words to nouns, and nouns to payloads: every network and platform is a text file. The macros of
// outgoing postbacks and the tag's script are made here too.
pub mod template;

// postbridge.toml, read whole: every problem at once, each with its line.
pub mod config;

// What is remembered: the contract by intent, and the embedded store behind it.
pub mod store;

// What is known of a visitor's program and country.
pub mod enrich;

// Something arrived (a postback, a click, a pixel): one durable write.
pub mod ingest;

// What a person or an API caller can do: retry, reprocess, change lists.
pub mod ops;

// The endpoint out: one request at a time, to public addresses only.
pub mod send;

// Something is due out, to a platform or an affiliate: claim, render, limit, send, classify, record.
pub mod dispatch;

// Time passed: holds that end, statuses that fall due, records past their time.
pub mod maintenance;

// HTTP/1.1 framing that keeps the request line's bytes.
pub mod http1;

// Golden stories: read, run, compared.
pub mod story;

// What would happen to a postback, from the parameters to the requests: nothing is kept, nothing sent.
pub mod preview;

// What the API, the pages and `preview` show: one struct per noun.
pub mod view;

// The endpoints in: postbacks, tracking links, the tag, pixels, the API, the
// network's API in the words its clients know, the pages.
pub mod web;

// Wiring: build the parts, start the loops, stop them in order.
pub mod app;

// The command line, a short file a command.
pub mod cli;
