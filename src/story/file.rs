//! One fixture story of a destination or an outgoing postback, as its story.toml tells it: settings, a conversion and its click, or a reply.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use crate::domain::attribution::{Attribution, Reading};
use crate::domain::click::{Click, Pairs, Passage, Trait, Traits};
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::Conversion;
use crate::domain::customer::{CustomerFormat, DateOrder, PhoneRegion};
use crate::domain::delivery::{Answer, Reply};
use crate::domain::event::EventName;
use crate::domain::ids::{
    AffiliateId, CampaignId, ClickId, ConversionId, CreativeId, DeliveryId, DestinationId, IdError, Occasion,
    OfferId, Seq, SourceId,
};
use crate::domain::money::{Currency, DecimalMark, Money, parse_decimal};
use crate::domain::offer::Placement;
use crate::domain::routing::Changes;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::template::destination::account::Account;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::mode::Mode;
use crate::template::destination::rendering::{RenderInput, Rendering};
use crate::template::destination::templated::AccountSpec;
use crate::template::diagnostic::Problem;
use crate::template::macros::outgoing::Postback;
use crate::template::macros::url::{Grammar, MacroUrl, POSTBACK_NAMES};

/// A story whose words have become nouns.
pub(crate) struct Story {
    mode: Mode,
    endpoint: Option<String>,
    settings: BTreeMap<String, String>,
    events: BTreeMap<String, String>,
    now: Time,
    delivery: DeliveryId,
    conversion: Conversion,
    click: Option<Click>,
    reply: Option<Reply>,
    postback: Option<Postback>,
    customer: CustomerFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryFile {
    /// RFC 3339.
    now: Option<String>,
    mode: Option<String>,
    endpoint: Option<String>,
    /// The number of the change that is told; absent: the first telling.
    change: Option<u32>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    events: BTreeMap<String, String>,
    #[serde(default)]
    conversion: ConversionPart,
    click: Option<ClickPart>,
    reply: Option<ReplyPart>,
    placement: Option<PlacementPart>,
    postback: Option<PostbackPart>,
    #[serde(default)]
    source: SourcePart,
}

/// How the source writes customer data, as in `[[source]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SourcePart {
    phone_region: Option<String>,
    birthdate: Option<String>,
}

/// Whose click brought the conversion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacementPart {
    offer: String,
    campaign: Option<String>,
    affiliate: Option<String>,
    creative: Option<String>,
}

/// An outgoing postback, as in `[campaign.postback]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostbackPart {
    url: String,
    #[serde(rename = "macro")]
    grammar: String,
    scale: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ConversionPart {
    source: Option<String>,
    event: Option<String>,
    status: Option<String>,
    transaction_id: Option<String>,
    /// The click id that the postback named; by itself it finds no click.
    click_id: Option<String>,
    item_id: Option<String>,
    value: Option<String>,
    payout: Option<String>,
    revenue: Option<String>,
    sale_amount: Option<String>,
    currency: Option<String>,
    event_time: Option<String>,
    received_at: Option<String>,
    #[serde(default)]
    traits: BTreeMap<String, String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClickPart {
    id: String,
    time: Option<String>,
    landing_url: Option<String>,
    referrer: Option<String>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    cookies: BTreeMap<String, String>,
    #[serde(default)]
    sub_ids: BTreeMap<String, String>,
    #[serde(default)]
    customer: BTreeMap<String, String>,
    consent: Option<ConsentPart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentPart {
    ad_user_data: Option<bool>,
    ad_personalization: Option<bool>,
}

/// An answer, or `failed` / `forbidden` with the reason that the client gave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyPart {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    truncated: bool,
    failed: Option<String>,
    forbidden: Option<String>,
}

impl Story {
    /// Reads a story.toml.
    ///
    /// # Errors
    /// The first thing that cannot be read, with its line where TOML knows it.
    pub(crate) fn parse(place: &str, text: &str) -> Result<Story, Problem> {
        let file: StoryFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
            Problem::new(error.message(), "fixtures/README.md lists the keys of a story").at(place, line)
        })?;
        file.build().map_err(|problem| problem.in_file(place))
    }

    pub(crate) fn event(&self) -> &str {
        self.conversion.event.as_str()
    }

    pub(crate) fn reply(&self) -> Option<(Reply, Time)> {
        self.reply.clone().map(|reply| (reply, self.now))
    }

    pub(crate) fn account(&self, template: &Arc<DestinationTemplate>) -> Result<Account, Problem> {
        let spec = AccountSpec {
            id: self.delivery.destination.clone(),
            template: template.clone(),
            mode: self.mode,
            endpoint: self.endpoint.clone(),
            settings: self.settings.clone(),
            events: self.events.clone(),
        };
        Account::build(spec).map_err(|problems| {
            let all: Vec<String> = problems.into_iter().map(|problem| problem.what).collect();
            Problem::new(all.join("; "), "mend the story's settings")
        })
    }

    /// The outgoing postback that the story is about.
    pub(crate) fn postback(&self) -> Result<Account, Problem> {
        let hint = "give it `url` and `macro`";
        let postback = self.postback.clone().ok_or_else(|| Problem::new("there is no [postback]", hint))?;
        Ok(Account::of_postback(self.delivery.destination.clone(), self.mode, postback))
    }

    pub(crate) fn render(&self, account: &Account) -> Result<Rendering, Problem> {
        account.render(&RenderInput {
            conversion: &self.conversion,
            click: self.click.as_ref(),
            delivery: &self.delivery,
            now: self.now,
            customer: self.customer,
        })
    }
}

