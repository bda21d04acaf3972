//! One fixture story of a destination or an outgoing postback, as its story.toml has it: settings, a conversion and its click, or a reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::config::source::phone_region;
use crate::domain::attribution::{Attribution, MatchMethod};
use crate::domain::change::{Unchanged, at_its_turn, is_taken_back};
use crate::domain::change_rules::{Changes, OnRejected};
use crate::domain::click::{Click, ClickContext, CustomerTrait, CustomerTraits};
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::Conversion;
use crate::domain::customer::{CustomerFormat, DateOrder};
use crate::domain::delivery::{OutgoingRequest, Reply};
use crate::domain::event::EventName;
use crate::domain::expiry::AgeLimits;
use crate::domain::ids::{
    AffiliateId, CampaignId, ClickId, ConversionId, CreativeId, DeliveryId, DestinationId, IdError, Occasion,
    OfferId, Seq, SourceId,
};
use crate::domain::item::SoldItem;
use crate::domain::money::{Currency, Money};
use crate::domain::offer::CampaignRef;
use crate::domain::sent::{DeliveryKind, SentBefore};
use crate::domain::skip::SkipReason;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::story::reply_file::{ConfirmStory, address, confirm, reply, texts};
use crate::story::sent::{StorySent, time};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::envelope::EventPart;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::destination::spec::DestinationSpec;
use crate::template::diagnostic::Problem;
use crate::template::macros::grammar::Grammar;
use crate::template::macros::outgoing::OutgoingPostback;
use crate::template::macros::url::{MacroUrl, POSTBACK_NAMES};
use crate::template::preset::definition::PostbackPreset;
use crate::template::preset::usage::{PresetSpec, PresetUse};
use crate::template::toml_doc::overlay;
use crate::template::toml_doc::table::{self, Table};
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, decimal, event_name};

/// A story whose words have become nouns.
pub(crate) struct Story {
    mode: DestinationMode,
    endpoint: Option<String>,
    settings: BTreeMap<String, String>,
    events: BTreeMap<String, String>,
    on_rejected: Option<OnRejected>,
    /// What was sent before the change that the story is of.
    sent: Option<StorySent>,
    now: Time,
    delivery: DeliveryId,
    conversion: Conversion,
    click: Option<Click>,
    /// With the number of events that it is the answer to.
    reply: Option<(Reply, usize)>,
    confirm: Option<ConfirmStory>,
    postback: Option<OutgoingPostback>,
    customer: CustomerFormat,
}

impl Story {
    /// Reads a story.toml; what it does not say is as in the stories' `defaults.toml`, which problems call `defaults.0`.
    ///
    /// # Errors
    /// Everything that cannot be read, each with its line.
    pub(crate) fn parse(
        place: &str,
        text: &str,
        defaults: Option<(&str, &str)>,
    ) -> Result<Story, Vec<Problem>> {
        match defaults {
            Some(defaults) => overlay::read_over((place, text), defaults, read),
            None => table::read(place, text, read),
        }
    }

    pub(crate) fn event(&self) -> &str {
        self.conversion.event.as_str()
    }

    /// The reply, and to how many events it is the answer.
    pub(crate) fn reply(&self) -> Option<&(Reply, usize)> {
        self.reply.as_ref()
    }

