//! `/api/v1`: the event log, the raw log, the deliveries, the destinations, the clicks and the suppression
//! lists, for scripts.

pub mod clicks;
pub mod clock;
pub mod destinations;
pub mod suppression;

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;
use crate::domain::delivery::{Delivery, DestinationState, RetryRefused, sent_before};
use crate::domain::ids::{ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::status_move::{Actor, StatusMove};
use crate::domain::time::Time;
use crate::domain::unsent::Circumstances;
use crate::ingest::postback::{self, Network, ReprocessRefused};
use crate::ingest::reopen::{self, Terms};
use crate::ingest::status;
use crate::store::{
    ConversionFilter, ConversionRef, DeliveryFilter, PageRequest, PostbackFilter, Receipt, StatusChanged,
    Store, StoreError,
};
use crate::template::destination::account::Account;
use crate::view::conversion::ListedConversionView;
use crate::view::delivery::{DeliveryView, ListedDeliveryView};
use crate::view::page::PageView;
use crate::view::postback::PostbackView;
use crate::view::receipt::ReprocessedView;
use crate::view::trace::TraceView;
use crate::web::answer::{self, Answer};
use crate::web::health::Health;
use crate::web::numbers::Numbers;

/// The parts the API works with.
#[derive(Clone)]
pub struct Api {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub health: Arc<Health>,
    /// The configured networks, by source id.
    pub networks: Arc<HashMap<SourceId, Network>>,
    /// What advertisers' reports are read by.
    pub reports: Terms,
    /// The numbers by which advertisers know their conversions.
    pub numbers: Numbers,
    /// The configured destinations, outgoing postbacks too.
    pub accounts: Arc<Vec<Arc<Account>>>,
    /// How each of them is doing now.
    pub workers: Arc<dyn Fn() -> Vec<DestinationState> + Send + Sync>,
    /// The age past which each destination's platform refuses an event, in ms.
    pub max_age_ms: Arc<HashMap<DestinationId, i64>>,
    /// What decisions go by.
    pub rules: Arc<Ruleset>,
    /// How long what waits for a destination is kept that is not configured any more.
    pub keep_removed_hours: u32,
}

/// What a read or a change became: a document, or a worded error.
type Outcome = Result<Value, Refused>;

/// A view as the document that is answered.
fn document(view: &impl Serialize) -> Outcome {
    serde_json::to_value(view).map_err(|error| {
        tracing::error!(%error, "a document of the API could not be written");
        Refused::Asked(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string(), "see the log")
    })
}

/// Why the API does not do what was asked.
pub enum Refused {
    /// The caller's mistake: status, code, message, hint.
    Asked(StatusCode, &'static str, String, &'static str),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Store(error)
    }
}

impl Api {
    /// What the reasons depend on for which something is not sent.
    pub fn circumstances(&self) -> Circumstances {
        let removed = self.store.removed().into_iter();
        let until = |since: Time| since.plus_hours(i64::from(self.keep_removed_hours));
        Circumstances {
            rules: Arc::clone(&self.rules),
            removed: removed.map(|(id, since)| (id, until(since))).collect(),
        }
    }

