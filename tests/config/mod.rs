//! The configuration file: what it may say, and what is said of a mistake.

mod batches;
mod click_ages;
mod creatives;
mod expiring;
mod file;
mod network;
mod problems;
mod secret_files;
