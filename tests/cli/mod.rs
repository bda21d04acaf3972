//! The command line, run as the built program.

mod commands;
mod demo;
mod init;
mod link;
mod partial_config;
mod preview_states;
mod preview_webhook;
mod send_test;
mod standard_error;
mod store_work;
mod template_presets;
mod url;