    /// Words the result out.
    pub fn answer(&self, outcome: Outcome) -> Answer {
        match outcome {
            Ok(value) => answer::json(StatusCode::OK, &value),
            Err(Refused::Asked(status, code, message, hint)) => answer::error(status, code, message, hint),
            Err(Refused::Store(error @ StoreError::Cursor(_))) => answer::error(
                StatusCode::BAD_REQUEST,
                "bad_parameter",
                error.to_string(),
                "send the `next_cursor` of the page before, unchanged, or none",
            ),
            Err(Refused::Store(error @ StoreError::Corrupt { .. })) => answer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "corrupt_record",
                error.to_string(),
                "the record is damaged on disk; the rest of the store goes on",
            ),
            Err(Refused::Store(error)) => {
                self.health.store_failed(&error);
                answer::unavailable()
            }
        }
    }

    /// `GET /api/v1/conversions`.
    pub async fn conversions(&self, query: &Query) -> Outcome {
        let page = self.store.conversions(query.conversion_filter()?, query.page()?).await?;
        let now = self.circumstances();
        document(&PageView::of(&page, |(conversion, deliveries)| {
            ListedConversionView::of(conversion, deliveries, &now)
        }))
    }

    /// `GET /api/v1/conversions/{id}`: one sale's way, end to end.
    pub async fn conversion(&self, id: &str) -> Outcome {
        let id = ConversionId::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        let trace = self.store.conversion(id).await?.ok_or_else(|| missing("conversion"))?;
        let numbers = self.numbers.if_reported().await?;
        document(&TraceView::of(&trace, &self.circumstances(), numbers.as_ref()))
    }

    /// `POST /api/v1/conversions/{id}/status` with `{"status", "note"}`, by the holder of the token
    /// named `actor`. Answers the conversion as it is then.
    pub async fn set_status(&self, id: &str, body: &[u8], actor: &str) -> Outcome {
        let which = ConversionId::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        let (to, note) = wanted_status(body)?;
        let order = StatusMove { to, by: Actor::Network(actor.to_owned()), note };
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        // On a task of its own: a client that hangs up drops this future, not the write.
        let task = tokio::spawn(async move {
            status::change(store.as_ref(), ConversionRef::Id(which), order, now).await
        });
        match task.await.unwrap_or(Err(StoreError::Closed))? {
            StatusChanged::Changed(_) | StatusChanged::Already(_) => self.conversion(id).await,
            StatusChanged::Unknown => Err(missing("conversion")),
            StatusChanged::Refused(refused) => Err(Refused::Asked(
                StatusCode::CONFLICT,
                "status_refused",
                refused.to_string(),
                "see the conversion's history",
            )),
        }
    }

    /// `GET /api/v1/postbacks`.
    pub async fn postbacks(&self, query: &Query) -> Outcome {
        let page = self.store.postbacks(query.postback_filter()?, query.page()?).await?;
        document(&PageView::of(&page, PostbackView::of))
    }

    /// `GET /api/v1/postbacks/{id}`.
    pub async fn postback(&self, id: &str) -> Outcome {
        let seq = Seq::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        let record = self.store.postback(seq).await?.ok_or_else(|| missing("postback"))?;
        document(&PostbackView::of(&record))
    }

    /// `POST /api/v1/postbacks/{id}/retry`: maps a quarantined one again with today's template.
    pub async fn retry_postback(&self, id: &str) -> Outcome {
        document(&ReprocessedView::of(&self.reprocess(id).await?))
    }

    /// Maps a quarantined postback again with today's template.
    pub async fn reprocess(&self, id: &str) -> Result<Receipt, Refused> {
        let seq = Seq::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        let network = |source: &SourceId| self.networks.get(source).cloned();
        let (store, now) = (self.store.as_ref(), self.clock.now());
        let outcome = match postback::again(store, network, seq, now).await {
            Err(ReprocessRefused::SenderInformed(_)) => reopen::again(store, &self.reports, seq, now).await,
            outcome => outcome,
        };
        match outcome {
            Ok(receipt) => Ok(receipt),
            Err(ReprocessRefused::Store(error)) => Err(error.into()),
            Err(ReprocessRefused::Unknown) => Err(missing("postback")),
            Err(refused) => Err(Refused::Asked(
                StatusCode::CONFLICT,
                "cannot_reprocess",
                refused.to_string(),
                "see GET /api/v1/postbacks?status=quarantined",
            )),
        }
    }

    /// `GET /api/v1/deliveries`.
    pub async fn deliveries(&self, query: &Query) -> Outcome {
        let page = self.store.deliveries(query.delivery_filter()?, query.page()?).await?;
        let now = self.circumstances();
        document(&PageView::of(&page, |listed| ListedDeliveryView::of(listed, &now)))
    }

    /// `POST /api/v1/deliveries/{id}/retry`.
    pub async fn retry(&self, id: &str) -> Outcome {
        let id = DeliveryId::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        if !self.accounts.iter().any(|account| *account.id() == id.destination) {
            let what = format!(
                "the destination `{}` is not configured (any more): no one would send it",
                id.destination
            );
            return Err(Refused::Asked(
                StatusCode::CONFLICT,
                "no_destination",
                what,
                "configure it again, reload, then retry",
            ));
        }
        let now = self.clock.now();
        // By a clock that is not believed nothing is too old.
        let max_age_ms = self.max_age_ms.get(&id.destination).filter(|_| self.clock.believes(now));
        let oldest = max_age_ms.map(|age| now.plus_millis(-age));
        match self.store.retry(id.clone(), now, oldest).await? {
            Ok(delivery) => {
                let trace = self.store.conversion(id.conversion).await?.ok_or_else(|| missing("delivery"))?;
                let all: Vec<Delivery> = trace.deliveries.into_iter().map(|(one, _)| one).collect();
                let one = (&delivery, sent_before(&all, &delivery));
                document(&DeliveryView::of(&trace.conversion, one, &self.circumstances()))
            }
            Err(RetryRefused::Unknown) => Err(missing("delivery")),
            Err(refused) => Err(Refused::Asked(
                StatusCode::CONFLICT,
                retry_code(&refused),
                refused.to_string(),
                "see the conversion's deliveries",
            )),
        }
    }
}

