//! Erasing a person's data: what would be erased, doing it, and what was erased. The value that names the person is in the
//! body alone, and in no answer.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::erasure::subject::{ErasureSubject, SubjectKind, SubjectRefused, SubjectRefusedCode};
use crate::domain::error_code::ErrorCode;
use crate::ops::erasure::{self, ErasureError, ErasurePlan};
use crate::ops::missing::Missing;
use crate::view::erasure::{ErasureView, LookedAt};
use crate::view::value::PageView;
use crate::web::api::{Api, Outcome, Refused, document};
use crate::web::list_query::{BadParameter, Query};

/// Whose data, and whether it is to be done. Exactly one of the four values.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ErasureWish")]
pub struct ErasureBody {
    /// The person's e-mail address.
    pub email: Option<String>,
    /// The person's phone number with its country's calling code.
    pub phone: Option<String>,
    /// The id of a click of the person.
    pub click_id: Option<String>,
    /// The number of an order of the person.
    pub transaction_id: Option<String>,
    /// `true`: it is done. Otherwise it is only looked at what would be.
    #[serde(default)]
    pub apply: bool,
    /// `true`: also where it is the data of more than one person.
    #[serde(default)]
    pub confirm: bool,
}

impl Api {
    /// `GET /api/v1/erasures`.
    pub async fn erasures(&self, query: &Query) -> Outcome {
        let page = erasure::list(self.ops.store.as_ref(), query.page()?).await?;
        document(&PageView::of(&page, ErasureView::of))
    }

    /// `GET /api/v1/erasures/{id}`.
    pub async fn erasure(&self, id: &str) -> Outcome {
        let number: u64 = id
            .parse()
            .map_err(|_| BadParameter::new("id", id, "the id of an erasure is a whole number from 1"))?;
        let kept = self.ops.store.erasure(number).await?.ok_or(Missing::Erasure)?;
        document(&ErasureView::of(&kept))
    }

    /// `POST /api/v1/erasures`, by the holder of the token named `actor`: looks, and with `"apply": true` does it.
    pub async fn erase(&self, body: &[u8], actor: &str) -> Outcome {
        let wish = wish(body)?;
        let subject = wish.subject()?;
        let store = self.ops.store.as_ref();
        let plan = erasure::look(store, &subject, self.ops.clock.now()).await?;
        if !wish.apply {
            return document(&ErasureView::preview(&looked_at(&plan)));
        }
        let kept = erasure::carry_out(store, plan, (actor, wish.confirm)).await?;
        document(&ErasureView::of(&kept))
    }
}

/// What a plan says to those who look.
pub fn looked_at(plan: &ErasurePlan) -> LookedAt<'_> {
    LookedAt {
        subject: plan.subject,
        at: plan.at,
        persons: plan.persons,
        found: &plan.found,
        sent: &plan.sent,
        sent_more: plan.sent_more,
        unreadable: plan.unreadable,
    }
}

/// Reads the body. What is wrong with it is said without what is in it.
fn wish(body: &[u8]) -> Result<ErasureBody, Refused> {
    let asked = |message: &str| {
        let hint = "send {\"email\": \"…\", \"apply\": false}; in the place of `email` may be `phone`, `click_id` or \
                    `transaction_id`";
        let code = ErrorCode::BadBody.as_str();
        Refused::Asked(StatusCode::BAD_REQUEST, code, message.to_owned(), hint.to_owned())
    };
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| asked("the body is not a JSON object"))?;
    const NAMES: [&str; 6] = ["email", "phone", "click_id", "transaction_id", "apply", "confirm"];
    if members.keys().any(|name| !NAMES.contains(&name.as_str())) {
        return Err(asked("the body has a member that is not known"));
    }
    serde_json::from_value(Value::Object(members))
        .map_err(|_| asked("a value is no text, or `apply` or `confirm` is neither true nor false"))
}

impl ErasureBody {
    fn subject(&self) -> Result<ErasureSubject, Refused> {
        let values = [&self.email, &self.phone, &self.click_id, &self.transaction_id];
        let mut given =
            SubjectKind::ALL.into_iter().zip(values).filter_map(|(kind, text)| Some((kind, text.as_ref()?)));
        let (Some((kind, text)), None) = (given.next(), given.next()) else {
            let message = "exactly one of `email`, `phone`, `click_id` and `transaction_id` is to be given";
            let hint = "look for each value of the person by a request of its own";
            let code = ErrorCode::BadBody.as_str();
            return Err(Refused::Asked(StatusCode::BAD_REQUEST, code, message.to_owned(), hint.to_owned()));
        };
        Ok(erasure::subject(kind, text).map_err(ErasureError::from)?)
    }
}

impl From<ErasureError> for Refused {
    fn from(error: ErasureError) -> Refused {
        let refused: SubjectRefused = match error {
            ErasureError::Store(error) => return error.into(),
            ErasureError::Refused(refused) => refused,
        };
        let status = match refused.code() {
            SubjectRefusedCode::SeveralPersons | SubjectRefusedCode::TooMany => StatusCode::CONFLICT,
            SubjectRefusedCode::NothingFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::coded(status, &refused)
    }
}
