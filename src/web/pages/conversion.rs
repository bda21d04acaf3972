//! One conversion end to end: its postbacks, its click, what it is, and its deliveries.

use serde::Serialize;
use serde_json::Value;

use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::attempt::Attempt;
use crate::domain::candidate::Considered;
use crate::domain::change::{irreversible, is_taken_back};
use crate::domain::claim::is_held;
use crate::domain::code::CodedReason;
use crate::domain::conversion::no_click;
use crate::domain::delivery::{Delivery, DeliveryState, sent_before};
use crate::domain::history::{ActorRole, Cause, Change};
use crate::domain::ids::{ConversionId, DeliveryId, DestinationId};
use crate::domain::offer::PayoutFrom;
use crate::domain::postback::Postback;
use crate::domain::reporter::BuiltInSource;
use crate::domain::sought_click::SoughtClick;
use crate::domain::status::Status;
use crate::domain::status_move::{Actor, is_rejected_by_advertiser};
use crate::domain::unsent::{self, Unsent, UnsentContext};
use crate::ops::missing::Missing;
use crate::ops::status::{self, StatusError, StatusOutcome, StatusWish};
use crate::ops::{self, RetryError};
use crate::store::contract::change::ConversionRef;
use crate::store::contract::lookup::Trace;
use crate::view::click::ClickView;
use crate::view::conversion::{CandidateView, ChangeView, ConversionView};
use crate::view::postback::PostbackVerdictView;
use crate::view::reason::ReasonView;
use crate::web::list_query::{self, BadParameter};
use crate::web::pages::exchange::{DeliveryCard, DeliveryContext};
use crate::web::pages::form::PostedForm;
use crate::web::pages::mapping::{self, MappingTable};
use crate::web::pages::offer_pages::{NamedCampaignRef, named};
use crate::web::pages::raw::RawCard;
use crate::web::pages::session::{Flash, SignedIn};
use crate::web::pages::{PageContent, PageExit, Pages, clicks, document};

impl Pages {
    /// `/conversions/{id}`.
    pub(super) async fn conversion(&self, id: &str) -> Result<PageContent, PageExit> {
        let found = match ConversionId::parse(id) {
            Ok(id) => self.ops.store.conversion(id).await?,
            Err(_) => None,
        };
        let trace = found.ok_or(Missing::Conversion)?;
        let title = format!(
            "{} {}",
            trace.conversion.event,
            trace.conversion.transaction_id.as_deref().unwrap_or("")
        );
        let numbers = self.ops.numbers.if_reported().await?;
        let circumstances = ops::circumstances(&self.ops).await?;
        let shown = self.trace(&trace, &circumstances, numbers.as_ref());
        Ok(PageContent::new("conversion", title.trim(), shown))
    }

    fn trace<'a>(
        &self,
        trace: &'a Trace,
        circumstances: &UnsentContext,
        numbers: Option<&AdvertiserNumbers>,
    ) -> Value {
        let conversion = &trace.conversion;
        let now = self.ops.clock.now();
        let present = DeliveryContext { now, circumstances };
        let all: Vec<Delivery> = trace.deliveries.iter().map(|(delivery, _)| delivery.clone()).collect();
        let card = |(one, attempts): &'a (Delivery, Vec<Attempt>)| {
            DeliveryCard::of(conversion, (one, sent_before(&all, one)), attempts, &present)
        };
        let unsent = unsent::of_conversion(conversion, &all, &circumstances.rules);
        let may_adopt = is_rejected_by_advertiser(conversion);
        let others = Status::ALL.iter().filter(|status| may_adopt || **status != conversion.status);
        document(&ConversionPage {
            path: format!("/conversions/{}", conversion.id),
            conversion: ConversionView::of(conversion),
            payout_note: conversion.payout_from.map(PayoutFrom::sentence),
            belongs_to: conversion.campaign_ref.as_ref().map(|placed| named(&self.config, placed)),
            advertiser_number: numbers.and_then(|numbers| numbers.of(conversion)),
            statuses: others.map(|status| status.as_str()).collect(),
            waits_for_a_person: is_held(conversion),
            postbacks: trace.postbacks.iter().map(|one| self.postback(one)).collect(),
            no_click: no_click(conversion).as_ref().map(ReasonView::of),
            click_hint: SoughtClick::of(conversion).hint(),
            click_path: conversion.attribution.click().map(clicks::path),
            click: trace.click.as_deref().map(ClickView::of),
            candidates: conversion.considered.iter().map(Candidate::of).collect(),
            history: conversion.history.iter().map(ChangeLine::of).collect(),
            is_held: all.iter().any(|delivery| matches!(delivery.state, DeliveryState::Held { .. })),
            deliveries: trace.deliveries.iter().map(card).collect(),
            irreversible: irreversible(conversion, &all).into_iter().cloned().collect(),
            is_taken_back: is_taken_back(conversion.status),
            shows_not_routed: !conversion.not_routed.is_empty()
                && unsent.as_ref().is_none_or(|unsent| *unsent == Unsent::NotRouted),
            unsent: unsent.as_ref().map(ReasonView::of),
            partners: self.partners(trace, now),
        })
    }

    /// One postback of the conversion: its bytes, and the mapping by today's template.
    fn postback<'a>(&self, postback: &'a Postback) -> PostbackCard<'a> {
        let network = postback.source.as_ref().and_then(|source| self.ops.networks.get(source));
        PostbackCard {
            verdict: PostbackVerdictView::of(postback),
            raw: postback.raw.as_ref().map(RawCard::of),
            mapping_table: network
                .zip(postback.raw.as_ref())
                .map(|(network, raw)| mapping::of_stored(network, raw)),
            is_built_in: postback.source.as_ref().and_then(BuiltInSource::of).is_some(),
        }
    }

    /// Gives the conversion the status of the form, and words the result.
    pub(super) async fn set_status(
        &self,
        visitor: &SignedIn,
        id: &str,
        form: &PostedForm,
    ) -> Result<Flash, PageExit> {
        let asked = |text: &str, hint: &str| Flash {
            good: false,
            text: text.to_owned(),
            hint: hint.to_owned(),
            link: None,
        };
        let refused = |why: &str, hint: &str| Ok(Flash::refused("Not changed", why, hint));
        let missing = |missing: Missing| refused(&missing.to_string(), missing.hint());
        let Ok(id) = ConversionId::parse(id) else { return missing(Missing::Conversion) };
        let Some(to) = Status::parse(form.get("status")) else {
            return Ok(asked("Choose the new status", "Nothing was changed."));
        };
        let wish = match StatusWish::new(to, Actor::Network(visitor.name.clone()), form.get("note")) {
            Ok(wish) => wish,
            Err(too_long) => return refused(&too_long.to_string(), "shorten it"),
        };
        let (store, now) = (self.ops.store.as_ref(), self.ops.clock.now());
        match status::set_status(store, ConversionRef::Id(id), wish, now).await {
            Ok(StatusOutcome::Changed(now)) => Ok(Flash {
                good: true,
                text: format!("The conversion is {} now", now.status.as_str()),
                hint: "Everyone who gets it is listed below.".to_owned(),
                link: None,
            }),
            Ok(StatusOutcome::Already(now)) => Ok(asked(
                &format!("The conversion is {} already", now.status.as_str()),
                "Nothing was changed.",
            )),
            Err(StatusError::Refused(why)) => refused(&why.sentence(), &why.hint()),
            Err(StatusError::Missing(what)) => missing(what),
            Err(StatusError::Store(error)) => Err(error.into()),
        }
    }

    /// Makes a dead or skipped delivery due now, and words the result.
    pub(super) async fn retry(&self, id: &str) -> Result<Flash, PageExit> {
        let flash = |good, text, hint: &str| Flash { good, text, hint: hint.to_owned(), link: None };
        let id = match list_query::id(id, DeliveryId::parse) {
            Ok(id) => id,
            Err(BadParameter(why)) => return Ok(flash(false, format!("Not retried: {why}"), "")),
        };
        Ok(match ops::retry(&self.ops, id).await {
            Ok(_) => {
                let hint = "Load this page again to see the result.";
                flash(true, "The delivery is due now".to_owned(), hint)
            }
            Err(RetryError::Store(error)) => return Err(error.into()),
            Err(RetryError::Refused(refused)) => {
                flash(false, format!("Not retried: {}", refused.sentence()), &refused.hint())
            }
        })
    }
}

