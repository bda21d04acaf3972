//! What tests share and what is no test itself: stores, a relay, fake platforms, a browser.

pub mod access_fixture;
pub mod browser;
pub mod cake_fixture;
pub mod click_fixture;
pub mod command_line;
pub mod country_file;
pub mod customer_fixture;
pub mod dispatch_fixture;
pub mod http1_server;
pub mod known_conversions;
pub mod known_facts;
pub mod link_fixture;
pub mod network_pages_fixture;
pub mod offer_fixture;
pub mod outgoing_fixture;
pub mod pages_fixture;
pub mod payload_fixture;
pub mod platform;
pub mod relay;
pub mod report_fixture;
pub mod signed_in;
pub mod small_disk;
pub mod store_fixture;
pub mod stories;
pub mod tag_fixture;
pub mod trial;
