//! Deliveries on their way: when they are sent, retried, held back and given up.

mod batches;
mod breaker;
mod changes;
mod clock_jumps;
mod confirmations;
mod found_tokens;
mod health;
mod hold;
mod kept_tokens;
mod leases;
mod misbehaving_platforms;
mod parked_destinations;
mod remarks;
mod renewed_tokens;
mod schedule;
mod shares;
mod sign_in;
mod test_events;
mod token_clocks;
mod unconfirmed;
mod unknown_firsts;
mod verdicts;
mod workers;
