//! The pages and the tag in a real browser. Not in the fast tier.

mod pages;
mod tag;
mod tag_consent;
mod tag_links;
