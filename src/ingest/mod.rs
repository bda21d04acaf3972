//! What was received becomes one durable write: postbacks, clicks, pixels, advertisers' reports. No HTTP here, and
//! nothing is sent.

pub(crate) mod advertiser;
pub mod click;
pub mod landing;
pub(crate) mod parameters;
pub(crate) mod pixel;
pub mod postback;
pub mod reopen;
pub mod reprocess;
pub mod submit;
pub(crate) mod tag;
mod unmask;
pub mod verify;