impl StoryFile {
    fn build(self) -> Result<Story, Problem> {
        let now = time("now", self.now.as_deref())?.unwrap_or(Time::EPOCH);
        let click = self.click.map(|click| click.build(now)).transpose()?;
        let mut conversion = self.conversion.build(now, click.as_ref())?;
        conversion.placement = self.placement.map(PlacementPart::build).transpose()?;
        let postback = self.postback.map(PostbackPart::build).transpose()?;
        let word = self.mode.as_deref().unwrap_or("live");
        let mode = Mode::parse(word).ok_or_else(|| wrong("mode", word, "write live, test, shadow or off"))?;
        let delivery = DeliveryId {
            conversion: conversion.id,
            destination: DestinationId::parse("story")
                .map_err(|error| wrong("id", "story", &error.to_string()))?,
            occasion: self.change.map_or(Occasion::First, Occasion::Change),
        };
        let reply = self.reply.map(ReplyPart::build).transpose()?;
        let customer = self.source.build()?;
        let Self { endpoint, settings, events, .. } = self;
        Ok(Story {
            mode,
            endpoint,
            settings,
            events,
            now,
            delivery,
            conversion,
            click,
            reply,
            postback,
            customer,
        })
    }
}

impl SourcePart {
    fn build(self) -> Result<CustomerFormat, Problem> {
        let region =
            |text: String| PhoneRegion::parse(&text).ok_or_else(|| wrong("phone_region", &text, "DE"));
        let order = |text: String| {
            let known = DateOrder::NAMES.iter().find(|(word, _)| *word == text);
            known.map(|(_, order)| *order).ok_or_else(|| wrong("birthdate", &text, "dmy or mdy"))
        };
        Ok(CustomerFormat {
            phone_region: self.phone_region.map(region).transpose()?,
            birthdate: self.birthdate.map(order).transpose()?,
        })
    }
}

impl PlacementPart {
    fn build(self) -> Result<Placement, Problem> {
        let campaign = self.campaign.map(|text| id("campaign", &text, CampaignId::parse)).transpose()?;
        let affiliate = self.affiliate.map(|text| id("affiliate", &text, AffiliateId::parse)).transpose()?;
        let creative = self.creative.map(|text| id("creative", &text, CreativeId::parse)).transpose()?;
        let offer = id("offer", &self.offer, OfferId::parse)?;
        Ok(Placement { offer, campaign, affiliate, creative })
    }
}

impl PostbackPart {
    fn build(self) -> Result<Postback, Problem> {
        let scale = self.scale.as_deref().unwrap_or("1");
        let scale = parse_decimal(scale, DecimalMark::Dot)
            .ok_or_else(|| wrong("scale", scale, "write a plain decimal"))?;
        let url = MacroUrl::compile(&self.url, &Grammar::parse(&self.grammar)?, POSTBACK_NAMES)?;
        Ok(Postback { url, scale, changes: Changes::Ignore })
    }
}

fn id<T>(key: &str, text: &str, parse: fn(&str) -> Result<T, IdError>) -> Result<T, Problem> {
    parse(text).map_err(|error| wrong(key, text, &error.to_string()))
}

