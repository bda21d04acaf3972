//! What tests share and is no test itself: stores, a relay, fake platforms, a browser.

pub mod browser;
pub mod cake_fixture;
pub mod country_file;
pub mod dispatch_fixture;
pub mod http1_server;
pub mod network_pages_fixture;
pub mod offer_fixture;
pub mod pages_fixture;
pub mod platform;
pub mod relay;
pub mod scripted_platform;
pub mod store_fixture;
pub mod tag_fixture;
