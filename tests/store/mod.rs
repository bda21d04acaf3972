//! The store's guarantees, most of them for every implementation.

mod arrivals;
mod caps;
mod changed_deliveries;
mod click_lists;
mod clicks;
mod clock_jumps;
mod commit_groups;
mod consent;
mod data_folder;
mod deliveries;
mod expiry;
mod faults;
mod format;
mod keyless_reports;
mod leases;
mod lists;
mod operator_counts;
mod packed;
mod report;
mod slow_commits;
mod slow_reads;
mod statuses;
mod suppression;
mod targets;
mod transactions;
mod unavailable;
