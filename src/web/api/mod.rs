//! `/api/v1`: the event log, the raw log, the deliveries, the destinations, the clicks and the suppression
//! lists, for scripts. What a request changes is done by `ops`; what it shows is made by `view`.

pub mod clicks;
mod data_folder;
mod described;
pub mod destinations;
pub mod erasures;
pub mod openapi;
mod operation;
pub mod suppression;

use std::sync::Arc;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::code_family::CodeFamily;
use crate::domain::delivery::{Delivery, sent_before};
use crate::domain::delivery_reason::RetryRefusedCode;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::{ConversionId, DeliveryId, Seq};
use crate::domain::reprocess_refusal::ReprocessRefusedCode;
use crate::domain::status::Status;
use crate::domain::status_move::{self, Actor};
use crate::domain::suppression::ListChange;
use crate::ingest::postback::ReprocessError;
use crate::ops::missing::Missing;
use crate::ops::status::{self, StatusError, StatusWish};
use crate::ops::{self, Ops, RetryError};
use crate::store::contract::change::ConversionRef;
use crate::store::contract::error::StoreError;
use crate::view::clock::ClockView;
use crate::view::conversion::{ListedConversionView, TraceView};
use crate::view::delivery::{DeliveryView, ListedDeliveryView};
use crate::view::postback::{PostbackView, ReprocessedView};
use crate::view::reason_code::ReasonCodeView;
use crate::view::schema::StatusWord;
use crate::view::value::PageView;
use crate::web::answer::{self, Answer};
use crate::web::health::ProcessHealth;
use crate::web::list_query::{self, BadParameter, Query};
use crate::web::routes::ApiCall;

/// The parts the API works with.
#[derive(Clone)]
pub struct Api {
    /// What is done, and all that is looked up.
    pub ops: Ops,
    /// Hears of a store that failed, and answers the health checks.
    pub health: Arc<ProcessHealth>,
}

/// What a call is asked for, its sender let in.
pub struct ApiRequest<'a> {
    /// The id or name in the path, decoded; empty where the path has none.
    pub id: &'a str,
    /// The raw query.
    pub query: &'a [u8],
    /// Only an import looks at it; empty where none was sent.
    pub content_type: String,
    /// Plain: what was compressed is inflated.
    pub body: &'a [u8],
    /// The name of the token.
    pub actor: &'a str,
}

/// What a read or a change became: a document, or a worded error.
pub type Outcome = Result<Answer, Refused>;

/// A view as the document that is answered.
fn document(view: &impl Serialize) -> Outcome {
    Ok(answer::json(StatusCode::OK, view))
}

/// Why the API does not do what was asked.
pub enum Refused {
    /// The caller's mistake: status, code, message, hint.
    Asked(StatusCode, &'static str, String, String),
    /// The store failed, or a cursor is none of its own.
    Store(StoreError),
}

impl Refused {
    /// By the code of its reason.
    fn coded(status: StatusCode, reason: &impl CodedReason) -> Refused {
        Refused::Asked(status, reason.code().as_str(), reason.sentence(), reason.hint())
    }
}

impl From<BadParameter> for Refused {
    fn from(BadParameter(message): BadParameter) -> Refused {
        Refused::Asked(
            StatusCode::BAD_REQUEST,
            ErrorCode::BadParameter.as_str(),
            message,
            BadParameter::HINT.to_owned(),
        )
    }
}

impl From<Missing> for Refused {
    fn from(missing: Missing) -> Refused {
        Refused::Asked(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound.as_str(),
            missing.to_string(),
            missing.hint().to_owned(),
        )
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Store(error)
    }
}

impl Api {
    /// Does what a call asks for. [`ApiCall::RecordClick`] is answered by [`crate::web::click::Clicks`].
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn call(&self, call: ApiCall, asked: &ApiRequest<'_>) -> Outcome {
        let query = Query::read(asked.query)?;
        query.only(&described::query_names(call))?;
        match call {
            ApiCall::Clicks => self.clicks(&query).await,
            ApiCall::Click => self.click(asked.id).await,
            ApiCall::Conversions => self.conversions(&query).await,
            ApiCall::Conversion => self.conversion(asked.id).await,
            ApiCall::SetStatus => self.set_status(asked.id, asked.body, asked.actor).await,
            ApiCall::Postbacks => self.postbacks(&query).await,
            ApiCall::Postback => self.postback(asked.id).await,
            ApiCall::Reprocess => self.retry_postback(asked.id).await,
            ApiCall::Deliveries => self.deliveries(&query).await,
            ApiCall::RetryDelivery => self.retry(asked.id).await,
            ApiCall::Destinations => self.destinations(&query).await,
            ApiCall::SendTest => self.send_test(asked.id, &query).await,
            ApiCall::Clock => self.clock(),
            ApiCall::ConfirmClock => self.confirm_clock(asked.actor),
            ApiCall::Erasures => self.erasures(&query).await,
            ApiCall::Erasure => self.erasure(asked.id).await,
            ApiCall::ErasureWork => self.erasure_work(),
            ApiCall::Erase => self.erase(asked.body, asked.actor).await,
            ApiCall::Backups => self.backups().await,
            ApiCall::BackUp => self.back_up(asked.body).await,
            ApiCall::Verifications => self.verifications(),
            ApiCall::Verify => self.verify(),
            ApiCall::SuppressionLists => self.lists().await,
            ApiCall::SuppressionList => self.listed(asked.id, &query).await,
            ApiCall::Suppress => self.suppress(ListChange::Add, asked, &query).await,
            ApiCall::Unsuppress => self.suppress(ListChange::TakeOff, asked, &query).await,
            ApiCall::RemoveList => self.remove_list(asked.id).await,
            ApiCall::ReasonCodes => reason_codes(),
            ApiCall::OpenApi => Ok(answer::json_text(StatusCode::OK, openapi::text())),
            ApiCall::RecordClick => Err(Missing::Click.into()),
        }
    }