/// What the template `conversion` shows.
#[derive(Serialize)]
struct ConversionPage<'a> {
    path: String,
    conversion: ConversionView<'a>,
    /// Where its payout is from, in words.
    payout_note: Option<&'static str>,
    belongs_to: Option<NamedCampaignRef<'a>>,
    advertiser_number: Option<u64>,
    /// The statuses that the network's people can give it; a rejection by an advertiser they can make theirs.
    statuses: Vec<&'static str>,
    waits_for_a_person: bool,
    postbacks: Vec<PostbackCard<'a>>,
    /// Among the conversion's remarks too; shown next to the click, where it belongs.
    no_click: Option<ReasonView>,
    /// How the id of a click is received, where none was.
    click_hint: Option<&'static str>,
    click_path: Option<String>,
    click: Option<ClickView<'a>>,
    candidates: Vec<Candidate<'a>>,
    history: Vec<ChangeLine<'a>>,
    /// Whether a delivery waits for its click.
    is_held: bool,
    deliveries: Vec<DeliveryCard<'a>>,
    /// Destinations that count it otherwise than it is now.
    irreversible: Vec<DestinationId>,
    /// Whether it does not count.
    is_taken_back: bool,
    shows_not_routed: bool,
    unsent: Option<ReasonView>,
    partners: Option<Value>,
}

/// One postback of a conversion.
#[derive(Serialize)]
struct PostbackCard<'a> {
    #[serde(flatten)]
    verdict: PostbackVerdictView<'a>,
    raw: Option<RawCard<'a>>,
    mapping_table: Option<MappingTable>,
    /// Whether it was received by a route of our own, which needs no template.
    is_built_in: bool,
}

#[derive(Serialize)]
struct Candidate<'a> {
    #[serde(flatten)]
    candidate: CandidateView<'a>,
    path: String,
}

impl<'a> Candidate<'a> {
    fn of(candidate: &'a Considered) -> Candidate<'a> {
        Candidate { candidate: CandidateView::of(candidate), path: clicks::path(&candidate.click) }
    }
}

#[derive(Serialize)]
struct ChangeLine<'a> {
    #[serde(flatten)]
    change: ChangeView<'a>,
    caused_by: String,
}

impl<'a> ChangeLine<'a> {
    fn of(change: &'a Change) -> ChangeLine<'a> {
        ChangeLine { change: ChangeView::of(change), caused_by: caused_by(&change.cause) }
    }
}

fn caused_by(cause: &Cause) -> String {
    match cause {
        Cause::Postback(seq) => format!("by postback {seq}"),
        Cause::Click(click) => format!("the click {click} arrived"),
        Cause::Person { name, role, note } => {
            let by = match role {
                ActorRole::Network => format!("set by {name}"),
                ActorRole::Advertiser => format!("set by {name}, of the advertiser"),
            };
            note.as_ref().map_or(by.clone(), |note| format!("{by}: {note}"))
        }
        Cause::Disposition => "the offer's disposition fell due".to_owned(),
    }
}