fn retry_code(refused: &RetryRefused) -> &'static str {
    match refused {
        RetryRefused::Unknown => "not_found",
        RetryRefused::Delivered => "delivered",
        RetryRefused::TooOld => "too_old",
        RetryRefused::Superseded => "superseded",
    }
}

/// A wish for another status, as its JSON body writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedStatus {
    status: String,
    note: Option<String>,
}

fn wanted_status(body: &[u8]) -> Result<(Status, Option<String>), Refused> {
    let asked = |message: String| {
        let hint = "send {\"status\": \"approved\", \"note\": \"…\"}; the note may be left out";
        Refused::Asked(StatusCode::BAD_REQUEST, "bad_body", message, hint)
    };
    let wanted: WantedStatus = serde_json::from_slice(body)
        .map_err(|error| asked(format!("the body is no wish for a status: {error}")))?;
    let status = Status::parse(&wanted.status).ok_or_else(|| {
        bad("status", &wanted.status, "a status is approved, pending, rejected or scrubbed")
    })?;
    let note = status::note(wanted.note.as_deref().unwrap_or_default()).map_err(|length| {
        asked(format!("`note` has {length} characters; at most {} are kept", status::MAX_NOTE_CHARS))
    })?;
    Ok((status, note))
}

fn missing(what: &'static str) -> Refused {
    Refused::Asked(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("no such {what} is kept"),
        "ids come from the lists",
    )
}

fn bad(name: &str, received_text: &str, allowed: &str) -> Refused {
    let message = format!("`{name}` is `{received_text}`: {allowed}");
    Refused::Asked(StatusCode::BAD_REQUEST, "bad_parameter", message, "correct it, or leave it out")
}

/// The query of a list, its names checked.
pub struct Query(Vec<(String, String)>);

/// The filters that each list reads; another name is refused, so that no one acts on a list that did
/// not hear what was asked.
const CONVERSIONS: &[&str] =
    &["source", "state", "event", "status", "transaction_id", "click_id", "since", "until"];
const POSTBACKS: &[&str] = &["source", "status", "open", "since", "until"];
const DELIVERIES: &[&str] =
    &["destination", "source", "state", "event", "status", "transaction_id", "click_id", "since", "until"];

