//! The CAKE-compatible API at `/api/2/`: its paths, its keys, and its one form of answer.
//!
//! Where CAKE's own documents are silent: an error is HTTP 200 with `"request_status":"Error"` and a
//! message for a person, 401 is a bad key, 503 is not durable. What a key does not reach is answered
//! exactly as what does not exist.

mod caller;
mod envelope;
mod list;
mod record;
mod tracking;
mod update;

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::code::CodedReason;
use crate::domain::ids::Seq;
use crate::domain::offer::Offer;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::access::{AccessProblem, KeyPlace};
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::MoveRefused;
use crate::ingest::advertiser;
use crate::ingest::parameters::ParamReader;
use crate::ops::numbers::StoreNumbers;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::template::source::html_repair;
use crate::template::source::params::{ListReader, Params};
use crate::template::source::request;
use crate::web::access::{Access, Denied, TokenCheck};
use crate::web::access_log::{Reason, TokenArea};
use crate::web::answer::{self, Answer};
use crate::web::auth::Tokens;
use crate::web::cake::caller::{KeyHolder, UnknownCaller};
use crate::web::collect::{Postbacks, WrongKeys};
use crate::web::health::ProcessHealth;
use crate::web::request::ReceivedRequest;
use crate::web::routes::{Endpoint, NetworkCall, PathRows, RouteRow};

/// The parts this endpoint works with.
#[derive(Clone)]
pub struct AdvertiserApi {
    /// Where reports are recorded and conversions looked up.
    pub store: Arc<dyn Store>,
    /// Says when a report was received.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
    /// The holders of `api_key`: advertisers, and the network's own programs.
    pub tokens: Tokens,
    /// Counts wrong keys by address, and logs changes.
    pub access: Arc<Access>,
    /// The offers, with their advertisers.
    pub rules: Arc<Ruleset>,
    /// What every address begins with; no slash at its end.
    pub public_url: String,
    /// Dates are days of this zone.
    pub zone: TimeZone,
    /// The numbers by which advertisers know their conversions.
    pub numbers: StoreNumbers,
    /// Keeps what is turned away, and counts wrong keys.
    pub postbacks: Postbacks,
}

/// Why there is no answer of the usual form.
enum CakeError {
    /// The caller's mistake, or what it does not reach.
    Refused(Rejection),
    /// The status does not change so.
    NotMoved(MoveRefused),
    Store(StoreError),
    /// There is too little free disk space to record anything.
    DiskLow,
}

impl<T: Into<Rejection>> From<T> for CakeError {
    fn from(problem: T) -> CakeError {
        CakeError::Refused(problem.into())
    }
}

impl From<StoreError> for CakeError {
    fn from(error: StoreError) -> CakeError {
        CakeError::Store(error)
    }
}

/// The JSON text of a success, or why there is none.
type CakeResult = Result<String, CakeError>;

/// By which numbers a caller knows conversions.
enum ConversionNumbering<'a> {
    /// The number of the postback that made it.
    Ours,
    Theirs(&'a AdvertiserNumbers),
}

impl ConversionNumbering<'_> {
    fn number(&self, seq: Seq) -> u64 {
        match self {
            ConversionNumbering::Ours => seq.get(),
            ConversionNumbering::Theirs(numbers) => numbers.number(seq),
        }
    }

    /// The conversion that is meant by a number.
    fn seq(&self, number: u64) -> Option<Seq> {
        match self {
            ConversionNumbering::Ours => Seq::new(number),
            ConversionNumbering::Theirs(numbers) => numbers.seq(number),
        }
    }
}

/// The parameters that a call reads.
fn names(call: NetworkCall) -> &'static [&'static str] {
    match call {
        NetworkCall::Record => &advertiser::NAMES,
        NetworkCall::List => &list::NAMES,
        NetworkCall::Update => &update::NAMES,
        NetworkCall::Tracking => &tracking::NAMES,
    }
}

/// In the body alone of what changes something: a URL is written into logs on its way.
fn key_place(call: NetworkCall) -> KeyPlace {
    if call == NetworkCall::Update { KeyPlace::Body } else { KeyPlace::Query }
}

impl AdvertiserApi {
    /// The answer to every call while the store is being opened.
    pub fn store_opening() -> Answer {
        let message =
            "the store is being opened, and the request was not taken; send it again in a few seconds";
        unavailable(message, "5")
    }

    /// The answer to a body that cannot be read.
    pub fn unread(status: StatusCode, rejection: &Rejection) -> Answer {
        envelope::error(status, rejection.line())
    }

    /// Answers a call of a path below `/api/2/` by the rows of the table that it has.
    pub async fn answer(&self, rows: Option<&'static PathRows>, call: &ReceivedRequest<'_>) -> Answer {
        let Some(rows) = rows else {
            let message = "nothing answers at this path; there are conversion.json, conversions.json, update_conversion.json and tracking.json";
            return envelope::error(StatusCode::NOT_FOUND, message);
        };
        let row = rows.row(&call.method).and_then(|row| match row.endpoint {
            Endpoint::NetworkApi(endpoint) => Some((endpoint, row)),
            _ => None,
        });
        let Some((endpoint, row)) = row else {
            let message = format!("this path does not take {}; use {}", call.method, rows.allow);
            let mut refused = envelope::error(StatusCode::METHOD_NOT_ALLOWED, message);
            answer::allow(&mut refused, &rows.allow);
            return refused;
        };
        self.answer_to((endpoint, row), call).await
    }

