//! What the forms of the pages do: each is of this very session, is carried out by `ops`, and leaves what became of
//! it for the next page.

use http::StatusCode;

use crate::domain::suppression::ListChange;
use crate::web::access_log::TokenArea;
use crate::web::answer::Answer;
use crate::web::pages::form::PostedForm;
use crate::web::pages::route::own_path;
use crate::web::pages::session::{Flash, SignedIn};
use crate::web::pages::sources::SourcesForms;
use crate::web::pages::{BrowserRequest, PageExit, Pages, engine, is_cross_site, no_such_page};
use crate::web::routes::{PageCall, RouteRow};

impl Pages {
    /// Does what a form asks for. Only a form of this very session is heard.
    pub(super) async fn act(
        &self,
        visitor: &SignedIn,
        (row, call, id): (&RouteRow, PageCall, &str),
        request: &BrowserRequest,
    ) -> Result<Answer, PageExit> {
        let form = PostedForm::posted(&request.headers, &request.body);
        if is_cross_site(&request.headers) || !visitor.sent(form.get("csrf")) {
            return Err(PageExit::Refused(
                StatusCode::FORBIDDEN,
                "This form is not from a page of your session".to_owned(),
                "Open the page again and press the button there: nothing was done.".to_owned(),
            ));
        }
        self.admits(visitor, row)?;
        self.carry_out(visitor, (row, call, id), (request, &form)).await
    }

    async fn carry_out(
        &self,
        visitor: &SignedIn,
        (row, call, id): (&RouteRow, PageCall, &str),
        (request, form): (&BrowserRequest, &PostedForm),
    ) -> Result<Answer, PageExit> {
        let change = (row, id);
        match call {
            PageCall::SignOut => {
                self.sessions.close(visitor);
                Ok(self.signed_out(request))
            }
            PageCall::RetryDelivery => {
                self.leave(visitor, self.retry(id).await?, change);
                Ok(engine::redirect(own_path(form.get("back")).unwrap_or("/dead-letters")))
            }
            PageCall::Reprocess => {
                self.leave(visitor, self.retry_postback(id).await?, change);
                Ok(engine::redirect(own_path(form.get("back")).unwrap_or("/quarantine")))
            }
            PageCall::SetStatus => {
                self.leave(visitor, self.set_status(visitor, id, form).await?, change);
                let page = format!("/conversions/{id}");
                Ok(engine::redirect(own_path(&page).unwrap_or("/conversions")))
            }
            PageCall::ConfirmClock => {
                self.leave(visitor, self.confirm_clock(visitor), change);
                Ok(engine::redirect("/clock"))
            }
            PageCall::RemoveList => {
                self.leave(visitor, self.remove_list(id, form).await?, change);
                Ok(engine::redirect("/suppression"))
            }
            PageCall::ChooseList | PageCall::Suppress | PageCall::Unsuppress => {
                let wish = if call == PageCall::Unsuppress { ListChange::TakeOff } else { ListChange::Add };
                let list = if call == PageCall::ChooseList { form.get("list") } else { id };
                self.changed_list(visitor, wish, (row, list), form).await
            }
            PageCall::Erase => self.erase(visitor, form).await,
            PageCall::SendTest => self.tested(visitor, change, form).await,
            PageCall::Preview => self.previewed(visitor, form).await,
            PageCall::LintUrl => self.shown(visitor, self.lint_url(visitor, id, form)?).await,
            // These are shown, and the form for signing in is answered to everyone.
            PageCall::Style
            | PageCall::Home
            | PageCall::SignIn
            | PageCall::Conversions
            | PageCall::Irreversible
            | PageCall::Conversion
            | PageCall::Clicks
            | PageCall::Click
            | PageCall::Deliveries
            | PageCall::Quarantine
            | PageCall::DeadLetters
            | PageCall::Sources
            | PageCall::Destinations
            | PageCall::Clock
            | PageCall::Offers
            | PageCall::Offer
            | PageCall::Campaigns
            | PageCall::GenerateLink
            | PageCall::Tag
            | PageCall::Api
            | PageCall::Erasures
            | PageCall::Erasure
            | PageCall::ErasureWork
            | PageCall::SuppressionLists
            | PageCall::SuppressionList => Err(no_such_page()),
        }
    }

    async fn previewed(&self, visitor: &SignedIn, form: &PostedForm) -> Result<Answer, PageExit> {
        self.shown(visitor, SourcesForms::of_preview(self.preview(form).await?)).await
    }

    /// The page of the sources, with what one of its forms asked for.
    async fn shown(&self, visitor: &SignedIn, forms: SourcesForms) -> Result<Answer, PageExit> {
        Ok(self.page(Some(visitor), self.sources(visitor, forms).await?))
    }

    /// Sends a test event and shows what became of it, next to its destination.
    async fn tested(
        &self,
        visitor: &SignedIn,
        (row, id): (&RouteRow, &str),
        form: &PostedForm,
    ) -> Result<Answer, PageExit> {
        let test = self.send_test(id, form).await?;
        if test.is_sent() {
            self.note_change(visitor, row, id);
        }
        Ok(self.page(Some(visitor), self.destinations(Some(test)).await?))
    }

    async fn changed_list(
        &self,
        visitor: &SignedIn,
        wish: ListChange,
        (row, list): (&RouteRow, &str),
        form: &PostedForm,
    ) -> Result<Answer, PageExit> {
        let page = self.change_list(visitor, (wish, list), form).await?;
        self.note_change(visitor, row, list);
        Ok(self.page(Some(visitor), page))
    }

    /// Leaves what an action became for the next page, and in the log where it changed something.
    fn leave(&self, visitor: &SignedIn, flash: Flash, (row, id): (&RouteRow, &str)) {
        if flash.good {
            self.note_change(visitor, row, id);
        }
        self.sessions.leave(visitor, flash);
    }

    fn note_change(&self, visitor: &SignedIn, row: &RouteRow, id: &str) {
        if let Some(change) = row.change {
            self.access.log.changed(&visitor.name, TokenArea::Pages, change, id);
        }
    }
}
