//! One test event to a destination, because a person wants to see that it works. Nothing of it is kept.

use std::pin::Pin;
use std::sync::Arc;

use crate::domain::event::EventName;
use crate::domain::ids::DestinationId;
use crate::domain::test_event::{TestCounts, TestRefused, TestReport, TestWish};
use crate::ops::missing::Missing;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::ready::ReadyDestination;

/// What becomes of a test event that is on its way.
pub type TestUnderWay = Pin<Box<dyn Future<Output = Result<TestReport, TestRefused>> + Send>>;

/// Sends a test event of this name to a destination; without a name, the usual one.
pub type SendTestEvent = Arc<dyn Fn(&DestinationId, Option<EventName>) -> TestUnderWay + Send + Sync>;

/// Why there is no test event to report of.
#[derive(Debug)]
pub enum TestError {
    /// No such destination is configured.
    Missing(Missing),
    /// The text that was given for a name is none.
    NotAName(String),
    /// None was sent.
    Refused(TestRefused),
}

impl TestError {
    /// What a name of an event is.
    pub const A_NAME: &'static str = "an event name has 1 to 64 characters";
}

/// Sends one to the destination with this id. Answers the destination too.
///
/// # Errors
/// There is no such destination or event; none can be sent; it may count, and the wish does not say that it is sent
/// anyway.
pub async fn send<'a>(
    (destinations, send_test): (&'a [Arc<ReadyDestination>], &SendTestEvent),
    id: &str,
    wish: TestWish<'_>,
) -> Result<(&'a ReadyDestination, TestReport), TestError> {
    let found = destinations.iter().find(|destination| destination.id().as_str() == id);
    let destination = found.ok_or(TestError::Missing(Missing::Destination))?;
    let event = match wish.event.trim() {
        "" => None,
        name => Some(EventName::parse(name).ok_or_else(|| TestError::NotAName(name.to_owned()))?),
    };
    if !wish.anyway {
        check_counts(destination).map_err(TestError::Refused)?;
    }
    let report = send_test(destination.id(), event).await.map_err(TestError::Refused)?;
    Ok((destination, report))
}

/// What keeps a test from being sent at all is said first: then nothing would count.
fn check_counts(destination: &ReadyDestination) -> Result<(), TestRefused> {
    destination.check_test_mode()?;
    let counts = destination.template().and_then(DestinationTemplate::test_counts);
    counts.and_then(TestCounts::refusal).map_or(Ok(()), Err)
}