    async fn answer_to(
        &self,
        (endpoint, row): (NetworkCall, &RouteRow),
        call: &ReceivedRequest<'_>,
    ) -> Answer {
        let (key, area, now) = (call.limit_key(), TokenArea::NetworkApi, self.clock.reading());
        let check = TokenCheck { key, area, now, is_signed_in: false };
        if let Some(seconds) = self.access.locked_out(&self.tokens, check) {
            return too_many(seconds);
        }
        let names = names(endpoint);
        let reads = ListReader(names);
        let place = key_place(endpoint);
        let params = match place {
            KeyPlace::Body => {
                request::read_for(&reads, b"", call.content_type().as_deref(), &call.body).map(|params| {
                    html_repair::repaired(&params, names, |name| names.contains(&name)).into_owned()
                })
            }
            KeyPlace::Query => request::read_for(&reads, call.head.query(), None, b""),
        };
        let caller = match caller::identify(&self.tokens, place, call, params.as_ref()) {
            Ok(caller) => caller,
            Err(UnknownCaller::NoKey(rejection)) => return self.without_key(call, rejection).await,
            Err(UnknownCaller::WrongKey(rejection)) => {
                return match self.access.wrong(check) {
                    Denied::TooMany { seconds } => too_many(seconds),
                    _ => self.without_key(call, rejection).await,
                };
            }
        };
        let outcome = self.outcome((endpoint, row), caller, call, params).await;
        self.answer_of(outcome)
    }

    async fn outcome(
        &self,
        (endpoint, row): (NetworkCall, &RouteRow),
        caller: KeyHolder,
        call: &ReceivedRequest<'_>,
        params: Result<Params, Rejection>,
    ) -> CakeResult {
        match endpoint {
            NetworkCall::List => self.list(&caller, &params?).await,
            NetworkCall::Tracking => self.tracking(&caller, &params?),
            NetworkCall::Record | NetworkCall::Update if !self.health.admits_postback() => {
                Err(CakeError::DiskLow)
            }
            NetworkCall::Update => self.update((&caller, row), &params?).await,
            NetworkCall::Record => self.record(&caller, call, params).await,
        }
    }

    fn answer_of(&self, outcome: CakeResult) -> Answer {
        match outcome {
            Ok(text) => envelope::success(text),
            Err(CakeError::Refused(rejection)) => envelope::error(StatusCode::OK, rejection.line()),
            Err(CakeError::NotMoved(refused)) => envelope::error(StatusCode::OK, refused.line()),
            Err(CakeError::Store(error @ StoreError::Corrupt { .. })) => {
                tracing::error!(%error, "a record that the API needs cannot be read");
                let message = "the record is damaged on disk; inform the network";
                envelope::error(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
            Err(CakeError::Store(error @ StoreError::Unavailable { .. })) => {
                self.health.store_failed(&error);
                unavailable(
                    "the store does not answer now, and the request was not taken; send it again in a few seconds",
                    "5",
                )
            }
            Err(CakeError::Store(error)) => {
                self.health.store_failed(&error);
                let message = "the request could not be stored durably and was not taken; send it again in a few seconds";
                unavailable(message, "5")
            }
            Err(CakeError::DiskLow) => {
                let message =
                    "there is too little free disk space, and the request was not taken; send it again later";
                unavailable(message, "60")
            }
        }
    }

    /// By which numbers the caller knows conversions: who sees only an advertiser's own must not learn from them
    /// how much the network takes in.
    async fn numbering(&self, caller: &KeyHolder) -> Result<ConversionNumbering<'_>, StoreError> {
        Ok(if caller.reads_all() {
            ConversionNumbering::Ours
        } else {
            ConversionNumbering::Theirs(self.numbers.get().await?)
        })
    }

    /// The offer of `offer_id`, where the caller reaches it; else it is as one that does not exist.
    fn reached(
        &self,
        reader: &ParamReader<'_>,
        reaches: impl Fn(&Offer) -> bool,
    ) -> Result<&Offer, Rejection> {
        advertiser::named_offer(&self.rules, reader, reaches)
    }

    /// Refuses a call without a usable key, keeping a record of it within the budget.
    async fn without_key(&self, call: &ReceivedRequest<'_>, rejection: Rejection) -> Answer {
        match self.postbacks.wrong_key(call, &rejection).await {
            WrongKeys::Few => envelope::error(StatusCode::UNAUTHORIZED, rejection.line()),
            WrongKeys::TooMany => too_many(1),
        }
    }

    /// What a caller is answered who may only look.
    fn only_looks(&self, caller: &KeyHolder) -> AccessProblem {
        let now = self.clock.now();
        self.access.log.refused(TokenArea::NetworkApi, Reason::LacksRight, Some(&caller.name), now);
        caller.may_only_look()
    }
}

fn too_many(seconds: i64) -> Answer {
    let message = format!("too many wrong keys from this address; wait {seconds} s");
    let mut refused = envelope::error(StatusCode::TOO_MANY_REQUESTS, message);
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    refused
}

/// 503 with `Retry-After`, in seconds.
fn unavailable(message: &str, after: &'static str) -> Answer {
    answer::again_after(envelope::error(StatusCode::SERVICE_UNAVAILABLE, message), after)
}