    /// Words a refusal out.
    pub fn answer(&self, outcome: Outcome) -> Answer {
        match outcome {
            Ok(answer) => answer,
            Err(Refused::Asked(status, code, message, hint)) => answer::worded(status, code, &message, &hint),
            Err(Refused::Store(error @ StoreError::Cursor(_))) => answer::error(
                StatusCode::BAD_REQUEST,
                ErrorCode::BadParameter,
                error.to_string(),
                "send the `next_cursor` of the page before, unchanged, or none",
            ),
            Err(Refused::Store(error @ StoreError::Corrupt { .. })) => answer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::RecordDamaged,
                error.to_string(),
                "the record is damaged on disk; the rest of the store goes on",
            ),
            Err(Refused::Store(error)) => self.health.not_kept(&error),
        }
    }

    /// `GET /api/v1/clock`.
    pub fn clock(&self) -> Outcome {
        let clock = &self.ops.clock;
        document(&ClockView::of(clock.now(), clock.doubt().as_ref()))
    }

    /// `POST /api/v1/clock/confirm`, by the holder of the token named `actor`.
    pub fn confirm_clock(&self, actor: &str) -> Outcome {
        ops::confirm_clock(&self.ops.clock, actor);
        self.clock()
    }

    /// `GET /api/v1/conversions`.
    pub async fn conversions(&self, query: &Query) -> Outcome {
        let page = self.ops.store.conversions(query.conversion_filter()?, query.page()?).await?;
        let now = ops::circumstances(&self.ops).await?;
        document(&PageView::of(&page, |(conversion, deliveries)| {
            ListedConversionView::of(conversion, deliveries, &now)
        }))
    }

    /// `GET /api/v1/conversions/{id}`: one conversion's trace, end to end.
    pub async fn conversion(&self, id: &str) -> Outcome {
        let id = list_query::id(id, ConversionId::parse)?;
        let trace = self.ops.store.conversion(id).await?.ok_or(Missing::Conversion)?;
        let numbers = self.ops.numbers.if_reported().await?;
        document(&TraceView::of(&trace, &ops::circumstances(&self.ops).await?, numbers.as_ref()))
    }

    /// `POST /api/v1/conversions/{id}/status` with `{"status", "note"}`, by the holder of the token
    /// named `actor`. Answers the conversion as it is then.
    pub async fn set_status(&self, id: &str, body: &[u8], actor: &str) -> Outcome {
        let which = list_query::id(id, ConversionId::parse)?;
        let wish = wanted_status(body, actor)?;
        let now = self.ops.clock.now();
        status::set_status(self.ops.store.as_ref(), ConversionRef::Id(which), wish, now).await?;
        self.conversion(id).await
    }

    /// `GET /api/v1/postbacks`.
    pub async fn postbacks(&self, query: &Query) -> Outcome {
        let page = self.ops.store.postbacks(query.postback_filter()?, query.page()?).await?;
        document(&PageView::of(&page, PostbackView::of))
    }

