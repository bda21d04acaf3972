//! One sale's way: the bytes that came, what they became, whose click it was, and who was told.

use http::StatusCode;
use serde_json::{Value, json};

use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::attribution::{Attribution, Considered};
use crate::domain::built_in;
use crate::domain::claim::is_held;
use crate::domain::click::{Click, Pairs, Trait, Traits};
use crate::domain::conversion::{Cause, Change, Conversion, Role};
use crate::domain::delivery::{Delivery, DeliveryState, told_before};
use crate::domain::ids::ConversionId;
use crate::domain::missing_click::no_click;
use crate::domain::offer::PayoutFrom;
use crate::domain::postback::Postback;
use crate::domain::status::Status;
use crate::domain::status_move::{Actor, StatusMove, is_rejected_by_advertiser};
use crate::domain::unsent::{self, Unsent};
use crate::ingest::status;
use crate::store::{ConversionRef, StatusChanged, Trace};
use crate::view::remark::RemarkView;
use crate::web::api::Refused;
use crate::web::pages::exchange::{DeliveryCard, Present};
use crate::web::pages::form::Form;
use crate::web::pages::raw::RawCard;
use crate::web::pages::session::{Flash, Visitor};
use crate::web::pages::{Pages, Sheet, Stop, advice, clicks, mapping};

impl Pages {
    /// `/conversions/{id}`.
    pub(super) async fn conversion(&self, id: &str) -> Result<Sheet, Stop> {
        let found = match ConversionId::parse(id) {
            Ok(id) => self.store.conversion(id).await?,
            Err(_) => None,
        };
        let trace = found.ok_or_else(|| {
            Stop::Refused(
                StatusCode::NOT_FOUND,
                "No conversion with this id is kept".to_owned(),
                "It may be past `keep_conversions_days`. Look for its transaction id under Conversions."
                    .to_owned(),
            )
        })?;
        let title = format!(
            "{} {}",
            trace.conversion.event,
            trace.conversion.transaction_id.as_deref().unwrap_or("")
        );
        let numbers = self.numbers.if_told().await?;
        Ok(Sheet::new("conversion", title.trim(), self.trace(&trace, numbers.as_ref())))
    }

    fn trace(&self, trace: &Trace, numbers: Option<&AdvertiserNumbers>) -> Value {
        let (conversion, now, lanes) = (&trace.conversion, self.clock.now(), (self.lanes)());
        let circumstances = self.api().circumstances();
        let present = Present { lanes: &lanes, circumstances: &circumstances, now };
        let all: Vec<Delivery> = trace.deliveries.iter().map(|(delivery, _)| delivery.clone()).collect();
        let shown = trace.deliveries.iter();
        let shown = shown.map(|(one, attempts)| {
            DeliveryCard::of(conversion, (one, told_before(&all, one)), attempts, &present)
        });
        let unsent = unsent::of_conversion(conversion, &all, &circumstances.rules);
        json!({
            "path": format!("/conversions/{}", conversion.id),
            "conversion": facts(conversion),
            "distance": advice::distance(conversion.received_at, now),
            "postbacks": trace.postbacks.iter().map(|one| self.telling(one)).collect::<Vec<_>>(),
            "placement": conversion.placement.as_ref().map(|placed| self.program.placement(placed)),
            "statuses": statuses(conversion),
            "disposition": conversion.disposition.map(|(due, status)| json!({
                "status": status.word(),
                "due": due.to_string(),
                "distance": advice::distance(due, now),
            })),
            "attribution": attribution(&conversion.attribution),
            "held": is_held(conversion),
            "number": numbers.and_then(|numbers| numbers.of(conversion)).map(|theirs| json!({
                "ours": conversion.seq.to_string(),
                "theirs": theirs.to_string(),
            })),
            "remarks": conversion.remarks.iter().map(RemarkView::of).collect::<Vec<_>>(),
            // Shown next to the click, where it belongs.
            "no_click": no_click(conversion).as_ref().map(RemarkView::of),
            "considered": conversion.considered.iter().map(considered).collect::<Vec<_>>(),
            "click": trace.click.as_deref().map(click),
            "history": conversion.history.iter().map(change).collect::<Vec<_>>(),
            "is_held": all.iter().any(|delivery| matches!(delivery.state, DeliveryState::Held { .. })),
            "deliveries": shown.collect::<Vec<_>>(),
            "show_not_routed": !conversion.not_routed.is_empty()
                && unsent.as_ref().is_none_or(|unsent| *unsent == Unsent::NotRouted),
            "unsent": unsent.map(|unsent| {
                json!({"code": unsent.code(), "reason": unsent.sentence(), "next_step": unsent.next_step()})
            }),
            "partners": self.partners(trace, now),
        })
    }

