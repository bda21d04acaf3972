//! The verb for what arrives: a postback or a click becomes one durable write. No HTTP here.

pub mod advertiser;
pub mod click;
pub mod landing;
pub mod parameters;
pub mod pixel;
pub mod postback;
pub mod reopen;
pub mod reprocess;
pub mod submit;
pub mod tag;
