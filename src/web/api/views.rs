//! The API's wire shapes: times RFC 3339, money as decimal strings with a currency.

use serde_json::{Value, json};

use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::attribution::{Attribution, Considered};
use crate::domain::claim;
use crate::domain::click::{Agent, Click, Pairs, Trait, Traits};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Cause, Change, Conversion};
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, Judgement, SkipCode, told_before};
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::missing_click::no_click;
use crate::domain::money::Money;
use crate::domain::offer::{PayoutFrom, Placement};
use crate::domain::omission::{MORE, Omissions};
use crate::domain::postback::{EncodedBody, Inflation, Postback, RawRequest};
use crate::domain::rejection::RejectionCode;
use crate::domain::remark::Remark;
use crate::domain::reporter::Reporter;
use crate::domain::unsent::{self, Circumstances, Unsent};
use crate::store::{ListedDelivery, Page, Trace};

/// `{"items":[…],"next_cursor":…}`.
pub fn page<T>(page: &Page<T>, view: impl Fn(&T) -> Value) -> Value {
    json!({"items": page.items.iter().map(view).collect::<Vec<_>>(), "next_cursor": page.next_cursor})
}

/// As every document of ours writes it.
pub fn money(money: Option<Money>) -> Value {
    money.map_or(Value::Null, |m| json!({"amount": m.amount.to_string(), "currency": m.currency.as_str()}))
}