    /// `GET /api/v1/postbacks/{id}`.
    pub async fn postback(&self, id: &str) -> Outcome {
        let seq = list_query::id(id, Seq::parse)?;
        let record = self.ops.store.postback(seq).await?.ok_or(Missing::Postback)?;
        document(&PostbackView::of(&record))
    }

    /// `POST /api/v1/postbacks/{id}/retry`: reprocesses a quarantined or ignored one with the current template.
    pub async fn retry_postback(&self, id: &str) -> Outcome {
        let seq = list_query::id(id, Seq::parse)?;
        match ops::reprocess(&self.ops, seq).await {
            Ok(receipt) => document(&ReprocessedView::of(&receipt)),
            Err(ReprocessError::Store(error)) => Err(error.into()),
            Err(ReprocessError::Refused(refused)) => {
                let status = match refused.code() {
                    ReprocessRefusedCode::Unknown => StatusCode::NOT_FOUND,
                    _ => StatusCode::CONFLICT,
                };
                Err(Refused::coded(status, &refused))
            }
        }
    }

    /// `GET /api/v1/deliveries`.
    pub async fn deliveries(&self, query: &Query) -> Outcome {
        let now = ops::circumstances(&self.ops).await?;
        let page = self.ops.store.deliveries(query.delivery_filter(&now)?, query.page()?).await?;
        document(&PageView::of(&page, |listed| ListedDeliveryView::of(listed, &now)))
    }

    /// `POST /api/v1/deliveries/{id}/retry`.
    pub async fn retry(&self, id: &str) -> Outcome {
        let id = list_query::id(id, DeliveryId::parse)?;
        let conversion = id.conversion;
        let delivery = ops::retry(&self.ops, id).await?;
        let trace = self.ops.store.conversion(conversion).await?.ok_or(Missing::Delivery)?;
        let all: Vec<Delivery> = trace.deliveries.into_iter().map(|(one, _)| one).collect();
        let one = (&delivery, sent_before(&all, &delivery));
        document(&DeliveryView::of(&trace.conversion, one, &ops::circumstances(&self.ops).await?))
    }
}

/// `GET /api/v1/reason-codes`: every code of every family, as one page.
fn reason_codes() -> Outcome {
    document(&PageView::whole(CodeFamily::all().iter().flat_map(ReasonCodeView::of).collect()))
}

impl From<RetryError> for Refused {
    fn from(error: RetryError) -> Refused {
        let refused = match error {
            RetryError::Store(error) => return error.into(),
            RetryError::Refused(refused) => refused,
        };
        let status = match refused.code() {
            RetryRefusedCode::Unknown => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        Refused::coded(status, &refused)
    }
}

impl From<StatusError> for Refused {
    fn from(error: StatusError) -> Refused {
        match error {
            StatusError::Missing(missing) => missing.into(),
            StatusError::Store(error) => error.into(),
            StatusError::Refused(refused) => Refused::coded(StatusCode::CONFLICT, &refused),
        }
    }
}

/// A wish for another status, as its JSON body writes it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StatusWish")]
struct StatusBody {
    #[schemars(with = "StatusWord")]
    status: String,
    /// Why; kept in the conversion's history.
    #[schemars(length(max = status_move::MAX_NOTE_CHARS))]
    note: Option<String>,
}

fn wanted_status(body: &[u8], actor: &str) -> Result<StatusWish, Refused> {
    let asked = |message: String| {
        let hint = "send {\"status\": \"approved\", \"note\": \"…\"}; the note may be left out";
        Refused::Asked(StatusCode::BAD_REQUEST, ErrorCode::BadBody.as_str(), message, hint.to_owned())
    };
    // As an object first: serde takes a list for a struct, and names the struct where it is none.
    let members: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| asked(format!("the body is not a JSON object: {error}")))?;
    let wanted: StatusBody = serde_path_to_error::deserialize(members)
        .map_err(|error| asked(format!("`{}`: {}", error.path(), error.inner())))?;
    let to = Status::parse(&wanted.status)
        .ok_or_else(|| BadParameter::new("status", &wanted.status, Status::EXPECTED))?;
    StatusWish::new(to, Actor::Network(actor.to_owned()), wanted.note.as_deref().unwrap_or_default())
        .map_err(|too_long| asked(too_long.to_string()))
}
