//! All that is kept of clicks next to their own records: the log, what repeats and caps are recognized by, and
//! the clicks of each browser.

pub mod consent;
pub mod lately;
pub mod log;
pub mod purge;
pub mod record;
pub mod trail;
