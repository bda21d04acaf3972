//! Tracking links and the clicks that they record.

mod click_budget;
mod click_size;
mod creatives;
mod direct_links;
mod filters;
mod landing_url;
mod limits;
mod tracking_links;
mod visit;