    /// The answer to being asked later.
    pub(crate) fn confirm(&self) -> Option<&ConfirmStory> {
        self.confirm.as_ref()
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn destination(
        &self,
        template: &Arc<DestinationTemplate>,
    ) -> Result<ReadyDestination, Problem> {
        let spec = DestinationSpec {
            id: self.delivery.destination.clone(),
            template: template.clone(),
            mode: self.mode,
            endpoint: self.endpoint.clone(),
            token_endpoint: None,
            settings: self.settings.clone(),
            on_rejected: self.on_rejected,
            events: self.events.clone(),
        };
        ReadyDestination::build(spec).map_err(|problems| {
            let all: Vec<String> = problems.into_iter().map(|wrong| wrong.problem.what).collect();
            Problem::new(all.join("; "), "fix the story's settings")
        })
    }

    /// The outgoing postback that the story is about.
    pub(crate) fn postback(&self) -> Result<ReadyDestination, Problem> {
        let hint = "give it `url` and `macro`";
        let postback = self.postback.clone().ok_or_else(|| Problem::new("there is no [postback]", hint))?;
        Ok(ReadyDestination::of_postback(self.delivery.destination.clone(), self.mode, postback))
    }

    /// The outgoing postback by a preset, with the story's settings.
    pub(crate) fn preset(&self, preset: &Arc<PostbackPreset>) -> Result<ReadyDestination, Problem> {
        let spec = PresetSpec {
            preset: Arc::clone(preset),
            endpoint: self.endpoint.clone(),
            settings: self.settings.clone(),
            events: self.events.clone(),
        };
        let (url, usage) = PresetUse::build(spec).map_err(|problems| {
            let all: Vec<String> = problems.into_iter().map(|wrong| wrong.problem.what).collect();
            Problem::new(all.join("; "), "fix the story's settings")
        })?;
        let preset = Some(Arc::new(usage));
        let postback = OutgoingPostback { url, scale: Decimal::ONE, changes: Changes::Never, preset };
        Ok(ReadyDestination::of_postback(self.delivery.destination.clone(), self.mode, postback))
    }

    /// What a request carries of the conversion, or why nothing is sent: as a relay has it at the delivery's turn.
    pub(crate) fn render(&self, destination: &ReadyDestination) -> Result<Rendering<EventPart>, Problem> {
        let refused = destination.consent_need().refusal(self.conversion.consent_with(self.click.as_ref()));
        // Of what the destination knows already a change is sent, by ids alone.
        let changes = destination.changes_of(&self.conversion.event);
        let restates = changes != Changes::Never && self.delivery.occasion != Occasion::First;
        let by_ids =
            refused.as_ref().filter(|_| restates).map(|_| self.conversion.by_ids(self.click.as_ref()));
        let clicked = self.click.as_ref().map(|click| click.at);
        let rules = changes.rules().filter(|_| restates);
        let limits = match rules {
            Some(rules) => AgeLimits { event_ms: rules.max_age_ms, click_ms: None },
            None => destination.age_limits(),
        };
        let skipped = |reason| Ok(Rendering { rendered: Rendered::Skip { reason }, remarks: Vec::new() });
        let too_old = || limits.too_old(&self.conversion, clicked, self.now);
        if let Some(reason) = refused.filter(|_| !restates).or_else(too_old) {
            return skipped(reason);
        }
        let before = self.before(destination)?;
        let kind = match rules {
            None => DeliveryKind::Event,
            Some(_) if changes.are_by_status() => DeliveryKind::Status,
            Some(rules) => match at_its_turn(&rules, &self.conversion, &before) {
                Ok(kind) => kind,
                Err(Unchanged::Skipped(reason)) => return skipped(reason),
                Err(Unchanged::Dead(_) | Unchanged::Waits) => {
                    return Err(Problem::new("it waits", "fix the story"));
                }
            },
        };
        destination.render_event(&RenderInput {
            conversion: by_ids.as_ref().unwrap_or(&self.conversion),
            click: self.click.as_ref().filter(|_| by_ids.is_none()),
            delivery: &self.delivery,
            kind,
            sent: before.event(),
            now: self.now,
            customer: self.customer,
        })
    }

    /// What was sent before: as the story says, else what the first delivery of its conversion would say.
    fn before(&self, destination: &ReadyDestination) -> Result<SentBefore, Problem> {
        if self.delivery.occasion == Occasion::First {
            return Ok(SentBefore::Nothing);
        }
        let first = destination.render_event(&RenderInput {
            conversion: &Conversion { status: Status::Approved, ..self.conversion.clone() },
            click: self.click.as_ref(),
            delivery: &DeliveryId { occasion: Occasion::First, ..self.delivery.clone() },
            kind: DeliveryKind::Event,
            sent: None,
            now: self.now,
            customer: self.customer,
        })?;
        Ok(match (first.rendered, &self.sent) {
            (Rendered::Request(_, sent), None) => SentBefore::Event(sent),
            (Rendered::Request(_, sent), Some(said)) => SentBefore::Event(Box::new(said.over(*sent))),
            (Rendered::Skip { .. }, _) => SentBefore::Nothing,
        })
    }

    /// What becomes of a change in it, in the words of a template's `[changes]`; `None` of a first delivery, and of a
    /// change that is skipped for anything else than that it cannot be sent.
    pub(crate) fn change(&self, rendered: &Rendered<EventPart>) -> Option<&'static str> {
        let taken_back = is_taken_back(self.conversion.status);
        match rendered {
            Rendered::Request(_, sent) => match (sent.kind, taken_back) {
                (DeliveryKind::Event, _) => None,
                (DeliveryKind::Restate, true) => Some(OnRejected::Zero.as_str()),
                (kind, _) => Some(kind.as_str()),
            },
            Rendered::Skip { reason: SkipReason::Irreversible { .. } } if taken_back => {
                Some(OnRejected::None.as_str())
            }
            Rendered::Skip { .. } => None,
        }
    }

