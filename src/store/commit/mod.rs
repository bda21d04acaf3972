//! What one atomic write does, over tables.

pub(crate) mod aged_out;
pub(crate) mod arrive;
pub(crate) mod claim;
pub(crate) mod click;
pub(crate) mod click_trail;
pub(crate) mod command;
pub(crate) mod consent;
pub(crate) mod delivery;
pub(crate) mod expire;
pub(crate) mod facts;
pub(crate) mod group;
pub(crate) mod keep;
pub(crate) mod list_changes;
pub(crate) mod pack;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod purge;
pub(crate) mod purge_clicks;
pub(crate) mod purging;
pub(crate) mod quarantine_line;
pub(crate) mod status;
pub(crate) mod suppress;
pub(crate) mod take;
pub(crate) mod visit;
