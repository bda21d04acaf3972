//! The store's guarantees, most of them for every implementation.

mod click_lists;
mod clicks;
mod clock_jumps;
mod commit_groups;
mod conformance;
mod damaged_counts;
mod damaged_folders;
mod damaged_lists;
mod data_folder;
mod erased_bytes;
mod failing_engines;
mod faults;
mod format;
mod journal_engine;
mod keyless_reports;
mod operator_counts;
mod packed;
mod retention;
mod rollup_recount;
mod slow_commits;
mod slow_reads;
mod statuses;
mod suppression;
mod transactions;
mod unavailable;