    /// The request that carries it alone.
    pub(crate) fn request(&self, destination: &ReadyDestination, part: &EventPart) -> OutgoingRequest {
        destination.assemble(&[part], &self.delivery, self.now).request
    }
}

fn read(root: &Table<'_>) -> Option<Story> {
    let now = root.parsed("now", time).unwrap_or(Time::EPOCH);
    let mode =
        root.parsed("mode", |text| text.one_of(&DestinationMode::ALL.map(|mode| (mode.as_str(), mode))));
    let change = root.number("change", 0..=u32::MAX.into());
    let on_rejected = root.parsed("on_rejected", |text| text.one_of(&OnRejected::NAMES));
    let sent = root.read_table("sent", StorySent::read);
    if sent.is_some() && change.is_none() {
        root.problem("sent", "what was sent before is of a change", "name its number: change = 1");
    }
    let click = root.read_table("click", |table| click(table, now)).flatten();
    let campaign_ref = root.read_table("campaign_ref", campaign_ref).flatten();
    let reply = root.read_table("reply", reply).flatten();
    let confirm = root.read_table("confirm", confirm).flatten();
    let postback = root.read_table("postback", postback).flatten();
    let customer = root.read_table("source", |table| CustomerFormat {
        phone_region: table.parsed("phone_region", phone_region),
        birthdate: table.parsed("birthdate", |text| text.one_of(&DateOrder::NAMES)),
    });
    let endpoint = root.text("endpoint").map(|text| text.value);
    let (settings, events) = (texts(root, "settings"), texts(root, "events"));
    let table = root.table_or_empty("conversion")?;
    let conversion = conversion(&table, now, click.as_ref());
    table.finish();
    let conversion = Conversion { campaign_ref, ..conversion? };
    let delivery = DeliveryId {
        conversion: conversion.id,
        destination: DestinationId::parse("story").ok()?,
        occasion: change.map_or(Occasion::First, Occasion::Change),
    };
    Some(Story {
        mode: mode.unwrap_or_default(),
        endpoint,
        settings,
        events,
        on_rejected,
        sent,
        now,
        delivery,
        conversion,
        click,
        reply,
        confirm,
        postback,
        customer: customer.unwrap_or_default(),
    })
}

/// Whose click the conversion belongs to.
fn campaign_ref(table: &Table<'_>) -> Option<CampaignRef> {
    let campaign = table.parsed("campaign", id(CampaignId::parse));
    let affiliate = table.parsed("affiliate", id(AffiliateId::parse));
    let creative = table.parsed("creative", id(CreativeId::parse));
    let offer = table.required("offer", "\"565\"", id(OfferId::parse))?;
    Some(CampaignRef { offer, campaign, affiliate, creative })
}

/// An outgoing postback, as in `[campaign.postback]`.
fn postback(table: &Table<'_>) -> Option<OutgoingPostback> {
    let scale = table.parsed("scale", decimal).unwrap_or(Decimal::ONE);
    let grammar = table.required("macro", "\"#{}#\"", |text| Grammar::parse(&text.value));
    let compile = |text: &Text| match &grammar {
        Some(grammar) => MacroUrl::compile(&text.value, grammar, POSTBACK_NAMES).map(Some),
        None => Ok(None),
    };
    let url = table.required("url", "\"https://…\"", compile).flatten()?;
    Some(OutgoingPostback { url, scale, changes: Changes::Never, preset: None })
}

