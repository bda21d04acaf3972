//! What the embedded store does with what is decided: what decisions look up, one atomic write of what they bring, and
//! what is purged.

pub(crate) mod aged_out;
pub(crate) mod embedded_commit;
pub(crate) mod erasable;
pub(crate) mod erase_record;
pub(crate) mod erased_change;
pub(crate) mod erasing;
pub(crate) mod erasure_detail;
pub(crate) mod erasure_list;
pub(crate) mod fold;
pub(crate) mod known_facts;
pub(crate) mod pack;
pub(crate) mod pack_counts;
pub(crate) mod purge;
pub(crate) mod purge_clicks;
pub(crate) mod purging;
pub(crate) mod whose;
