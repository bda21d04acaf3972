//! Erasures: the list, what one would do and what it did, and the form that asks for one. The value that names the person is
//! in the form alone.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::erasure::report::Erasure;
use crate::domain::erasure::subject::{SubjectKind, SubjectRefused};
use crate::domain::error_code::ErrorCode;
use crate::ops::erasure;
use crate::ops::erasure_work::{ErasureBusy, ErasureOutcome, ErasureWish, ErasureWorkState};
use crate::ops::missing::Missing;
use crate::view::erasure::{ErasedCountsView, ErasureView};
use crate::web::answer::Answer;
use crate::web::api::erasures::looked_at;
use crate::web::list_query::BadParameter;
use crate::web::pages::form::PostedForm;
use crate::web::pages::list::{Filters, options};
use crate::web::pages::session::{Flash, SignedIn, capitalised, sentence};
use crate::web::pages::{PageContent, PageExit, Pages, document, engine};

/// How long a form waits for what would be erased, before its page says that it is being looked for.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Pages {
    /// `/erasures`.
    pub(super) async fn erasures(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        let filters = Filters::read(query);
        let page = erasure::list(self.ops.store.as_ref(), filters.query()?.page()?).await?;
        let line = |kept: &Erasure| {
            let path = format!("/erasures/{}", kept.id);
            json!({"erasure": document(&ErasureView::of(kept)), "path": path, "records": kept.erased.total()})
        };
        let data = json!({
            "items": page.items.iter().map(line).collect::<Vec<_>>(),
            "links": filters.links("/erasures", page.next_cursor.as_deref()),
            "kinds": options(SubjectKind::ALL.map(SubjectKind::as_str), ""),
        });
        Ok(PageContent::new("erasures", "Erasures", data))
    }

    /// `/erasures/{id}`.
    pub(super) async fn erasure(&self, id: &str) -> Result<PageContent, PageExit> {
        let number: u64 =
            id.parse().map_err(|_| BadParameter::new("id", id, "an erasure's number is a whole number"))?;
        let kept = self.ops.store.erasure(number).await?.ok_or(Missing::Erasure)?;
        Ok(shown(&ErasureView::of(&kept), Value::Null))
    }

    /// `/erasures/work`: what would be erased, once it is found.
    pub(super) fn erasure_work(&self) -> Result<PageContent, PageExit> {
        match self.ops.erasure_work.latest() {
            Some(state) => of_work(&state),
            None => Ok(PageContent::new("erasure-work", "Looking for what would be erased", json!({}))),
        }
    }

    /// Looks what would be erased, or erases what was found where the form says that it was shown and is meant.
    pub(super) async fn erase(&self, visitor: &SignedIn, form: &PostedForm) -> Result<Answer, PageExit> {
        let work = &self.ops.erasure_work;
        if form.get("apply") == "yes" {
            let id = form.get("work").parse().unwrap_or_default();
            let done = work.erase_found(id, form.get("sure") == "yes", &visitor.name).await?;
            let done = done.ok_or(Missing::ErasureWork)?;
            return self.after_work(visitor, &done);
        }
        let kind = SubjectKind::parse(form.get("kind")).ok_or_else(|| {
            let hint = "Choose one of the form's kinds.".to_owned();
            PageExit::Refused(StatusCode::BAD_REQUEST, "This kind of value is not known".to_owned(), hint)
        })?;
        let subject = erasure::subject(kind, form.get("value"))?;
        let begun = work.begin(subject, ErasureWish::Show, &visitor.name)?;
        // Of few records it is known at once.
        let state = work.ended(begun.id, AT_ONCE).await.ok_or(Missing::ErasureWork)?;
        self.after_work(visitor, &state)
    }

    fn after_work(&self, visitor: &SignedIn, state: &ErasureWorkState) -> Result<Answer, PageExit> {
        match &state.ended {
            None => Ok(engine::redirect("/erasures/work")),
            Some((_, ErasureOutcome::Kept(kept))) => {
                let text = "The erasure is kept, and is done step by step".to_owned();
                let hint = "Reload this page to see how far it is.".to_owned();
                self.sessions.leave(visitor, Flash { good: true, text, hint, link: None });
                Ok(engine::redirect(&format!("/erasures/{}", kept.id)))
            }
            Some(_) => Ok(self.page(Some(visitor), of_work(state)?)),
        }
    }
}

/// The page of work that goes on, or has ended.
fn of_work(state: &ErasureWorkState) -> Result<PageContent, PageExit> {
    match &state.ended {
        None => {
            let data = json!({"began": state.began, "subject": state.subject.as_str(), "actor": state.actor});
            Ok(PageContent::new("erasure-work", "Looking for what would be erased", data))
        }
        Some((_, ErasureOutcome::Found(plan))) if plan.found.total() == 0 => {
            Err(SubjectRefused::NothingFound.into())
        }
        Some((_, ErasureOutcome::Found(plan))) => {
            Ok(shown(&ErasureView::preview(&looked_at(plan)), json!({"work": state.id})))
        }
        Some((_, ErasureOutcome::Kept(kept))) => Ok(shown(&ErasureView::of(kept), Value::Null)),
        Some((_, ErasureOutcome::Refused(refused))) => Err((*refused).into()),
        Some((_, ErasureOutcome::Failed(error))) => Err(error.clone().into()),
    }
}

fn shown(view: &ErasureView<'_>, form: Value) -> PageContent {
    let counts = counts(&view.found, &view.erased);
    let data = json!({"erasure": document(view), "counts": counts, "form": form});
    let title =
        view.id.as_ref().map_or_else(|| "What would be erased".to_owned(), |id| format!("Erasure {id}"));
    PageContent::new("erasure", &title, data)
}

fn counts(found: &ErasedCountsView, erased: &ErasedCountsView) -> Value {
    let kinds = [
        ("clicks", found.clicks, erased.clicks),
        ("conversions", found.conversions, erased.conversions),
        ("postbacks", found.postbacks, erased.postbacks),
        ("attempts", found.attempts, erased.attempts),
        ("exchanges", found.exchanges, erased.exchanges),
        ("records of others", found.others, erased.others),
    ];
    kinds
        .into_iter()
        .map(|(name, found, erased)| json!({"name": name, "found": found, "erased": erased}))
        .collect()
}

impl From<SubjectRefused> for PageExit {
    fn from(refused: SubjectRefused) -> PageExit {
        let status = match refused {
            SubjectRefused::SeveralPersons { .. } | SubjectRefused::TooMany { .. } => StatusCode::CONFLICT,
            SubjectRefused::NothingFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        PageExit::Refused(status, capitalised(&refused.sentence()), sentence(&refused.hint()))
    }
}

impl From<ErasureBusy> for PageExit {
    fn from(_: ErasureBusy) -> PageExit {
        let code = ErrorCode::ErasureBusy;
        let hint = "Wait until it has ended: the page of it is /erasures/work.".to_owned();
        PageExit::Refused(StatusCode::CONFLICT, capitalised(code.meaning()), hint)
    }
}
