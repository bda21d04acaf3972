//! `GET /api/v1/destinations`: how each destination is doing, and how much waits for it.

use serde::Serialize;

use crate::domain::delivery::LaneState;
use crate::domain::ids::DestinationId;
use crate::domain::time::Time;
use crate::store::Backlog;
use crate::template::destination::account::Account;
use crate::template::destination::mode::Mode;
use crate::web::api::{Api, Outcome, Query, bad, document};

/// Whether a destination is sent to now, in one word.
pub fn state(mode: Mode, lane: Option<&LaneState>, now: Time) -> &'static str {
    let Some(lane) = lane.filter(|_| mode != Mode::Off) else {
        return if mode == Mode::Off { "off" } else { "sending" };
    };
    match (lane.parked.is_some(), lane.hold.is_some() && mode.sends(), lane.open_until) {
        (true, ..) => "parked",
        (_, true, _) => "on_hold",
        (_, _, Some(until)) if until > now => "paused",
        _ => "sending",
    }
}

#[derive(Serialize)]
struct Listed {
    items: Vec<View>,
    /// Those that are not configured any more, and for which something waits; on the first page.
    removed: Vec<RemovedView>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct View {
    id: String,
    template: String,
    mode: &'static str,
    state: &'static str,
    parked: Option<Since>,
    on_hold: Option<OnHold>,
    open_until: Option<String>,
    last_error: Option<Since>,
    in_flight: u64,
    /// Since the start.
    delivered: u64,
    held: u64,
    waiting: u64,
    due: u64,
    oldest_due: Option<String>,
}

#[derive(Serialize)]
struct RemovedView {
    id: String,
    state: &'static str,
    since: String,
    /// When what waits is skipped.
    until: String,
    held: u64,
    waiting: u64,
}

#[derive(Serialize)]
struct Since {
    since: String,
    reason: String,
}

#[derive(Serialize)]
struct OnHold {
    since: String,
    until: String,
    reason: String,
}

impl Since {
    fn of(known: &(Time, String)) -> Since {
        Since { since: known.0.to_string(), reason: known.1.clone() }
    }
}

impl Api {
    /// Every configured destination and outgoing postback, by id.
    pub fn destinations(&self, query: &Query) -> Outcome {
        query.only(&[])?;
        let (now, page) = (self.clock.now(), query.page()?);
        let after = page.cursor.unwrap_or_default();
        let mut accounts: Vec<&Account> = self.accounts.iter().map(AsRef::as_ref).collect();
        accounts.sort_by(|one, other| one.id().cmp(other.id()));
        if !after.is_empty() && !accounts.iter().any(|account| account.id().as_str() == after) {
            return Err(bad("cursor", &after, "no page ended there"));
        }
        let mut rest = accounts.into_iter().filter(|account| account.id().as_str() > after.as_str());
        let chosen: Vec<&Account> = rest.by_ref().take(page.limit).collect();
        let next_cursor = rest.next().and(chosen.last().map(|last| last.id().to_string()));
        let (lanes, backlog) = ((self.lanes)(), self.store.backlog(now));
        let view = |account: &Account| {
            let lane = lanes.iter().find(|lane| lane.destination == *account.id());
            let queue = backlog.iter().find(|queue| queue.destination.as_ref() == Some(account.id()));
            view(account, lane, queue, now)
        };
        let items = chosen.into_iter().map(view).collect();
        let removed = if after.is_empty() { self.removed(&backlog) } else { Vec::new() };
        document(&Listed { items, removed, next_cursor })
    }
}

impl Api {
    fn removed(&self, backlog: &[Backlog]) -> Vec<RemovedView> {
        let until = self.circumstances().removed;
        let view = |(id, since): (DestinationId, Time)| {
            let queue = backlog.iter().find(|queue| queue.destination.as_ref() == Some(&id));
            Some(RemovedView {
                state: "destination_removed",
                since: since.to_string(),
                until: until.get(&id)?.to_string(),
                held: queue.map_or(0, |queue| queue.held),
                waiting: queue.map_or(0, |queue| queue.waiting),
                id: id.to_string(),
            })
        };
        self.store.removed().into_iter().filter_map(view).collect()
    }
}

fn view(account: &Account, lane: Option<&LaneState>, queue: Option<&Backlog>, now: Time) -> View {
    let hold = lane.and_then(|lane| lane.hold.as_ref()).filter(|_| account.mode().sends());
    let open_until = lane.and_then(|lane| lane.open_until).filter(|until| *until > now);
    View {
        id: account.id().to_string(),
        template: account.template_name().to_owned(),
        mode: account.mode().word(),
        state: state(account.mode(), lane, now),
        parked: lane.and_then(|lane| lane.parked.as_ref()).map(Since::of),
        on_hold: hold.map(|hold| OnHold {
            since: hold.since.to_string(),
            until: hold.until.to_string(),
            reason: hold.reason.clone(),
        }),
        open_until: open_until.map(|until| until.to_string()),
        last_error: lane.and_then(|lane| lane.last_error.as_ref()).map(Since::of),
        in_flight: lane.map_or(0, |lane| lane.in_flight),
        delivered: lane.map_or(0, |lane| lane.delivered),
        held: queue.map_or(0, |queue| queue.held),
        waiting: queue.map_or(0, |queue| queue.waiting),
        due: queue.map_or(0, |queue| queue.due),
        oldest_due: queue.and_then(|queue| queue.oldest_due).map(|due| due.to_string()),
    }
}
