//! What becomes of the store's orders, decided in groups, by rules that are the same for every engine: an order looks up
//! what is stored, names what is missing, and is decided again once that is fetched for the whole group. An engine
//! answers the look-ups, and makes one atomic write of what a group brings.

pub(crate) mod arrive;
pub(crate) mod claim;
pub(crate) mod click;
pub(crate) mod click_trail;
pub(crate) mod confirm;
pub(crate) mod consent;
pub(crate) mod counting;
pub(crate) mod delivery;
pub(crate) mod erased_attempt;
pub(crate) mod expire;
pub(crate) mod fall_due;
pub(crate) mod group;
pub(crate) mod in_order;
pub(crate) mod keep;
pub(crate) mod list_changes;
pub(crate) mod lookups;
pub(crate) mod need;
pub(crate) mod order;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod quarantine_line;
pub(crate) mod status;
pub(crate) mod stored;
pub(crate) mod suppress;
pub(crate) mod visit;