impl ConversionPart {
    fn build(self, now: Time, click: Option<&Click>) -> Result<Conversion, Problem> {
        let source = self.source.as_deref().unwrap_or("story-source");
        let source = SourceId::parse(source).map_err(|error| wrong("source", source, &error.to_string()))?;
        let event = self.event.as_deref().unwrap_or("Purchase");
        let event = EventName::parse(event).ok_or_else(|| wrong("event", event, "1 to 64 characters"))?;
        let status = self.status.as_deref().unwrap_or("approved");
        let status = Status::parse(status).ok_or_else(|| wrong("status", status, "approved, pending…"))?;
        let identity = self.transaction_id.clone().unwrap_or_else(|| "story".to_owned());
        let money = |amount: &Option<String>| money(amount.as_deref(), self.currency.as_deref());
        let received_at = time("received_at", self.received_at.as_deref())?.unwrap_or(now);
        let attribution = match (click, self.click_id) {
            (Some(click), given) => Attribution::Matched {
                given: given.unwrap_or_else(|| click.id.to_string()),
                click: click.id.clone(),
                reading: Reading::Exact,
            },
            (None, Some(given)) => Attribution::Unmatched { given },
            (None, None) => Attribution::NoClickId,
        };
        Ok(Conversion {
            id: ConversionId::derive(&source, event.as_str(), &format!("transaction:{identity}")),
            seq: Seq::new(1).ok_or_else(|| wrong("seq", "1", ""))?,
            source,
            event,
            status,
            attribution,
            value: money(&self.value)?,
            payout: money(&self.payout)?,
            revenue: money(&self.revenue)?,
            sale_amount: money(&self.sale_amount)?,
            event_time: time("event_time", self.event_time.as_deref())?.unwrap_or(received_at),
            received_at,
            transaction_id: self.transaction_id,
            item_id: self.item_id,
            traits: traits(self.traits)?,
            params: self.params.into_iter().collect::<Pairs>(),
            history: Vec::new(),
            placement: None,
            payout_from: None,
            reason: None,
            remarks: Vec::new(),
            consent: ConsentRecord::default(),
            not_routed: Vec::new(),
            considered: Vec::new(),
            disposition: None,
            reuse: None,
            once: None,
        })
    }
}

impl ClickPart {
    fn build(self, now: Time) -> Result<Click, Problem> {
        let at = time("click.time", self.time.as_deref())?.unwrap_or(now);
        let said =
            |ConsentPart { ad_user_data, ad_personalization }| Consent { ad_user_data, ad_personalization };
        let consent = self.consent.map(said).unwrap_or_default().said_at(at);
        Ok(Click {
            id: ClickId::parse(&self.id).map_err(|error| wrong("click.id", &self.id, &error.to_string()))?,
            at,
            recorded_at: at,
            landing_url: self.landing_url,
            referrer: self.referrer,
            ip: self.ip,
            user_agent: self.user_agent,
            params: self.params.into_iter().collect(),
            cookies: self.cookies.into_iter().collect(),
            sub_ids: self.sub_ids.into_iter().collect(),
            customer: traits(self.customer)?,
            passage: Passage { consent, ..Passage::default() },
        })
    }
}

impl ReplyPart {
    fn build(self) -> Result<Reply, Problem> {
        match (self.status, self.failed, self.forbidden) {
            (Some(status), None, None) => Ok(Reply::Answer(Answer {
                status,
                headers: self.headers.into_iter().collect(),
                body: self.body.into_bytes(),
                truncated: self.truncated,
            })),
            (None, Some(reason), None) => Ok(Reply::Failed(reason)),
            (None, None, Some(reason)) => Ok(Reply::Forbidden(reason)),
            _ => Err(Problem::new("a reply is one thing", "give it one of status, failed, forbidden")),
        }
    }
}

fn traits(told: BTreeMap<String, String>) -> Result<Traits, Problem> {
    let one = |(name, value): (String, String)| match Trait::parse(&name) {
        Some(name) => Ok((name, value)),
        None => Err(wrong("trait", &name, "email, phone, first_name…")),
    };
    told.into_iter().map(one).collect::<Result<_, _>>().map(Traits)
}

fn money(amount: Option<&str>, currency: Option<&str>) -> Result<Option<Money>, Problem> {
    let Some(amount) = amount else { return Ok(None) };
    let number = parse_decimal(amount, DecimalMark::Dot);
    let number = number.ok_or_else(|| wrong("amount", amount, "write a plain decimal"))?;
    let currency = currency.unwrap_or("USD");
    let currency =
        Currency::parse(currency).ok_or_else(|| wrong("currency", currency, "a code of ISO 4217"))?;
    Ok(Some(Money::new(number, currency)))
}

fn time(key: &str, text: Option<&str>) -> Result<Option<Time>, Problem> {
    let read = |text| Time::parse(text).ok_or_else(|| wrong(key, text, "write RFC 3339"));
    text.map(read).transpose()
}

fn wrong(key: &str, text: &str, hint: &str) -> Problem {
    Problem::new(format!("`{key}` is `{text}`"), hint)
}