    /// One postback of the sale: its bytes, and the mapping by today's template.
    fn telling(&self, postback: &Postback) -> Value {
        let network = postback.source.as_ref().and_then(|source| self.networks.get(source));
        let mapped =
            network.zip(postback.raw.as_ref()).map(|(network, raw)| mapping::of_stored(network, raw));
        let fault = postback.verdict.fault();
        json!({
            "seq": postback.seq.to_string(),
            "received_at": postback.received_at.to_string(),
            "verdict": postback.verdict.word(),
            "reason": fault.map(|fault| &fault.reason),
            "note": fault.map_or(postback.note.as_ref(), |fault| Some(&fault.hint)),
            "again": postback.again.map(|seq| seq.to_string()),
            "raw": postback.raw.as_ref().map(RawCard::of),
            "mapping": mapped,
            "own_door": postback.source.as_ref().is_some_and(|source| built_in::ALL.contains(&source.as_str())),
        })
    }

    /// Gives the conversion the status of the form, and words what came of it.
    pub(super) async fn set_status(&self, visitor: &Visitor, id: &str, form: &Form) -> Result<Flash, Stop> {
        let asked = |text: &str, hint: &str| Flash {
            good: false,
            text: text.to_owned(),
            hint: hint.to_owned(),
            link: None,
        };
        let Ok(id) = ConversionId::parse(id) else {
            return Ok(asked("There is no such conversion", "Nothing was changed."));
        };
        let Some(to) = Status::parse(form.get("status")) else {
            return Ok(asked("Choose the new status", "Nothing was changed."));
        };
        let note = match status::note(form.get("note")) {
            Ok(note) => note,
            Err(length) => {
                let most = status::MAX_NOTE_CHARS;
                let hint =
                    format!("It has {length} characters; at most {most} are kept. Nothing was changed.");
                return Ok(asked("The note is too long", &hint));
            }
        };
        let order = StatusMove { to, by: Actor::Network(visitor.name.clone()), note };
        let now = self.clock.now();
        Ok(match status::change(self.store.as_ref(), ConversionRef::Id(id), order, now).await? {
            StatusChanged::Changed(now) => Flash {
                good: true,
                text: format!("The conversion is {} now", now.status.word()),
                hint: "Whoever is to be told of it is told: see below.".to_owned(),
                link: None,
            },
            StatusChanged::Already(now) => {
                asked(&format!("The conversion is {} already", now.status.word()), "Nothing was changed.")
            }
            StatusChanged::Refused(refused) => asked(&format!("Not changed: {refused}"), ""),
            StatusChanged::Unknown => asked("There is no such conversion any more", "Nothing was changed."),
        })
    }

    /// Makes a dead or skipped delivery due now, and words what came of it.
    pub(super) async fn retry(&self, id: &str) -> Result<Flash, Stop> {
        let (good, text, hint) = match self.api().retry(id).await {
            Ok(_) => {
                (true, "The delivery is due now".to_owned(), "Load this page again to see what came of it.")
            }
            Err(Refused::Asked(_, _, message, hint)) => (false, format!("Not retried: {message}"), hint),
            Err(Refused::Store(error)) => return Err(error.into()),
        };
        Ok(Flash { good, text, hint: hint.to_owned(), link: None })
    }
}

