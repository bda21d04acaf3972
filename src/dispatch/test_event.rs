//! One test event to a destination, for a person who wants to see that it works: by the platform's own test mode and
//! never otherwise, of a made-up sale. It is no delivery: nothing of it is kept, and how the destination does is left
//! as it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, stopwatch};
use crate::dispatch::answer;
use crate::dispatch::context::{AttemptContext, SendSetup};
use crate::dispatch::signed::{self, SignedReply};
use crate::domain::attempt::{Attempt, AttemptEffect, AttemptPurpose, EarlierRequest, Exchange};
use crate::domain::delivery::{OutgoingRequest, Reply, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::event::EventName;
use crate::domain::exchange::NoAnswer;
use crate::domain::remark::Remark;
use crate::domain::sent::DeliveryKind;
use crate::domain::sent::SentEvent;
use crate::domain::test_event::{TestRefused, TestReport};
use crate::domain::time::Time;
use crate::send::client::KEPT_BODY;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::made_up::MadeUpSale;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::diagnostic::Problem;

/// The longest that a test takes, whatever the destination's own `timeout_ms`: a person waits for it.
const LONGEST: Duration = Duration::from_secs(20);
/// How long after a test the next can be sent to the same destination.
const PAUSE: Duration = Duration::from_secs(3);

/// By what one test event is sent.
pub struct TestSender {
    to: Arc<SendSetup>,
    shared: Arc<AttemptContext>,
}

/// The one event of the request, and what else is known of it.
struct ReadyTest {
    sale: MadeUpSale,
    part: EventPart,
    sent: SentEvent,
    remarks: Vec<Remark>,
}

/// What was received.
struct TestAnswer {
    /// `None` where no request was sent, because there is no token.
    reply: Option<Reply>,
    /// What it means whatever the reply says.
    verdict: Option<ReplyVerdict>,
    before: Vec<EarlierRequest>,
}

impl TestSender {
    /// One to this destination of a target.
    pub fn new(to: Arc<SendSetup>, shared: Arc<AttemptContext>) -> TestSender {
        TestSender { to, shared }
    }

    /// Sends an event of this name; `None`: a purchase, or another where the destination takes none.
    ///
    /// # Errors
    /// Why nothing was sent: above all where it would count.
    pub async fn send(self, event: Option<EventName>) -> Result<TestReport, TestRefused> {
        let destination = &self.to.destination;
        destination.check_test_mode()?;
        let event = event.or_else(|| destination.usual_event()).unwrap_or_else(EventName::purchase);
        let test = self.render(event, self.shared.clock.now())?;
        self.take_turn()?;
        let report = self.exchange(test).await;
        self.end_turn();
        Ok(report)
    }

    /// One at a time, and a pause between two: each is a request to someone else's server.
    fn take_turn(&self) -> Result<(), TestRefused> {
        let now = self.shared.clock.running();
        self.shared.tallies.change(self.to.destination.id(), |tally| match tally.next_test.checked_sub(now) {
            Some(wait) if !wait.is_zero() => Err(TestRefused::TooSoon { seconds: wait.as_secs() + 1 }),
            _ => {
                tally.next_test = now.saturating_add(LONGEST + PAUSE);
                Ok(())
            }
        })
    }

    fn end_turn(&self) {
        let next_test = self.shared.clock.running().saturating_add(PAUSE);
        self.shared.tallies.change(self.to.destination.id(), |tally| tally.next_test = next_test);
    }

    /// The event in test mode. It is made in live mode too: were both the same, the test would count.
    fn render(&self, event: EventName, now: Time) -> Result<ReadyTest, TestRefused> {
        let destination = &self.to.destination;
        let entropy = clock::entropy::<16>()
            .map_err(|error| TestRefused::Unrendered { what: error.to_string(), hint: String::new() })?;
        let unmade =
            || TestRefused::Unrendered { what: "no sale could be made up".to_owned(), hint: String::new() };
        let sale = MadeUpSale::of(destination, event, (now, entropy)).ok_or_else(unmade)?;
        let in_mode = |mode| {
            let input = RenderInput {
                conversion: &sale.conversion,
                click: Some(&sale.click),
                delivery: &sale.delivery,
                kind: DeliveryKind::Event,
                sent: None,
                now,
                customer: Default::default(),
            };
            // A template that panics must not cost the caller's connection.
            match catch_unwind(AssertUnwindSafe(|| destination.render_event_in(mode, &input))) {
                Ok(Ok(rendering)) => Ok(rendering),
                Ok(Err(Problem { what, hint, .. })) => Err(TestRefused::Unrendered { what, hint }),
                Err(_logged) => Err(TestRefused::Unrendered {
                    what: "the template failed inside the program".to_owned(),
                    hint: "report it with the template's name".to_owned(),
                }),
            }
        };
        let Rendering { rendered, remarks } = in_mode(DestinationMode::Test)?;
        let (part, sent) = match rendered {
            Rendered::Request(part, sent) => (part, *sent),
            Rendered::Skip { reason } => return Err(destination.unsent_test(reason)),
        };
        match in_mode(DestinationMode::Live)?.rendered {
            Rendered::Request(live, _) if live == part => Err(TestRefused::SameAsLive),
            _ => Ok(ReadyTest { sale, part, sent, remarks }),
        }
    }

    async fn exchange(&self, test: ReadyTest) -> TestReport {
        let ReadyTest { sale, part, sent, remarks } = test;
        let (destination, clock) = (&self.to.destination, &self.shared.clock);
        let (at, began) = (clock.now(), stopwatch());
        let mut assembled = destination.assemble(&[&part], &sale.delivery, at);
        let TestAnswer { reply, verdict: without_token, before } = self.answer(&mut assembled.request).await;
        let now = clock.now();
        let mut kept = Vec::new();
        let (verdict, exchange) = match reply {
            None => (None, None),
            Some(reply) => {
                let (mut said, shown) = answer::classify(destination, (&assembled.request, 1), &reply, now);
                let verdict = match said.events.pop().flatten() {
                    Some(event) => {
                        kept = event.kept;
                        event.verdict
                    }
                    None => said.request,
                };
                let answer = match shown.unwrap_or(reply) {
                    Reply::Answer(answer) => Some(answer.cut_to(KEPT_BODY)),
                    Reply::Failed(_) | Reply::Forbidden(_) => None,
                };
                let (request, _) = assembled.masked();
                (Some(verdict), Some(Arc::new(Exchange { request, answer, before })))
            }
        };
        // Of the two at least one is there: a request without a reply has the verdict of its token.
        let failed =
            ReplyVerdict::Retry { reason: RetryReason::AttemptFailed, after_ms: None, hold_ms: None };
        let verdict = without_token.or(verdict).unwrap_or(failed);
        let is_taken = matches!(verdict, ReplyVerdict::Delivered { .. });
        let event_name = sent.event.clone();
        let sent = Some(Box::new(SentEvent { reply: kept, ..sent })).filter(|_| verdict.may_be_taken());
        TestReport {
            destination: destination.id().clone(),
            event: sale.conversion.event,
            event_name,
            is_probed: is_taken && self.shared.target_health.probe_now(now),
            attempt: Attempt {
                at,
                took_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
                exchange,
                verdict,
                remarks,
                sent,
                place: None,
                effect: AttemptEffect::Settled,
                purpose: AttemptPurpose::Report,
            },
        }
    }

    /// Signs in and sends, within the time that a test has.
    async fn answer(&self, request: &mut OutgoingRequest) -> TestAnswer {
        let (began, clock) = (stopwatch(), &self.shared.clock);
        let after_ms = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
        let late = || NoAnswer::Timeout { after_ms };
        let signed = tokio::time::timeout(LONGEST, signed::sign(&self.to, request, clock)).await;
        let unanswered = |_elapsed| {
            let reason = RetryReason::SignInUnanswered(late());
            Err(ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None })
        };
        let token = match signed.unwrap_or_else(unanswered) {
            Ok(token) => token,
            Err(verdict) => return TestAnswer { reply: None, verdict: Some(verdict), before: Vec::new() },
        };
        let mut before = Vec::new();
        let left = LONGEST.saturating_sub(began.elapsed());
        let sent =
            signed::send(&self.to, (request, (AttemptPurpose::Report, 1)), token, (clock, &mut before));
        match tokio::time::timeout(left, sent).await {
            Ok(SignedReply { reply, verdict }) => TestAnswer { reply: Some(reply), verdict, before },
            Err(_elapsed) => TestAnswer { reply: Some(Reply::Failed(late())), verdict: None, before },
        }
    }
}
