//! The suppression lists: what is on them, and putting things on or off, with a verdict for every line.

use http::StatusCode;
use serde_json::Value;

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::import_refusal::ImportRefused;
use crate::domain::suppression::{ListChange, Suppressed, SuppressedKind, list_name};
use crate::ops::missing::Missing;
use crate::ops::suppression::{self, EntryLayout, ListError, ReadLine, SuppressionRequest};
use crate::view::suppression::{EntryView, ListChangeView, ListView, RemovedListView};
use crate::view::value::PageView;
use crate::web::api::{Api, ApiRequest, Outcome, Refused, document};
use crate::web::list_query::{BadParameter, Query};

impl Api {
    /// `GET /api/v1/suppression`.
    pub async fn lists(&self) -> Outcome {
        let lists = self.ops.store.lists().await?;
        document(&PageView::whole(lists.iter().map(ListView::of).collect()))
    }

    /// `GET /api/v1/suppression/{list}`.
    pub async fn listed(&self, name: &str, query: &Query) -> Outcome {
        suppression::list(self.ops.store.as_ref(), name).await?;
        let page = self.ops.store.listed(name.to_owned(), query.page()?).await?;
        document(&PageView::of(&page, EntryView::of))
    }

    /// `POST /api/v1/suppression/{list}`, and the same with `/remove` behind: text with one entry a line,
    /// CSV, or `{"entries":[{"kind","value"}]}`.
    pub async fn suppress(&self, wish: ListChange, submission: &ApiRequest<'_>, query: &Query) -> Outcome {
        let allowed = "a list's name has 1 to 64 visible characters";
        let list =
            list_name(submission.id).ok_or_else(|| BadParameter::new("list", submission.id, allowed))?;
        let kind =
            query.parsed("kind", "a kind is email, phone, ip, order_id or click_id", |received_text| {
                SuppressedKind::parse(received_text)
            })?;
        let media = submission.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let lines = match media.as_str() {
            "application/json" => entries(submission.body, kind),
            "text/csv" => suppression::read(submission.body, EntryLayout::Csv, kind),
            _ => suppression::read(submission.body, EntryLayout::Lines, kind),
        };
        let lines = lines.map_err(|why| {
            let (code, message) = (why.code(), format!("nothing was read: {}", why.sentence()));
            Refused::Asked(StatusCode::BAD_REQUEST, code.as_str(), message, why.hint())
        })?;
        let order = SuppressionRequest {
            wish,
            list: list.clone(),
            actor: submission.actor.to_owned(),
            now: self.ops.clock.now(),
        };
        let done = suppression::carry_out(self.ops.store.as_ref(), &order, lines).await?;
        document(&ListChangeView::of(&list, wish, &done))
    }

    /// `DELETE /api/v1/suppression/{list}`.
    pub async fn remove_list(&self, name: &str) -> Outcome {
        let removed = suppression::remove(self.ops.store.as_ref(), name).await?;
        document(&RemovedListView { list: name, removed })
    }
}

impl From<ListError> for Refused {
    fn from(error: ListError) -> Refused {
        match error {
            ListError::Unknown => Missing::SuppressionList.into(),
            ListError::Store(error) => error.into(),
        }
    }
}

/// The entries of a JSON body; a line's number is the entry's place, from 1.
fn entries(body: &[u8], kind: Option<SuppressedKind>) -> Result<Vec<ReadLine>, ImportRefused> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| ImportRefused::NotJson(error.to_string()))?;
    let Some(entries) = value.get("entries").and_then(Value::as_array) else {
        return Err(ImportRefused::NoEntries);
    };
    if entries.len() > suppression::MOST_LINES {
        return Err(ImportRefused::TooManyLines(suppression::MOST_LINES));
    }
    Ok((1..).zip(entries).map(|(number, one)| from_json(number, one, kind)).collect())
}

fn from_json(number: u64, value: &Value, kind: Option<SuppressedKind>) -> ReadLine {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let received_text = text("value").or(value.as_str()).unwrap_or_default();
    let entry = match (text("kind").map(SuppressedKind::parse), kind) {
        (Some(None), _) => Err(ImportRefused::UnknownKind),
        (Some(Some(kind)), _) | (None, Some(kind)) => Suppressed::parse(kind, received_text),
        (None, None) => Err(ImportRefused::KindMissing),
    };
    ReadLine { number, received_text: received_text.chars().take(120).collect(), entry }
}