fn conversion(table: &Table<'_>, now: Time, click: Option<&Click>) -> Option<Conversion> {
    let source = table.parsed("source", id(SourceId::parse)).or_else(|| SourceId::parse("story-source").ok());
    let event = table.parsed("event", event_name).or_else(|| EventName::parse("Purchase"));
    let statuses = Status::ALL.map(|status| (status.as_str(), status));
    let status = table.parsed("status", |text| text.one_of(&statuses)).unwrap_or(Status::Approved);
    let text = |key: &'static str| table.text(key).map(|text| text.value);
    let transaction_id = text("transaction_id");
    let identity = transaction_id.as_deref().unwrap_or("story");
    let currency = table.parsed("currency", currency).or_else(|| Currency::parse("USD"))?;
    let money = |key: &'static str| Some(Money::new(table.parsed(key, decimal)?, currency));
    let received_at = table.parsed("received_at", time).unwrap_or(now);
    let (source, event) = (source?, event?);
    Some(Conversion {
        id: ConversionId::derive(&source, event.as_str(), &format!("transaction:{identity}")),
        seq: Seq::new(1)?,
        source,
        event,
        status,
        attribution: attribution(click, text("click_id")),
        value: money("value"),
        payout: money("payout"),
        revenue: money("revenue"),
        sale_amount: money("sale_amount"),
        event_time: table.parsed("event_time", time).unwrap_or(received_at),
        received_at,
        transaction_id,
        item_id: text("item_id"),
        items: table.read_tables("items", item),
        adjustments: Vec::new(),
        traits: traits(table, "traits"),
        params: texts(table, "params").into_iter().collect(),
        history: Vec::new(),
        campaign_ref: None,
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

fn item(table: &Table<'_>) -> SoldItem {
    let text = |key: &'static str| table.text(key).map(|text| text.value);
    SoldItem {
        id: text("id"),
        name: text("name"),
        category: text("category"),
        quantity: table.parsed("quantity", decimal),
        price: table.parsed("price", decimal),
    }
}

/// `given` is the click id that the postback named; alone it finds no click.
fn attribution(click: Option<&Click>, given: Option<String>) -> Attribution {
    match (click, given) {
        (Some(click), given) => Attribution::Matched {
            given: given.unwrap_or_else(|| click.id.to_string()),
            click: click.id.clone(),
            reading: MatchMethod::Exact,
        },
        (None, Some(given)) => Attribution::Unmatched { given },
        (None, None) => Attribution::NoClickId,
    }
}

fn click(table: &Table<'_>, now: Time) -> Option<Click> {
    let at = table.parsed("time", time).unwrap_or(now);
    let consent = table.read_table("consent", |consent| Consent {
        ad_user_data: consent.flag("ad_user_data"),
        ad_personalization: consent.flag("ad_personalization"),
    });
    let text = |key: &'static str| table.text(key).map(|text| text.value);
    let pairs = |key: &'static str| texts(table, key).into_iter().collect();
    Some(Click {
        at,
        recorded_at: at,
        landing_url: text("landing_url"),
        referrer: text("referrer"),
        ip: table.parsed("ip", address),
        user_agent: text("user_agent"),
        params: pairs("params"),
        cookies: pairs("cookies"),
        sub_ids: pairs("sub_ids"),
        customer: traits(table, "customer"),
        context: ClickContext { consent: consent.unwrap_or_default().said_at(at), ..ClickContext::default() },
        id: table.required("id", "\"abc\"", id(ClickId::parse))?,
    })
}

fn traits(table: &Table<'_>, key: &'static str) -> CustomerTraits {
    let Some(table) = table.table(key) else { return CustomerTraits::default() };
    let read = |(named, key): (CustomerTrait, &'static str)| Some((named, table.text(key)?.value));
    let traits = CustomerTrait::NAMES.into_iter().filter_map(read).collect();
    table.finish();
    CustomerTraits(traits)
}

fn id<T>(parse: fn(&str) -> Result<T, IdError>) -> impl Fn(&Text) -> Result<T, Problem> {
    move |text| {
        parse(&text.value)
            .map_err(|error| Problem::new(format!("{} is not an id", text.shown()), error.to_string()))
    }
}
