//! Erasures: the list, what one would do and what it did, and the form that asks for one. The value that names the person is
//! in the form alone.

use http::StatusCode;
use serde_json::{Value, json};

use crate::domain::code::CodedReason;
use crate::domain::erasure::report::Erasure;
use crate::domain::erasure::subject::{SubjectKind, SubjectRefused};
use crate::ops::erasure::{self, ErasureError};
use crate::ops::missing::Missing;
use crate::view::erasure::{ErasedCountsView, ErasureView};
use crate::web::answer::Answer;
use crate::web::api::erasures::looked_at;
use crate::web::list_query::BadParameter;
use crate::web::pages::form::PostedForm;
use crate::web::pages::list::{Filters, options};
use crate::web::pages::session::{Flash, SignedIn, capitalised, sentence};
use crate::web::pages::{PageContent, PageExit, Pages, document, engine};

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

    /// Shows what would be erased, or erases it where the form says that this was shown and is meant.
    pub(super) async fn erase(&self, visitor: &SignedIn, form: &PostedForm) -> Result<Answer, PageExit> {
        let kind = SubjectKind::parse(form.get("kind")).ok_or_else(|| {
            let hint = "Choose one of the form's kinds.".to_owned();
            PageExit::Refused(StatusCode::BAD_REQUEST, "This kind of value is not known".to_owned(), hint)
        })?;
        let store = self.ops.store.as_ref();
        let subject = erasure::subject(kind, form.get("value")).map_err(ErasureError::from)?;
        let plan = erasure::look(store, &subject, self.ops.clock.now()).await?;
        if plan.found.total() == 0 {
            return Err(ErasureError::from(SubjectRefused::NothingFound).into());
        }
        if form.get("apply") != "yes" {
            let again = json!({"kind": kind.as_str(), "value": form.get("value")});
            let page = shown(&ErasureView::preview(&looked_at(&plan)), again);
            return Ok(self.page(Some(visitor), page));
        }
        let kept = erasure::carry_out(store, plan, (&visitor.name, form.get("sure") == "yes")).await?;
        let text = "The erasure is kept, and is done step by step".to_owned();
        let hint = "Reload this page to see how far it is.".to_owned();
        self.sessions.leave(visitor, Flash { good: true, text, hint, link: None });
        Ok(engine::redirect(&format!("/erasures/{}", kept.id)))
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

impl From<ErasureError> for PageExit {
    fn from(error: ErasureError) -> PageExit {
        let refused = match error {
            ErasureError::Store(error) => return error.into(),
            ErasureError::Refused(refused) => refused,
        };
        let status = match refused {
            SubjectRefused::SeveralPersons { .. } | SubjectRefused::TooMany { .. } => StatusCode::CONFLICT,
            SubjectRefused::NothingFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        PageExit::Refused(status, capitalised(&refused.sentence()), sentence(&refused.hint()))
    }
}
