//! `GET /api/v1/destinations`: how each destination is doing, and how much waits for it.

use serde::Serialize;

use crate::domain::ids::DestinationId;
use crate::domain::time::Time;
use crate::store::Backlog;
use crate::template::destination::account::Account;
use crate::view::destination::{DestinationView, RemovedDestinationView};
use crate::web::api::{Api, Outcome, Query, bad, document};

#[derive(Serialize)]
struct Listed<'a> {
    items: Vec<DestinationView<'a>>,
    /// Those that are not configured any more, and for which something waits; on the first page.
    removed: Vec<RemovedDestinationView>,
    next_cursor: Option<String>,
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
        let (workers, backlog) = ((self.workers)(), self.store.backlog(now));
        let items = chosen.into_iter().map(|account| {
            let worker = workers.iter().find(|worker| worker.destination == *account.id());
            let queue = backlog.iter().find(|queue| queue.destination.as_ref() == Some(account.id()));
            DestinationView::of(account, worker, queue, now)
        });
        let items = items.collect();
        let removed = if after.is_empty() { self.removed(&backlog) } else { Vec::new() };
        document(&Listed { items, removed, next_cursor })
    }
}

impl Api {
    fn removed(&self, backlog: &[Backlog]) -> Vec<RemovedDestinationView> {
        let until = self.circumstances().removed;
        let view = |(id, since): (DestinationId, Time)| {
            let queue = backlog.iter().find(|queue| queue.destination.as_ref() == Some(&id));
            let until = *until.get(&id)?;
            Some(RemovedDestinationView::of(id, (since, until), queue))
        };
        self.store.removed().into_iter().filter_map(view).collect()
    }
}