/// The statuses that the network's people can give it; a rejection by an advertiser they can make theirs.
fn statuses(conversion: &Conversion) -> Value {
    let may_adopt = is_rejected_by_advertiser(conversion);
    let others = Status::ALL.iter().filter(|status| may_adopt || **status != conversion.status);
    others.map(|status| status.word()).collect()
}

fn considered(candidate: &Considered) -> Value {
    json!({
        "click": candidate.click.as_str(),
        "path": clicks::path(&candidate.click),
        "at": candidate.at.to_string(),
        "why": candidate.why,
    })
}

/// What the conversion says of itself.
pub fn facts(conversion: &Conversion) -> Value {
    let money = [
        ("Value", conversion.value),
        ("Payout", conversion.payout),
        ("Revenue", conversion.revenue),
        ("Sale amount", conversion.sale_amount),
    ];
    let money: Vec<Value> = money
        .iter()
        .filter_map(|(name, amount)| amount.map(|amount| json!({"name": name, "value": amount.to_string()})))
        .collect();
    json!({
        "id": conversion.id.to_string(),
        "event_id": conversion.id.event_id().to_string(),
        "source": conversion.source.as_str(),
        "event": conversion.event.as_str(),
        "status": conversion.status.word(),
        "transaction_id": conversion.transaction_id,
        "item_id": conversion.item_id,
        "money": money,
        "payout_from": conversion.payout_from.map(PayoutFrom::word),
        "reason": conversion.reason,
        "value": conversion.value.map(|value| value.to_string()),
        "event_time": conversion.event_time.to_string(),
        "received_at": conversion.received_at.to_string(),
        "params": pairs(&conversion.params),
        "not_routed": conversion.not_routed.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "traits": traits(&conversion.traits),
    })
}

/// How the click was found, or why not.
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
        "word": attribution.word(),
        "expired": matches!(attribution, Attribution::Expired { .. }),
        "visitor": visitor,
        "model": model,
        "path": attribution.click().map(clicks::path),
        "given": attribution.given(),
        "click": attribution.click().map(|click| click.as_str()),
        "reading": reading,
    })
}

/// A click with all that it carries.
pub fn click(click: &Click) -> Value {
    json!({
        "id": click.id.as_str(),
        "at": click.at.to_string(),
        "recorded_at": click.recorded_at.to_string(),
        "landing_url": click.landing_url,
        "referrer": click.referrer,
        "ip": click.ip.map(|ip| ip.to_string()),
        "user_agent": click.user_agent,
        "params": pairs(&click.params),
        "cookies": pairs(&click.cookies),
        "sub_ids": pairs(&click.sub_ids),
        "customer": traits(&click.customer),
        "omitted": click.passage.omitted.sentences(),
    })
}

fn pairs(pairs: &Pairs) -> Value {
    pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn traits(traits: &Traits) -> Value {
    traits.0.iter().map(|(name, value)| json!({"name": Trait::name(*name), "value": value})).collect()
}

fn change(change: &Change) -> Value {
    let cause = match &change.cause {
        Cause::Postback(seq) => format!("by postback {seq}"),
        Cause::Click(click) => format!("the click {click} arrived"),
        Cause::Person { name, role, note } => {
            let by = match role {
                Role::Network => format!("set by {name}"),
                Role::Advertiser => format!("set by {name}, of the advertiser"),
            };
            note.as_ref().map_or(by.clone(), |note| format!("{by}: {note}"))
        }
        Cause::Disposition => "the offer's disposition fell due".to_owned(),
    };
    json!({"number": change.number, "at": change.at.to_string(), "cause": cause, "what": change.what})
}
