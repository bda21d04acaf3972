//! The API: its documents, clicks and suppression lists.

mod click_body;
mod clicks;
mod destinations;
mod documents;
mod erasures;
mod irreversible;
mod openapi;
mod reason_codes;
mod routes;
mod suppression_import;
