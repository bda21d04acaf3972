//! How many files the system lets this process have open, and how many connections that leaves room for.

use std::collections::HashSet;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::configuration::Config;
use crate::config::outgoing::Outgoing;
use crate::dispatch::target_health::HOST_PLACES;
use crate::domain::target::TargetId;
use crate::template::diagnostic::Problem;

/// Kept free for the store's files, the log and what the runtime opens.
const FILES: u64 = 64;
/// At least this much is kept free in all.
const LEAST_RESERVE: u64 = 256;

/// Raises the soft limit of open files to the hard one: the soft one is meant for programs that cannot
/// handle more. Answers the limit that holds now; `None` is no limit.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            warn!(%error, "the limit of open files could not be raised to the hard limit");
            current
        }
    }
}

/// The limit that [`raise`] would leave, without raising it.
pub fn hard_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// The most connections of one listener under a limit of open files; and, where that is fewer than are
/// configured, what to say about it.
pub fn connections(config: &Config, limit: Option<u64>) -> (usize, Option<Problem>) {
    let wanted = config.server.max_connections;
    let destinations = config.destinations.iter().map(|destination| destination.max_in_flight as u64);
    let hosts: HashSet<TargetId> = config.outgoing.iter().map(Outgoing::target).collect();
    let hosts = hosts.iter().filter(|host| **host != TargetId::NoHost).map(|_| HOST_PLACES as u64);
    let in_flight = destinations.chain(hosts).sum();
    let listeners = if config.server.admin_listen.is_some() { 2 } else { 1 };
    let Some(limit) = limit else { return (wanted, None) };
    let most = room(limit, in_flight) / listeners;
    match usize::try_from(most) {
        Ok(most) if most < wanted => (most, Some(lowered(wanted, most, limit))),
        _ => (wanted, None),
    }
}

/// How many of `limit` files may be connections, at least 1: the rest is for `in_flight` requests to
/// platforms and for files, but never more than half of it.
fn room(limit: u64, in_flight: u64) -> u64 {
    let reserve = FILES.saturating_add(in_flight).max(LEAST_RESERVE).min(limit / 2);
    limit.saturating_sub(reserve).max(1)
}

fn lowered(wanted: usize, most: usize, limit: u64) -> Problem {
    Problem::new(
        format!(
            "`max_connections` is {wanted}, and with a limit of {limit} open files there is room for {most} next \
             to sending and the store: {most} will be used"
        ),
        "raise the hard limit (`ulimit -Hn`, LimitNOFILE= in a systemd unit), or lower `max_connections`",
    )
}
