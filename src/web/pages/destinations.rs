//! Each destination: its queue, whether it is parked, its last error, and how to set it up.

use serde_json::{Value, json};

use crate::domain::delivery::LaneState;
use crate::domain::time::Time;
use crate::store::Backlog;
use crate::template::destination::account::Account;
use crate::template::destination::mode::Mode;
use crate::web::api::destinations::state;
use crate::web::pages::{Pages, Sheet, advice};

impl Pages {
    /// `/destinations`.
    pub(super) fn destinations(&self) -> Sheet {
        let (now, lanes) = (self.clock.now(), (self.lanes)());
        let (backlog, removed) = (self.store.backlog(now), self.api().circumstances().removed);
        let items: Vec<Value> = self
            .accounts
            .iter()
            .map(|account| {
                let lane = lanes.iter().find(|lane| lane.destination == *account.id());
                let queue = backlog.iter().find(|queue| queue.destination.as_ref() == Some(account.id()));
                destination(account, lane, queue, now)
            })
            .collect();
        let is_known = |queue: &&Backlog| {
            queue.destination.as_ref().is_some_and(|id| self.accounts.iter().any(|one| one.id() == id))
        };
        let strays: Vec<Value> = backlog
            .iter()
            .filter(|queue| !is_known(queue) && queue.held + queue.waiting > 0)
            .map(|queue| {
                let until = queue.destination.as_ref().and_then(|id| removed.get(id));
                json!({
                    "id": queue.destination.as_ref().map(|id| id.as_str()),
                    "queue": waiting(Some(queue), now),
                    "until": until.map(|until| json!({"at": until.to_string(), "distance": advice::distance(*until, now)})),
                })
            })
            .collect();
        Sheet::new("destinations", "Destinations", json!({"items": items, "strays": strays}))
    }
}

fn destination(account: &Account, lane: Option<&LaneState>, queue: Option<&Backlog>, now: Time) -> Value {
    let parked = lane.and_then(|lane| lane.parked.as_ref());
    let open_until = lane.and_then(|lane| lane.open_until).filter(|until| *until > now);
    let last_error = lane.and_then(|lane| lane.last_error.as_ref());
    let hold = lane.and_then(|lane| lane.hold.as_ref()).filter(|_| account.mode().sends());
    json!({
        "id": account.id().as_str(),
        "template": account.template_name(),
        "mode": account.mode().word(),
        "mode_note": mode_note(account.mode()),
        "state": state(account.mode(), lane, now).replace('_', " "),
        "setup": account.template().map_or("", |template| template.setup().trim()),
        "queue": waiting(queue, now),
        "in_flight": lane.map_or(0, |lane| lane.in_flight),
        "delivered": lane.map_or(0, |lane| lane.delivered),
        "parked": parked.map(|(at, why)| happened(*at, why, now)),
        "hold": hold.map(|hold| json!({
            "until": hold.until.to_string(),
            "distance": advice::distance(hold.until, now),
            // The page shows the last error anyway, and mostly it is the one that asked for the wait.
            "why": Some(&hold.reason).filter(|why| last_error.is_none_or(|(_, last)| last != *why)),
        })),
        "open_until": open_until.map(|until| json!({"at": until.to_string(), "distance": advice::distance(until, now)})),
        "last_error": last_error.map(|(at, why)| happened(*at, why, now)),
    })
}

fn waiting(queue: Option<&Backlog>, now: Time) -> Value {
    let oldest = queue.and_then(|queue| queue.oldest_due);
    json!({
        "held": queue.map_or(0, |queue| queue.held),
        "waiting": queue.map_or(0, |queue| queue.waiting),
        "due": queue.map_or(0, |queue| queue.due),
        "oldest_due": oldest.map(|at| json!({"at": at.to_string(), "distance": advice::distance(at, now)})),
    })
}

fn happened(at: Time, why: &str, now: Time) -> Value {
    json!({"at": at.to_string(), "distance": advice::distance(at, now), "why": why})
}

fn mode_note(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "Events are sent and count.",
        Mode::Test => "Events are sent to the platform's test mode and do not count.",
        Mode::Shadow => "Requests are made and checked, but never sent.",
        Mode::Off => "Nothing is sent.",
    }
}
