//! The sources that are there without being configured: those of the network's side.

/// Conversions that advertisers report on the API of [`crate::web`]'s network endpoint.
pub const API: &str = "cake-api";
/// Conversions of the pixels.
pub const PIXEL: &str = "pixel";
/// Events of the tag: clicks on outbound links, and what a page reports.
pub const TAG: &str = "tag";
pub const ALL: [&str; 3] = [API, PIXEL, TAG];