impl Query {
    /// Reads a raw query. Empty values count as absent, so that a form can send all its fields.
    ///
    /// # Errors
    /// A name that comes twice.
    pub fn read(query: &[u8]) -> Result<Query, Refused> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query) {
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(bad(&name, &value, "it comes twice"));
            }
            if !value.trim().is_empty() {
                pairs.push((name.into_owned(), value.trim().to_owned()));
            }
        }
        Ok(Query(pairs))
    }

    /// Refuses a name that the list does not read.
    fn only(&self, filters: &[&str]) -> Result<(), Refused> {
        let known = |name: &str| filters.contains(&name) || name == "limit" || name == "cursor";
        match self.0.iter().find(|(name, _)| !known(name)) {
            Some((name, value)) => {
                let allowed = format!("this list has the filters {}, limit and cursor", filters.join(", "));
                Err(bad(name, value, &allowed))
            }
            None => Ok(()),
        }
    }

    /// The value of a name, if it was received.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parsed<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        self.get(name)
            .map(|received_text| parse(received_text).ok_or_else(|| bad(name, received_text, allowed)))
            .transpose()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn time(&self, name: &str) -> Result<Option<Time>, Refused> {
        self.parsed(name, "a time is written 2026-11-20T10:00:00Z", Time::parse)
    }

    fn source(&self) -> Result<Option<SourceId>, Refused> {
        self.parsed("source", "no source can have this id", |received_text| {
            SourceId::parse(received_text).ok()
        })
    }

    fn state(&self) -> Result<Option<String>, Refused> {
        const STATES: [&str; 5] = ["held", "waiting", "delivered", "dead", "skipped"];
        self.parsed("state", "a state is held, waiting, delivered, dead or skipped", |received_text| {
            STATES.contains(&received_text).then(|| received_text.to_owned())
        })
    }

    /// Limit and cursor.
    ///
    /// # Errors
    /// A limit outside 1–1000.
    pub fn page(&self) -> Result<PageRequest, Refused> {
        let limit = self.parsed("limit", "a limit is 1 to 1000", |received_text| {
            received_text.parse().ok().filter(|n| (1..=1000).contains(n))
        })?;
        Ok(PageRequest { cursor: self.text("cursor"), limit: limit.unwrap_or(100) })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn conversion_filter(&self) -> Result<ConversionFilter, Refused> {
        self.only(CONVERSIONS)?;
        self.of_conversions()
    }

    fn of_conversions(&self) -> Result<ConversionFilter, Refused> {
        Ok(ConversionFilter {
            source: self.source()?,
            event: self.text("event"),
            status: self.parsed(
                "status",
                "a status is approved, pending, rejected or scrubbed",
                Status::parse,
            )?,
            transaction_id: self.text("transaction_id"),
            click_id: self.text("click_id"),
            since: self.time("since")?,
            until: self.time("until")?,
            state: self.state()?,
        })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn postback_filter(&self) -> Result<PostbackFilter, Refused> {
        self.only(POSTBACKS)?;
        const VERDICTS: [&str; 5] = ["accepted", "updated", "duplicate", "quarantined", "refused"];
        let verdict =
            |received_text: &str| VERDICTS.contains(&received_text).then(|| received_text.to_owned());
        Ok(PostbackFilter {
            source: self.source()?,
            verdict: self.parsed(
                "status",
                "a postback is accepted, updated, duplicate, quarantined or refused",
                verdict,
            )?,
            open_only: self.get("open") == Some("true"),
            since: self.time("since")?,
            until: self.time("until")?,
        })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn delivery_filter(&self) -> Result<DeliveryFilter, Refused> {
        self.only(DELIVERIES)?;
        let any = "no destination can have this id";
        let destination =
            self.parsed("destination", any, |received_text| DestinationId::parse(received_text).ok())?;
        Ok(DeliveryFilter { destination, state: self.state()?, of: self.of_conversions()? })
    }
}
