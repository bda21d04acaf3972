//! What is looked up: one record, lists, reports.

pub(crate) mod chunk;
pub(crate) mod clicks;
pub(crate) mod cursor;
pub(crate) mod find;
pub(crate) mod lists;
pub(crate) mod recount;
pub(crate) mod references;
pub(crate) mod report;
pub(crate) mod totals;
pub(crate) mod unconfirmed;
pub(crate) mod walk;
