//! `GET /api/v1/destinations`: how each destination is doing, and how much waits for it.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::DestinationId;
use crate::domain::test_event::TestWish;
use crate::domain::time::Time;
use crate::ops::test_event::{self, TestError};
use crate::ops::{self, DestinationBacklogs, DestinationHealth};
use crate::store::contract::error::StoreError;
use crate::template::destination::ready::ReadyDestination;
use crate::view::destination::{DestinationView, RemovedDestinationView};
use crate::view::test_event::TestEventView;
use crate::web::api::{Api, Outcome, Refused, document};
use crate::web::list_query::{BadParameter, Query};

/// Every destination and outgoing postback.
#[derive(Serialize, JsonSchema)]
pub struct DestinationList<'a> {
    items: Vec<DestinationView<'a>>,
    /// Those that are not configured any more, and for which something waits; on the first page.
    removed: Vec<RemovedDestinationView>,
    next_cursor: Option<String>,
}

impl Api {
    /// Every configured destination and outgoing postback, by id.
    pub async fn destinations(&self, query: &Query) -> Outcome {
        let page = query.page()?;
        let after = page.cursor.unwrap_or_default();
        let mut destinations: Vec<&ReadyDestination> =
            self.ops.destinations.iter().map(AsRef::as_ref).collect();
        destinations.sort_by(|one, other| one.id().cmp(other.id()));
        if !after.is_empty() && !destinations.iter().any(|destination| destination.id().as_str() == after) {
            return Err(BadParameter::new("cursor", &after, "no page ended there").into());
        }
        let mut rest =
            destinations.into_iter().filter(|destination| destination.id().as_str() > after.as_str());
        let chosen: Vec<&ReadyDestination> = rest.by_ref().take(page.limit).collect();
        let next_cursor = rest.next().and(chosen.last().map(|last| last.id().to_string()));
        let is_shown = |id: &DestinationId| chosen.iter().any(|destination| destination.id() == id);
        let health = DestinationHealth::now(&self.ops).with_tried(&self.ops, is_shown).await?;
        let queues = DestinationBacklogs::at(&self.ops, &health).await?;
        let items = chosen.into_iter().map(|destination| {
            let (worker, queue) = (health.worker(destination.id()), queues.queue(destination.id()));
            DestinationView::of(destination, worker, queue, health.at)
        });
        let items = items.collect();
        let removed = if after.is_empty() { self.removed(&queues).await? } else { Vec::new() };
        document(&DestinationList { items, removed, next_cursor })
    }

    /// `POST /api/v1/destinations/{id}/test`.
    pub async fn send_test(&self, id: &str, query: &Query) -> Outcome {
        let wish = TestWish { event: query.get("event").unwrap_or_default(), anyway: query.flag("anyway")? };
        let (destination, report) =
            test_event::send((&self.ops.destinations, &self.ops.send_test), id, wish).await?;
        document(&TestEventView::of(&report, destination))
    }

    async fn removed(&self, queues: &DestinationBacklogs) -> Result<Vec<RemovedDestinationView>, StoreError> {
        let until = ops::removed(&self.ops).await?;
        let view = |(id, since): (DestinationId, Time)| {
            let (queue, until) = (queues.queue(&id), *until.get(&id)?);
            Some(RemovedDestinationView::of(id, (since, until), queue))
        };
        Ok(self.ops.store.operator_facts().await?.removed.into_iter().filter_map(view).collect())
    }
}

impl From<TestError> for Refused {
    fn from(error: TestError) -> Refused {
        match error {
            TestError::Missing(missing) => missing.into(),
            TestError::NotAName(name) => BadParameter::new("event", &name, TestError::A_NAME).into(),
            TestError::Refused(refused) => Refused::coded(StatusCode::CONFLICT, &refused),
        }
    }
}
