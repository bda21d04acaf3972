//! Signatures of postbacks: a closed set of schemes, whose parameters are the template's, each checked over a request's
//! own bytes. Pure: the caller supplies the secrets and the time of arrival.

pub(crate) mod encrypted;
pub(crate) mod field_text;
pub(crate) mod file;
pub(crate) mod hash;
pub mod request;
pub mod rules;
pub mod scheme;
pub(crate) mod secret_param;
pub(crate) mod timestamped;
