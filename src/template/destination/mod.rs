//! Destination templates: from a conversion and its click to one platform's request, and from its answer to a verdict.
//!
//! Nothing here sends, waits or knows a platform's name.

pub mod about;
pub(crate) mod account_settings;
pub(crate) mod auth;
pub mod batch;
pub(crate) mod batch_file;
pub(crate) mod calculation;
pub(crate) mod change_request;
pub(crate) mod changes_file;
pub(crate) mod compile;
pub mod confirm;
pub(crate) mod confirm_file;
pub mod definition;
pub(crate) mod digest;
pub mod envelope;
pub mod expiring;
pub(crate) mod expression;
pub(crate) mod fields;
pub(crate) mod file;
pub(crate) mod helpers;
pub(crate) mod late_request;
pub mod made_up;
pub(crate) mod normalize;
pub mod origins;
pub(crate) mod parameters;
pub(crate) mod payload;
pub(crate) mod payload_text;
pub(crate) mod quotes;
pub mod ready;
pub mod rendering;
pub(crate) mod reply;
pub(crate) mod reply_file;
pub(crate) mod reply_rows;
pub(crate) mod request_shape;
pub(crate) mod request_variant;
pub(crate) mod require;
pub mod row_rules;
pub(crate) mod said;
pub mod schema;
pub mod sign_in;
pub(crate) mod sign_in_spec;
pub mod spec;
pub mod templated;
pub(crate) mod variant_file;
pub mod wait;
