//! The button that sends a test event, and what became of it.

use serde::Serialize;
use serde_json::Value;

use crate::domain::ids::DestinationId;
use crate::domain::test_event::TestWish;
use crate::ops::test_event::{self, TestError};
use crate::view::reason::ReasonView;
use crate::view::test_event::TestEventView;
use crate::view::value::readable;
use crate::web::list_query::BadParameter;
use crate::web::pages::form::PostedForm;
use crate::web::pages::{PageExit, Pages, document};

/// What became of a test event, as the template `destinations` shows it.
#[derive(Serialize)]
pub struct ShownTest {
    #[serde(skip)]
    destination: String,
    /// The one that was chosen; empty for the usual one.
    #[serde(skip)]
    event: String,
    /// Null where none was sent.
    sent: Option<Value>,
    /// Why none was.
    refused: Option<ReasonView>,
}

/// A test event that was sent, with the body of its answer as a person reads it.
#[derive(Serialize)]
struct SentTestCard<'a> {
    #[serde(flatten)]
    test: TestEventView<'a>,
    response_text: Option<String>,
}

impl ShownTest {
    /// Whether it is of this destination.
    pub fn is_of(&self, destination: &DestinationId) -> bool {
        self.destination == destination.as_str()
    }

    /// The event that the person chose.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Whether anything was sent.
    pub fn is_sent(&self) -> bool {
        self.sent.is_some()
    }
}

impl Pages {
    /// Sends a test event, or says why none is sent.
    pub(super) async fn send_test(&self, id: &str, form: &PostedForm) -> Result<ShownTest, PageExit> {
        let wish = TestWish { event: form.get("event"), anyway: form.get("anyway") == "true" };
        let (destination, event) = (id.to_owned(), wish.event.to_owned());
        let shown = |sent, refused| ShownTest { destination, event, sent, refused };
        let by = (self.ops.destinations.as_slice(), &self.ops.send_test);
        match test_event::send(by, id, wish).await {
            Ok((destination, report)) => {
                let response_text = report.attempt.answer().map(|answer| readable(&answer.body));
                let test = TestEventView::of(&report, destination);
                Ok(shown(Some(document(&SentTestCard { test, response_text })), None))
            }
            Err(TestError::Refused(refused)) => Ok(shown(None, Some(ReasonView::of(&refused)))),
            Err(TestError::Missing(missing)) => Err(missing.into()),
            Err(TestError::NotAName(name)) => {
                Err(BadParameter::new("event", &name, TestError::A_NAME).into())
            }
        }
    }
}
