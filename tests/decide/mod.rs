//! What a postback becomes: deduplication, attribution, payout, routing. Rules without input or output.

mod adjustments;
mod attribution;
mod changes;
mod click_ages;
mod consent;
mod deduplication;
mod goals;
mod late_clicks;
mod payouts;
mod placeholders;
mod reused_transaction_ids;
mod reversals;
mod routing;
mod unsent;
