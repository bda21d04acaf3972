//! The documentation is true.

mod http_api;
mod links;
mod networks;
mod platforms;
mod presets;
mod readme;
mod reason_codes;
mod refusals;
mod rejection_codes;
mod templates;
mod url_findings;
mod watching;
mod workflow;