/// As every document of ours writes it.
pub fn pairs(pairs: &Pairs) -> Value {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// As every document of ours writes it.
pub fn traits(traits: &Traits) -> Value {
    traits
        .0
        .iter()
        .map(|(name, value)| (Trait::name(*name).to_owned(), Value::from(value.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A conversion with its deliveries, as lists show it.
pub fn conversion(conversion: &Conversion, deliveries: &[Delivery], circumstances: &Circumstances) -> Value {
    let unsent = unsent::of_conversion(conversion, deliveries, &circumstances.rules);
    let delivery = |one| delivery(conversion, (one, told_before(deliveries, one)), circumstances);
    let disposition =
        conversion.disposition.map(|(due, status)| json!({"status": status.word(), "due": due.to_string()}));
    let held = claim::held(conversion);
    json!({
        "id": conversion.id.to_string(),
        "event_id": conversion.id.event_id().to_string(),
        "sequence": conversion.seq.get(),
        "source": conversion.source.as_str(),
        "event": conversion.event.as_str(),
        "status": conversion.status.word(),
        "reason_code": held.map(Remark::code),
        "reason": conversion.reason.clone().or_else(|| held.map(Remark::sentence)),
        "disposition": disposition,
        "placement": conversion.placement.as_ref().map(placement),
        "transaction_id": conversion.transaction_id,
        "attribution": attribution(&conversion.attribution),
        "remarks": remarks(conversion),
        "considered": conversion.considered.iter().map(considered).collect::<Vec<_>>(),
        "item_id": conversion.item_id,
        "value": money(conversion.value),
        "payout": money(conversion.payout),
        "payout_from": conversion.payout_from.map(PayoutFrom::word),
        "revenue": money(conversion.revenue),
        "sale_amount": money(conversion.sale_amount),
        "event_time": conversion.event_time.to_string(),
        "received_at": conversion.received_at.to_string(),
        "traits": traits(&conversion.traits),
        "params": pairs(&conversion.params),
        "consent": consent(conversion.consent.answers()),
        "not_routed": conversion.not_routed.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "unsent": unsent.map(|unsent| json!({"code": unsent.code(), "reason": unsent.sentence()})),
        "deliveries": deliveries.iter().map(delivery).collect::<Vec<_>>(),
    })
}

/// As every document of ours writes it.
pub fn attribution(attribution: &Attribution) -> Value {
    let reading = match attribution {
        Attribution::Matched { reading, .. } | Attribution::Expired { reading, .. } => Some(reading.word()),
        _ => None,
    };
    let (visitor, model) = match attribution {
        Attribution::Visitor { visitor, model, .. } => (Some(visitor.as_str()), Some(model.word())),
        _ => (None, None),
    };
    json!({
        "state": attribution.word(),
        "given": attribution.given(),
        "click_id": attribution.click().map(|click| click.as_str()),
        "reading": reading,
        "visitor": visitor,
        "model": model,
    })
}

/// What a person should know of a conversion: what was kept with it, and what follows from how it is now.
fn remarks(conversion: &Conversion) -> Vec<Value> {
    conversion.remarks.iter().chain(&no_click(conversion)).map(remark).collect()
}

/// A remark with its code, field and sentence.
pub fn remark(remark: &Remark) -> Value {
    json!({"code": remark.code(), "field": remark.field(), "text": remark.sentence()})
}

fn considered(candidate: &Considered) -> Value {
    json!({"click_id": candidate.click.as_str(), "time": candidate.at.to_string(), "why": candidate.why})
}

/// Which offer, and who brought it.
fn placement(placement: &Placement) -> Value {
    json!({
        "offer": placement.offer.as_str(),
        "campaign": placement.campaign.as_ref().map(|id| id.as_str()),
        "affiliate": placement.affiliate.as_ref().map(|id| id.as_str()),
        "creative": placement.creative.as_ref().map(|id| id.as_str()),
    })
}

/// A delivery without its attempts, and whether its destination was told before; with the one reason that
/// holds now.
pub fn delivery(
    conversion: &Conversion,
    (delivery, told_before): (&Delivery, bool),
    circumstances: &Circumstances,
) -> Value {
    let unsent = unsent::of_delivery(conversion, (delivery, told_before), circumstances);
    let (code, mut reason) = (unsent.as_ref().and_then(Unsent::code), unsent.as_ref().map(Unsent::sentence));
    let at = match &delivery.state {
        DeliveryState::Held { until } => until,
        DeliveryState::Waiting { due } => due,
        DeliveryState::Delivered { at } | DeliveryState::Skipped { at, .. } => at,
        DeliveryState::Dead { at, reason: died_of } => {
            reason = Some(died_of.clone());
            at
        }
    };
    let time_name = match &delivery.state {
        DeliveryState::Held { .. } => "until",
        DeliveryState::Waiting { .. } => "due",
        _ => "at",
    };
    let mut view = json!({
        "id": delivery.id(conversion.id).to_string(),
        "destination": delivery.destination.as_str(),
        "occasion": delivery.occasion.to_string(),
        "state": delivery.state.word(),
        "attempts": delivery.attempts,
        "reason_code": code,
        "reason": reason,
    });
    if let Value::Object(members) = &mut view {
        members.insert(time_name.to_owned(), at.to_string().into());
    }
    view
}

/// The code of a skip, as every document of ours writes it.
pub fn skip_code(state: &DeliveryState) -> Option<&'static str> {
    match state {
        DeliveryState::Skipped { code, .. } => code.map(SkipCode::as_str),
        _ => None,
    }
}

/// One attempt with what left and what came back.
pub fn attempt(attempt: &Attempt) -> Value {
    let request = attempt.request.as_ref().map(|request| {
        json!({"method": request.method, "url": request.url, "headers": header_list(&request.headers), "body": request.body})
    });
    let response = attempt.answer.as_ref().map(|answer| {
        json!({
            "status": answer.status,
            "headers": header_list(&answer.headers),
            "body": String::from_utf8_lossy(&answer.body),
            "truncated": answer.truncated,
        })
    });
    let (reason, warnings) = judged(&attempt.judgement);
    json!({
        "at": attempt.at.to_string(),
        "took_ms": attempt.took_ms,
        "outcome": attempt.judgement.word(),
        "reason": reason,
        "warnings": warnings,
        "remarks": attempt.remarks.iter().map(remark).collect::<Vec<_>>(),
        "request": request,
        "response": response,
    })
}

fn header_list(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>().into()
}

/// The reason for, and the warnings beside, a judgement.
pub fn judged(judgement: &Judgement) -> (Option<&str>, &[String]) {
    match judgement {
        Judgement::Delivered { warnings } => (None, warnings),
        Judgement::Retry { reason, .. }
        | Judgement::Dead { reason }
        | Judgement::Park { reason }
        | Judgement::Skipped { reason, .. } => (Some(reason), &[]),
    }
}

/// One change in a conversion's history.
pub fn change(change: &Change) -> Value {
    let cause = match &change.cause {
        Cause::Postback(seq) => json!({"postback": seq.to_string()}),
        Cause::Click(click) => json!({"click": click.as_str()}),
        Cause::Person { name, role, note } => json!({"person": name, "role": role.word(), "note": note}),
        Cause::Disposition => json!({"disposition": true}),
    };
    json!({"number": change.number, "at": change.at.to_string(), "cause": cause, "what": change.what})
}

/// A conversion end to end.
pub fn trace(trace: &Trace, circumstances: &Circumstances, numbers: Option<&AdvertiserNumbers>) -> Value {
    let deliveries: Vec<Delivery> = trace.deliveries.iter().map(|(delivery, _)| delivery.clone()).collect();
    let mut view = conversion(&trace.conversion, &deliveries, circumstances);
    if let Value::Object(members) = &mut view {
        let shown = members.get_mut("deliveries").and_then(Value::as_array_mut).into_iter().flatten();
        for (view, (_, attempts)) in shown.zip(&trace.deliveries) {
            if let Value::Object(members) = view {
                let list: Vec<Value> = attempts.iter().map(attempt).collect();
                members.insert("attempt_log".to_owned(), list.into());
            }
        }
        let theirs = numbers.and_then(|numbers| numbers.of(&trace.conversion));
        members.insert("advertiser_number".to_owned(), theirs.into());
        members.insert(
            "history".to_owned(),
            trace.conversion.history.iter().map(change).collect::<Vec<_>>().into(),
        );
        let counts = trace.conversion.consent_with(trace.click.as_deref());
        members.insert("consent".to_owned(), consent(counts));
        members.insert("click".to_owned(), trace.click.as_deref().map_or(Value::Null, click));
        members
            .insert("postbacks".to_owned(), trace.postbacks.iter().map(postback).collect::<Vec<_>>().into());
    }
    view
}

/// A recorded click.
pub fn click(click: &Click) -> Value {
    let passage = &click.passage;
    json!({
        "click_id": click.id.as_str(),
        "time": click.at.to_string(),
        "recorded_at": click.recorded_at.to_string(),
        "landing_url": click.landing_url,
        "referrer": click.referrer,
        "ip": click.ip.map(|ip| ip.to_string()),
        "user_agent": click.user_agent,
        "params": pairs(&click.params),
        "cookies": pairs(&click.cookies),
        "sub_ids": pairs(&click.sub_ids),
        "customer": traits(&click.customer),
        "origin": passage.origin.word(),
        "kind": passage.kind.word(),
        "placement": passage.placement.as_ref().map(placement),
        "visitor": passage.visitor.as_ref().map(|visitor| visitor.as_str()),
        "agent": passage.agent.as_ref().map(agent),
        "country": passage.country,
        "billable": passage.is_billable(),
        "verdicts": passage.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "consent": consent(passage.consent.answers()),
        "omitted": omitted(&passage.omitted),
    })
}

/// What was sent with a click and is not kept, or not whole.
fn omitted(omitted: &Omissions) -> Value {
    let named = omitted.named().iter().map(|one| {
        json!({
            "code": one.reason.as_str(),
            "field": one.field,
            "sent_bytes": one.sent,
            "kept_bytes": one.kept,
            "text": one.sentence(),
        })
    });
    let more = omitted.has_more().then(
        || json!({"code": "more", "field": null, "sent_bytes": null, "kept_bytes": null, "text": MORE}),
    );
    named.chain(more).collect()
}

fn agent(agent: &Agent) -> Value {
    json!({"device": agent.device, "system": agent.system, "browser": agent.browser, "bot": agent.bot})
}

fn verdict(verdict: &FilterVerdict) -> Value {
    json!({
        "filter": verdict.filter.word(),
        "mode": verdict.mode.word(),
        "hit": verdict.hit.is_some(),
        "reason": verdict.hit,
    })
}

/// Null where nothing was answered.
fn consent(consent: Consent) -> Value {
    if consent == Consent::default() {
        return Value::Null;
    }
    json!({"ad_user_data": consent.ad_user_data, "ad_personalization": consent.ad_personalization})
}

/// The addresses that headers named on the way of a report whose sender a proxy hid, the farthest first: no
/// declared proxy stood for them. Null for everything else.
pub fn forwarded_for(raw: &RawRequest) -> Value {
    let Some(Reporter::Keyless(keyless)) = raw.reporter.as_deref() else { return Value::Null };
    keyless.hidden().map_or(Value::Null, |(named, _)| json!(named))
}

/// A record of the raw log. Bytes that are not UTF-8 are shown as `\xNN`; `raw_base64` has them all.
pub fn postback(postback: &Postback) -> Value {
    use base64::Engine;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let raw = postback.raw.as_ref().map(|raw| {
        json!({
            "line": shown(&raw.line),
            "line_base64": base64(&raw.line),
            "content_type": raw.content_type,
            "body": shown(&raw.body),
            "body_base64": base64(&raw.body),
            "peer": raw.peer.map(|peer| peer.to_string()),
            "forwarded_for": forwarded_for(raw),
            "received_body": raw.encoded.as_ref().map(received_body),
        })
    });
    let fault = postback.verdict.fault();
    json!({
        "id": postback.seq.to_string(),
        "received_at": postback.received_at.to_string(),
        "source": postback.source.as_ref().map(|source| source.as_str()),
        "status": postback.verdict.word(),
        "conversion_id": postback.verdict.conversion().map(|id| id.to_string()),
        "reason_code": fault.and_then(|fault| fault.code).map(RejectionCode::as_str),
        "field": fault.and_then(|fault| fault.field.as_deref()),
        "reason": fault.map(|fault| &fault.reason),
        "hint": fault.map_or(postback.note.as_ref(), |fault| Some(&fault.hint)),
        "maps_again": postback.again.map(|seq| seq.to_string()),
        "raw": raw,
    })
}

/// Bytes as a person reads them: text as it is, everything else as `\xNN`.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() && letter != '\n' {
                text.push_str(&format!("\\x{:02x}", u32::from(letter)));
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The body as it was received, where it was encoded.
pub fn received_body(encoded: &EncodedBody) -> Value {
    let sha256: String = encoded.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "encoding": encoded.encoding,
        "bytes": encoded.bytes,
        "sha256": sha256,
        "inflated": encoded.inflation == Inflation::Inflated,
    })
}

/// A delivery as lists show it, with its conversion's cornerstones and the last attempt.
pub fn listed_delivery(listed: &ListedDelivery, circumstances: &Circumstances) -> Value {
    let mut view = delivery(&listed.conversion, (&listed.delivery, listed.told_before), circumstances);
    if let Value::Object(members) = &mut view {
        members.insert("conversion_id".to_owned(), listed.conversion.id.to_string().into());
        members.insert("event_id".to_owned(), listed.conversion.id.event_id().to_string().into());
        members.insert("source".to_owned(), listed.conversion.source.as_str().into());
        members.insert("event".to_owned(), listed.conversion.event.as_str().into());
        members.insert("transaction_id".to_owned(), listed.conversion.transaction_id.clone().into());
        members.insert("value".to_owned(), money(listed.conversion.value));
        members.insert("last_attempt".to_owned(), listed.last_attempt.as_ref().map_or(Value::Null, attempt));
    }
    view
}
