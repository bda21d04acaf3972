//! What operators rely on: health, metrics, disk space, permissions, clocks.

mod clock_rule;
mod disk_space;
mod file_permissions;
mod health_and_limits;
mod metrics_page;
mod open_files;
mod opening;
mod refused_requests;
mod rotated_tokens;
mod store_faults;
