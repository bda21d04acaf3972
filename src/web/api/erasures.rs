//! Erasing a person's data: what would be erased, doing it, and what was erased. The value that names the person is in the
//! body alone, and in no answer.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::erasure::subject::{ErasureSubject, SubjectKind, SubjectRefused};
use crate::domain::error_code::ErrorCode;
use crate::ops::erasure::{self, ErasurePlan};
use crate::ops::erasure_work::{ErasureBusy, ErasureOutcome, ErasureWish, ErasureWorkState};
use crate::ops::missing::Missing;
use crate::view::erasure::{ErasureView, ErasureWorkView, ErasureWorksView, LookedAt};
use crate::view::value::PageView;
use crate::web::answer;
use crate::web::api::{Api, Outcome, Refused, document};
use crate::web::list_query::{BadParameter, Query};

/// Whose data, and whether it is to be done. Exactly one of the four values, or `work`.
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
    /// The number of a work that has found what would be erased: with `"apply": true` that is erased, as it was shown.
    pub work: Option<String>,
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

    /// `GET /api/v1/erasures/work`.
    pub fn erasure_work(&self) -> Outcome {
        let latest = self.ops.erasure_work.latest();
        document(&ErasureWorksView { work: latest.as_ref().map(work_view) })
    }

    /// `POST /api/v1/erasures`, by the holder of the token named `actor`: begins to look, and with `"apply": true` does it.
    pub async fn erase(&self, body: &[u8], actor: &str) -> Outcome {
        let wish = wish(body)?;
        let work = &self.ops.erasure_work;
        let state = match wish.found()? {
            Some(id) => work.erase_found(id, wish.confirm, actor).await?.ok_or(Missing::ErasureWork)?,
            None => work.begin(wish.subject()?, wish.to_be_done(), actor)?,
        };
        Ok(answer::json(StatusCode::ACCEPTED, &ErasureWorksView { work: Some(work_view(&state)) }))
    }
}

/// How far work is.
fn work_view(state: &ErasureWorkState) -> ErasureWorkView<'_> {
    let (word, erasure, refused) = match state.ended.as_ref().map(|(_, outcome)| outcome) {
        None => ("looking", None, None),
        Some(ErasureOutcome::Found(plan)) => ("found", Some(ErasureView::preview(&looked_at(plan))), None),
        Some(ErasureOutcome::Kept(kept)) => ("kept", Some(ErasureView::of(kept)), None),
        Some(ErasureOutcome::Refused(why)) => {
            ("refused", None, Some((Some(why.code().as_str()), why.sentence(), why.hint())))
        }
        Some(ErasureOutcome::Failed(error)) => {
            ("failed", None, Some((None, error.to_string(), String::new())))
        }
    };
    let (reason_code, reason, hint) = match refused {
        Some((code, reason, hint)) => (code, Some(reason), Some(hint)),
        None => (None, None, None),
    };
    ErasureWorkView {
        id: state.id.to_string(),
        state: word,
        subject: state.subject.as_str(),
        actor: &state.actor,
        began: state.began,
        ended: state.ended.as_ref().map(|(at, _)| *at),
        erasure,
        reason_code,
        reason,
        hint,
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
    const NAMES: [&str; 7] = ["email", "phone", "click_id", "transaction_id", "work", "apply", "confirm"];
    if members.keys().any(|name| !NAMES.contains(&name.as_str())) {
        return Err(asked("the body has a member that is not known"));
    }
    serde_json::from_value(Value::Object(members))
        .map_err(|_| asked("a value is no text, or `apply` or `confirm` is neither true nor false"))
}

impl ErasureBody {
    /// The work whose findings are to be erased; `None`: it is to be looked for a value.
    fn found(&self) -> Result<Option<u64>, Refused> {
        let Some(work) = &self.work else { return Ok(None) };
        let is_alone = [&self.email, &self.phone, &self.click_id, &self.transaction_id]
            .iter()
            .all(|value| value.is_none());
        match work.parse() {
            Ok(id) if is_alone && self.apply => Ok(Some(id)),
            _ => {
                let message = "`work` is the number of a work, and is sent with `apply` and without a value";
                let hint = "send {\"work\": \"1\", \"apply\": true}";
                let code = ErrorCode::BadBody.as_str();
                Err(Refused::Asked(StatusCode::BAD_REQUEST, code, message.to_owned(), hint.to_owned()))
            }
        }
    }

    fn to_be_done(&self) -> ErasureWish {
        if self.apply { ErasureWish::Erase { confirm: self.confirm } } else { ErasureWish::Show }
    }

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
        Ok(erasure::subject(kind, text)?)
    }
}

impl From<SubjectRefused> for Refused {
    fn from(refused: SubjectRefused) -> Refused {
        Refused::coded(StatusCode::BAD_REQUEST, &refused)
    }
}

impl From<ErasureBusy> for Refused {
    fn from(ErasureBusy(work): ErasureBusy) -> Refused {
        let code = ErrorCode::ErasureBusy;
        let message = format!("{}: {work} goes on", code.meaning());
        Refused::Asked(StatusCode::CONFLICT, code.as_str(), message, code.fix().to_owned())
    }
}
