//! What an answer means, read without the secrets that it may repeat.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::attempt::AttemptPurpose;
use crate::domain::delivery::{OutgoingRequest, PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::exchange::Said;
use crate::domain::time::Time;
use crate::template::destination::batch::BatchVerdict;
use crate::template::destination::confirm::{AskedEvent, ConfirmVerdict};
use crate::template::destination::ready::ReadyDestination;

/// Classifies the reply to a request that carried `sent` events. A platform may repeat what it was sent: where it does,
/// the reply without secrets is answered too, and the reasons are read from that, so that not even a part of one is kept.
pub fn classify(
    destination: &ReadyDestination,
    (request, sent): (&OutgoingRequest, usize),
    reply: &Reply,
    now: Time,
) -> (BatchVerdict, Option<Reply>) {
    let classify = |reply: &Reply| {
        let failed =
            || ReplyVerdict::Retry { reason: RetryReason::AttemptFailed, after_ms: None, hold_ms: None };
        catch_unwind(AssertUnwindSafe(|| destination.classify_batch(reply, sent, now)))
            .unwrap_or_else(|_logged| BatchVerdict::of_all(sent, failed()))
    };
    let mut verdict = classify(reply);
    let Some(shown) = without_secrets(request, reply) else { return (verdict, None) };
    let BatchVerdict { events, request: whole, .. } = classify(&shown);
    quote_only(&mut verdict.request, whole);
    for (event, masked) in verdict.events.iter_mut().zip(events) {
        let Some(event) = event else { continue };
        match masked {
            Some(masked) => {
                quote_only(&mut event.verdict, masked.verdict);
                event.kept = masked.kept;
            }
            None => {
                withhold(&mut event.verdict);
                event.kept.clear();
            }
        }
    }
    (verdict, Some(shown))
}

/// What the reply to being asked means to the events that are asked about, of a request that carried so many; `None`: the
/// destination's platform is not asked.
pub fn confirmed(
    destination: &ReadyDestination,
    asked: (&[AskedEvent], usize),
    reply: &Reply,
    now: Time,
) -> Option<ConfirmVerdict> {
    let failed = || {
        let verdict =
            ReplyVerdict::Retry { reason: RetryReason::AttemptFailed, after_ms: None, hold_ms: None };
        Some(ConfirmVerdict::Again(verdict))
    };
    catch_unwind(AssertUnwindSafe(|| destination.confirmed(reply, asked, now)))
        .unwrap_or_else(|_logged| failed())
}

/// Whether the reply refuses the token that the request of this purpose had, which carried so many events.
pub fn refuses_token(
    destination: &ReadyDestination,
    carried: (AttemptPurpose, usize),
    reply: &Reply,
) -> bool {
    catch_unwind(AssertUnwindSafe(|| destination.refuses_token(reply, carried))).unwrap_or(false)
}

/// Keeps no word of the platform's.
fn withhold(verdict: &mut ReplyVerdict) {
    match verdict {
        ReplyVerdict::Delivered { warnings, .. } => warnings.clear(),
        other => {
            if let Some(answer) = other.answer_mut() {
                answer.said = Said::Withheld;
            }
        }
    }
}

/// Takes the platform's words from the verdict on the masked reply, and nothing else: a mask must not decide
/// what an answer means. Where it did, no word is kept.
fn quote_only(verdict: &mut ReplyVerdict, shown: ReplyVerdict) {
    let is_same = std::mem::discriminant(verdict) == std::mem::discriminant(&shown);
    match (verdict, shown) {
        (ReplyVerdict::Delivered { warnings, .. }, ReplyVerdict::Delivered { warnings: masked, .. }) => {
            *warnings = masked;
        }
        (ReplyVerdict::Delivered { warnings, .. }, _) => warnings.clear(),
        (other, mut shown) => {
            let masked = shown.answer_mut().filter(|_| is_same).map(|answer| answer.said.clone());
            if let Some(answer) = other.answer_mut() {
                answer.said = masked.unwrap_or(Said::Withheld);
            }
        }
    }
}

/// The reply with every secret masked; `None` where it holds none.
pub fn without_secrets(request: &OutgoingRequest, reply: &Reply) -> Option<Reply> {
    let Reply::Answer(answer) = reply else { return None };
    if request.secrets.iter().all(String::is_empty) {
        return None;
    }
    let body = String::from_utf8_lossy(&answer.body);
    let shown_body = request.mask(&body);
    let shown_headers: Vec<(String, String)> =
        answer.headers.iter().map(|(name, value)| (name.clone(), request.mask(value))).collect();
    if shown_body == body && shown_headers == answer.headers {
        return None;
    }
    let shown = PlatformResponse { headers: shown_headers, body: shown_body.into_bytes(), ..answer.clone() };
    Some(Reply::Answer(shown))
}
