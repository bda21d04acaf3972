//! A test event: what was sent and received, what that means in words, and where a person goes on.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::delivery::ReplyVerdict;
use crate::domain::event::EventName;
use crate::domain::ids::DestinationId;
use crate::domain::sent::Confirmation;
use crate::domain::test_event::{TestCounts, TestReport};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::ready::ReadyDestination;
use crate::view::delivery::AttemptView;

/// What became of a test event. Nothing of it is kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TestEvent")]
pub struct TestEventView<'a> {
    #[schemars(with = "String")]
    destination: &'a DestinationId,
    /// The destination template's name.
    template: &'a str,
    /// Our name of the event.
    #[schemars(with = "String")]
    event: &'a EventName,
    /// The platform's.
    event_name: &'a str,
    /// What the answer means, as a sentence without its end; why not is in `reason`, what to do in `hint`.
    pub verdict: &'static str,
    /// Whether the platform may use the event for bidding or in reports: `no`, `unknown` or `yes`.
    counts: Option<&'static str>,
    /// What a test cannot show, as a sentence; null where nothing is known.
    note: Option<&'a str>,
    #[serde(flatten)]
    attempt: AttemptView<'a>,
    /// What the template's setup guide says of an account that is refused; null where it is not.
    pub setup: Option<&'a str>,
    /// Whether the destination was parked and, because the test was taken, sends what waits longest now.
    is_probed: bool,
}

impl<'a> TestEventView<'a> {
    pub fn of(report: &'a TestReport, destination: &'a ReadyDestination) -> TestEventView<'a> {
        let template = destination.template();
        let setup = template.map(DestinationTemplate::when_refused);
        let is_refused = matches!(report.attempt.verdict, ReplyVerdict::Park { .. });
        TestEventView {
            destination: &report.destination,
            template: destination.template_name(),
            event: &report.event,
            event_name: &report.event_name,
            verdict: in_words(&report.attempt.verdict),
            counts: template.and_then(DestinationTemplate::test_counts).map(TestCounts::as_str),
            note: template.and_then(DestinationTemplate::test_note),
            attempt: AttemptView::of(&report.attempt),
            setup: setup.filter(|setup| is_refused && !setup.is_empty()),
            is_probed: report.is_probed,
        }
    }
}

fn in_words(verdict: &ReplyVerdict) -> &'static str {
    match verdict {
        ReplyVerdict::Delivered { confirmation: Confirmation::Unverified, .. } => {
            "delivered: the platform accepted the test, and says no more of it"
        }
        ReplyVerdict::Delivered { confirmation: Confirmation::Counted, .. } => {
            "delivered: the platform accepted the test, and says nothing of the event itself"
        }
        ReplyVerdict::Delivered { confirmation: Confirmation::Duplicate, .. } => {
            "delivered; the platform says that it knew the event already"
        }
        ReplyVerdict::Delivered { warnings, .. } if warnings.is_empty() => {
            "delivered: the platform took the event in its test mode"
        }
        ReplyVerdict::Delivered { .. } => {
            "delivered: the platform took the event in its test mode, with a warning"
        }
        ReplyVerdict::Retry { .. } => "not taken now: a sale would be sent again later",
        ReplyVerdict::Dead { .. } => "refused: a sale like it would be a dead letter",
        ReplyVerdict::Park { .. } => "the account is refused: sales would wait until it is right",
        ReplyVerdict::Skipped { .. } => "nothing was sent",
    }
}
