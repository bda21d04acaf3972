//! The rules that any store must keep, as functions: each opens the store that it is given as often as it likes.
//!
//! They use the contract alone, so that an engine of any kind runs all of them by naming itself once: see
//! [`store_conformance`](crate::store_conformance).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code behind a feature: what is not as it must be ends the test"
)]
#![allow(missing_docs, reason = "the name of a rule is the rule, and that of a fixture says what it makes")]

pub mod arrival_ids;
pub mod arrivals;
pub mod caps;
pub mod changed_deliveries;
pub mod click_lists;
pub mod clicks;
pub mod clock_jumps;
pub mod confirmations;
pub mod consent;
pub mod deliveries;
pub mod digest_key;
pub mod erasure;
pub mod expiry;
pub mod fixture;
pub mod keyless_reports;
pub mod leases;
pub mod lists;
pub mod operator_counts;
pub mod report;
pub mod rollups;
pub mod rules;
pub mod statuses;
pub mod suppression;
pub mod targets;
pub mod transactions;
