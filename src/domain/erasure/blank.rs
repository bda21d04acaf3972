//! What is left of a record once its person's data is erased: ids, amounts, statuses and times, and what affiliates and
//! reports go by. What a template would read is absent, so that nothing takes a marker for a value; what people read has
//! [`ERASED`] in its place.

use crate::domain::attempt::{Attempt, Exchange};
use crate::domain::click::{Click, CustomerTraits, Pairs, sub_id_number};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{DeliveryState, PlatformResponse, ReplyVerdict};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::erasure::ERASED;
use crate::domain::history::Cause;
use crate::domain::item::SoldItem;
use crate::domain::omission::Omissions;
use crate::domain::postback::{Postback, Verdict};
use crate::domain::rejection::note::ReportNote;
use crate::domain::remark::{Remark, erased_at};
use crate::domain::time::Time;

/// Names of parameters besides the sub ids that hold no more than an id.
const KEPT_NAMES: [&str; 1] = ["order_id"];

/// The pairs that affiliates and reports go by.
fn kept(pairs: &Pairs) -> Pairs {
    let is_kept = |name: &str| sub_id_number(name).is_some() || KEPT_NAMES.contains(&name);
    pairs.iter().filter(|(name, _)| is_kept(name)).cloned().collect()
}

/// A click with its ids, its times, what it was on, what filters said and what its visitor answered.
pub fn click(click: &Click, at: Time) -> Click {
    let mut context = click.context.clone();
    (context.agent, context.country, context.omitted) = (None, None, Omissions::erased(at));
    Click {
        id: click.id.clone(),
        at: click.at,
        recorded_at: click.recorded_at,
        landing_url: None,
        referrer: None,
        ip: None,
        user_agent: None,
        params: Pairs::new(),
        cookies: Pairs::new(),
        sub_ids: kept(&click.sub_ids),
        customer: CustomerTraits::default(),
        context,
    }
}

/// A conversion with its ids, amounts, statuses and times. What was sold is left by its numbers.
pub fn conversion(conversion: &Conversion, at: Time) -> Conversion {
    let mut left = conversion.clone();
    left.traits = CustomerTraits::default();
    left.params = kept(&conversion.params);
    let bare = |item: &SoldItem| SoldItem { name: None, category: None, ..item.clone() };
    left.items = conversion.items.iter().map(bare).collect();
    for change in &mut left.history {
        if let Cause::Person { note: Some(note), .. } = &mut change.cause {
            ERASED.clone_into(note);
        }
    }
    if erased_at(&left.remarks).is_none() {
        left.remarks.push(Remark::Erased { at });
    }
    left
}

/// A postback with what became of it. Its bytes are gone, and what was noted of them.
pub fn postback(postback: &Postback, at: Time) -> Postback {
    let verdict = match &postback.verdict {
        Verdict::Quarantined(rejection) => Verdict::Quarantined(rejection.without_values(ERASED)),
        Verdict::Refused(rejection) => Verdict::Refused(rejection.without_values(ERASED)),
        other => other.clone(),
    };
    Postback { raw: None, verdict, notes: vec![ReportNote::Erased { at }], ..postback.clone() }
}

/// When the data of a postback's person was erased; `None`: it was not.
pub fn postback_erased_at(postback: &Postback) -> Option<Time> {
    postback.notes.iter().find_map(|note| match note {
        ReportNote::Erased { at } => Some(*at),
        _ => None,
    })
}

/// An attempt with what it meant. What it sent is known by its event and sale alone.
pub fn attempt(attempt: &Attempt, at: Time) -> Attempt {
    let mut left = attempt.clone();
    verdict(&mut left.verdict);
    if let Some(sent) = &mut left.sent {
        (sent.ids, sent.reply) = (Pairs::new(), Pairs::new());
    }
    if erased_at(&left.remarks).is_none() {
        left.remarks.push(Remark::Erased { at });
    }
    left
}

/// A delivery's state without what it quotes.
pub fn state(state: &mut DeliveryState) {
    match state {
        DeliveryState::Dead { reason, .. } => death(reason),
        DeliveryState::Confirming { last: Some(last), .. } => verdict(last),
        _ => {}
    }
}

fn verdict(verdict: &mut ReplyVerdict) {
    for quoted in verdict.quoted_mut() {
        ERASED.clone_into(quoted);
    }
    if let ReplyVerdict::Dead { reason } = verdict {
        death(reason);
    }
}

fn death(reason: &mut DeathReason) {
    match reason {
        DeathReason::Unrendered { what, .. } => ERASED.clone_into(what),
        DeathReason::GaveUp { last, .. } => {
            let mut kept = ReplyVerdict::Retry { reason: last.clone(), after_ms: None, hold_ms: None };
            verdict(&mut kept);
            if let ReplyVerdict::Retry { reason, .. } = kept {
                *last = reason;
            }
        }
        DeathReason::PlatformRejected(answer) | DeathReason::Redirected(answer) => {
            answer.quoted_mut().into_iter().for_each(|quoted| ERASED.clone_into(quoted));
        }
        DeathReason::Refused(refused) => {
            refused.quoted_mut().into_iter().for_each(|quoted| ERASED.clone_into(quoted));
        }
        DeathReason::TooOld { .. } | DeathReason::RenderingFailed | DeathReason::StaleClick { .. } => {}
    }
}

/// An exchange that was about no one else: where it went, by which method, and with which status it was answered.
pub fn exchange(exchange: &Exchange) -> Exchange {
    let mut left = exchange.clone();
    left.request.url = origin_of(&left.request.url);
    values(&mut left.request.headers);
    if !left.request.body.is_empty() {
        ERASED.clone_into(&mut left.request.body);
    }
    left.answers_mut().for_each(answer);
    left
}

/// The parts of an exchange that are one event's, among those of others: from where to where in its body. As long as they
/// were, so that the places of the others stay right.
pub fn parts(exchange: &Exchange, parts: impl IntoIterator<Item = (u32, u32)>) -> Exchange {
    let mut left = exchange.clone();
    for (start, end) in parts {
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { continue };
        let body = &left.request.body;
        if let (Some(before), Some(own), Some(after)) =
            (body.get(..start), body.get(start..end), body.get(end..))
        {
            left.request.body = [before, &as_long(own), after].concat();
        }
    }
    left
}

/// A text of the same length that holds nothing: a value of JSON stays one.
fn as_long(own: &str) -> String {
    let is_json = own.trim_start().starts_with(['{', '[']);
    let quoted = format!("\"{ERASED}\"");
    let marker = if is_json { quoted.as_str() } else { ERASED };
    match own.len().checked_sub(marker.len()) {
        Some(rest) => format!("{marker}{}", " ".repeat(rest)),
        None => "*".repeat(own.len()),
    }
}

fn origin_of(url: &str) -> String {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| host + at);
    format!("{}/{ERASED}", url.get(..end).unwrap_or_default())
}

fn values(headers: &mut [(String, String)]) {
    headers.iter_mut().for_each(|(_, value)| ERASED.clone_into(value));
}

fn answer(answer: &mut PlatformResponse) {
    values(&mut answer.headers);
    if !answer.body.is_empty() {
        answer.body = ERASED.as_bytes().to_vec();
    }
}
