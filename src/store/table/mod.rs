//! One file a record: its key, how it is written down, what is kept of it in memory.

/// The tables whose records are small and written in order: the engine keeps several under one key.
pub(crate) const PACKED: &[u8] = &[
    attempt::PREFIX,
    click_log::PREFIX,
    delivery::PREFIX,
    exchange::PREFIX,
    postback::BODY_PREFIX,
    postback::HEAD_PREFIX,
    postback::RAW_PREFIX,
    rollup::PREFIX,
];

pub(crate) mod age;
pub(crate) mod attempt;
pub(crate) mod cap_tally;
pub(crate) mod click;
pub(crate) mod click_day;
pub(crate) mod click_log;
pub(crate) mod click_reference;
pub(crate) mod conversion;
pub(crate) mod dated_records;
pub(crate) mod day;
pub(crate) mod delivery;
pub(crate) mod delivery_queue;
pub(crate) mod disposition;
pub(crate) mod early_answer;
pub(crate) mod erasure;
pub(crate) mod exchange;
pub(crate) mod held_lease;
pub(crate) mod newest_time;
pub(crate) mod operator;
pub(crate) mod postback;
pub(crate) mod recent_arrival;
pub(crate) mod recent_click;
pub(crate) mod report_day;
pub(crate) mod report_line;
pub(crate) mod report_row;
pub(crate) mod rollup;
pub(crate) mod rollup_count;
pub(crate) mod rollup_delta;
pub(crate) mod source;
pub(crate) mod store_facts;
pub(crate) mod suppression;
pub(crate) mod target_queue;
pub(crate) mod text;

pub(crate) mod transaction;
pub(crate) mod visitor;
