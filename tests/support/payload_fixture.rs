//! A conversion with its click, an account of a built-in destination, and the request that it makes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::click::{Click, CustomerTrait, CustomerTraits};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::customer::CustomerFormat;
use postbridge::domain::delivery::OutgoingRequest;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Occasion, Seq, SourceId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use postbridge::template::destination::spec::DestinationSpec;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

pub fn click() -> Click {
    Click {
        id: ClickId::parse("jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t").unwrap(),
        at: time("2026-09-21T14:00:00.123Z"),
        recorded_at: time("2026-09-21T14:00:00.123Z"),
        landing_url: Some("https://shop.example/lp".to_owned()),
        referrer: None,
        ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some("Mozilla/5.0 X".to_owned()),
        params: vec![("fbclid".to_owned(), "IwAR0AbC".to_owned())],
        cookies: Vec::new(),
        sub_ids: Vec::new(),
        customer: CustomerTraits::default(),
        context: Default::default(),
    }
}

pub fn conversion() -> Conversion {
    let source = SourceId::parse("cake-test").unwrap();
    let click = click().id;
    Conversion {
        id: ConversionId::derive(&source, "Purchase", "transaction:1"),
        seq: Seq::new(1).unwrap(),
        source,
        event: EventName::parse("Purchase").unwrap(),
        status: Status::Approved,
        transaction_id: Some("1".to_owned()),
        attribution: Attribution::Matched { given: click.to_string(), click, reading: MatchMethod::Exact },
        item_id: Some("565".to_owned()),
        items: Vec::new(),
        adjustments: Vec::new(),
        value: Some(Money::new("7.00".parse().unwrap(), Currency::parse("USD").unwrap())),
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: time("2026-09-21T14:13:20Z"),
        received_at: time("2026-09-21T14:13:20Z"),
        traits: CustomerTraits::default(),
        params: vec![("affid".to_owned(), "200".to_owned())],
        history: Vec::new(),
        campaign_ref: None,
        payout_from: None,
        reason: None,
        remarks: vec![],
        consent: Default::default(),
        not_routed: Vec::new(),
        considered: vec![],
        disposition: None,
        reuse: None,
        once: None,
    }
}

pub fn delivery(conversion: &Conversion) -> DeliveryId {
    let destination = DestinationId::parse("main").unwrap();
    DeliveryId { conversion: conversion.id, destination, occasion: Occasion::First }
}

pub fn ready(template: Arc<DestinationTemplate>, settings: &[(&str, &str)]) -> ReadyDestination {
    ReadyDestination::build(DestinationSpec {
        id: DestinationId::parse("main").unwrap(),
        template,
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        events: BTreeMap::new(),
    })
    .unwrap()
}

pub fn built_in(name: &str) -> Arc<DestinationTemplate> {
    Catalog::load(None).unwrap().destination(name).unwrap()
}

pub fn meta() -> &'static ReadyDestination {
    static META: LazyLock<ReadyDestination> = LazyLock::new(|| {
        let settings = [
            ("pixel_id", "12"),
            ("access_token", "secret-token"),
            ("event_source_url", "https://shop.example/"),
        ];
        ready(built_in("meta"), &settings)
    });
    &META
}

pub fn render(destination: &ReadyDestination, conversion: &Conversion, click: Option<&Click>) -> Rendering {
    render_as(destination, conversion, click, CustomerFormat::default())
}

/// The same for a source that says how it writes customer data.
pub fn render_as(
    destination: &ReadyDestination,
    conversion: &Conversion,
    click: Option<&Click>,
    customer: CustomerFormat,
) -> Rendering {
    let now = time("2026-09-21T14:20:00Z");
    destination
        .render(&RenderInput {
            conversion,
            click,
            delivery: &delivery(conversion),
            kind: DeliveryKind::Event,
            sent: None,
            now,
            customer,
        })
        .unwrap()
}

pub fn request(
    destination: &ReadyDestination,
    conversion: &Conversion,
    click: Option<&Click>,
) -> OutgoingRequest {
    match render(destination, conversion, click).rendered {
        Rendered::Request(request, _) => request,
        Rendered::Skip { reason } => panic!("skipped: {reason:?}"),
    }
}

/// What the Meta template makes of one trait: the member of `user_data`, or null.
pub fn user_data(name: CustomerTrait, reported: &str, member: &str) -> Value {
    let mut conversion = conversion();
    conversion.traits.0.insert(name, reported.to_owned());
    let request = request(meta(), &conversion, Some(&click()));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["data"][0]["user_data"][member].clone()
}

pub fn hashed(text: &str) -> Value {
    let hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!([hex])
}
