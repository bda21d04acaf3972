//! What a template costs: a Meta request rendered from text, against a serde struct with the same hashes; and one event
//! of every other platform.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use postbridge::clock::stopwatch;
use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::click::{Click, CustomerTrait, CustomerTraits};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Occasion, Seq, SourceId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered};
use postbridge::template::destination::spec::DestinationSpec;
use serde::Serialize;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 15;
const RENDERS_A_ROUND: u32 = 20_000;

#[derive(Serialize)]
struct Request<'a> {
    data: [Event<'a>; 1],
}

#[derive(Serialize)]
struct Event<'a> {
    event_name: &'a str,
    event_time: i64,
    event_id: String,
    action_source: &'a str,
    event_source_url: Option<&'a str>,
    user_data: UserData<'a>,
    custom_data: CustomData<'a>,
}

#[derive(Serialize)]
struct UserData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    em: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ph: Option<[String; 1]>,
    #[serde(rename = "fn", skip_serializing_if = "Option::is_none")]
    first_name: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ln: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ge: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ct: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    st: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zp: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<[String; 1]>,
    external_id: [String; 1],
    client_ip_address: Option<String>,
    client_user_agent: Option<&'a str>,
    fbc: String,
    fbp: &'a str,
}

#[derive(Serialize)]
struct CustomData<'a> {
    value: Option<serde_json::Number>,
    currency: Option<&'a str>,
    order_id: Option<&'a str>,
    content_ids: [Option<&'a str>; 1],
    content_type: &'a str,
}

/// As fast as a hand would write it: no formatting per byte.
fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

/// The same payload, written by hand; traits are taken to be normal already.
fn by_hand(conversion: &Conversion, click: &Click) -> Vec<u8> {
    let hashed = |name| conversion.traits.get(name).map(|text| [hash(text)]);
    let value = conversion.value.map(|money| money.amount.to_string());
    let request = Request {
        data: [Event {
            event_name: conversion.event.as_str(),
            event_time: conversion.event_time.as_seconds(),
            event_id: conversion.id.event_id().to_string(),
            action_source: "website",
            event_source_url: click.landing_url.as_deref(),
            user_data: UserData {
                em: hashed(CustomerTrait::Email),
                ph: hashed(CustomerTrait::Phone),
                first_name: hashed(CustomerTrait::FirstName),
                ln: hashed(CustomerTrait::LastName),
                ge: hashed(CustomerTrait::Gender),
                db: hashed(CustomerTrait::Birthdate),
                ct: hashed(CustomerTrait::City),
                st: hashed(CustomerTrait::State),
                zp: hashed(CustomerTrait::Zip),
                country: hashed(CustomerTrait::Country),
                external_id: [hash(click.id.as_str())],
                client_ip_address: click.ip.map(|ip| ip.to_string()),
                client_user_agent: click.user_agent.as_deref(),
                fbc: format!("fb.1.{}.{}", click.at.as_millis(), click.params[0].1),
                fbp: &click.cookies[0].1,
            },
            custom_data: CustomData {
                value: value.map(|value| serde_json::from_str(&value).unwrap()),
                currency: conversion.value.as_ref().map(|money| money.currency.as_str()),
                order_id: conversion.transaction_id.as_deref(),
                content_ids: [conversion.item_id.as_deref()],
                content_type: "product",
            },
        }],
    };
    serde_json::to_vec(&request).unwrap()
}

fn by_template(destination: &ReadyDestination, input: &RenderInput<'_>) -> Vec<u8> {
    match destination.render(input).unwrap().rendered {
        Rendered::Request(request, _) => request.body,
        Rendered::Skip { reason } => panic!("{reason:?}"),
    }
}

fn ready() -> ReadyDestination {
    let settings = [("pixel_id", "1234567890"), ("access_token", "token")];
    ReadyDestination::build(DestinationSpec {
        id: DestinationId::parse("meta-main").unwrap(),
        template: Catalog::load(None).unwrap().destination("meta").unwrap(),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
        events: BTreeMap::new(),
    })
    .unwrap()
}

fn click() -> Click {
    let at = Time::parse("2026-09-21T14:00:00.123Z").unwrap();
    Click {
        id: ClickId::parse("jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t").unwrap(),
        at,
        recorded_at: at,
        landing_url: Some("https://shop.example/lp?fbclid=IwAR0AbC-d_E&s2=1".to_owned()),
        referrer: None,
        ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15".to_owned(),
        ),
        params: vec![("fbclid".to_owned(), "IwAR0AbC-d_E".repeat(8))],
        cookies: vec![("_fbp".to_owned(), "fb.1.1789980000000.1234567890".to_owned())],
        sub_ids: Vec::new(),
        customer: CustomerTraits::default(),
        context: Default::default(),
    }
}

fn conversion(traits: CustomerTraits) -> Conversion {
    let source = SourceId::parse("cake-test").unwrap();
    let click = click().id;
    Conversion {
        id: ConversionId::derive(&source, "Purchase", "transaction:1"),
        seq: Seq::new(1).unwrap(),
        source,
        event: EventName::parse("Purchase").unwrap(),
        status: Status::Approved,
        transaction_id: Some("10232206589ae".to_owned()),
        attribution: Attribution::Matched { given: click.to_string(), click, reading: MatchMethod::Exact },
        item_id: Some("565".to_owned()),
        items: Vec::new(),
        adjustments: Vec::new(),
        value: Some(Money::new("7.00".parse().unwrap(), Currency::parse("USD").unwrap())),
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: Time::parse("2026-09-21T14:13:20Z").unwrap(),
        received_at: Time::parse("2026-09-21T14:13:20Z").unwrap(),
        traits,
        params: Vec::new(),
        history: Vec::new(),
        campaign_ref: None,
        payout_from: None,
        reason: None,
        remarks: Vec::new(),
        consent: Default::default(),
        not_routed: Vec::new(),
        considered: vec![],
        disposition: None,
        reuse: None,
        once: None,
    }
}

fn all_traits() -> CustomerTraits {
    let reported = [
        (CustomerTrait::Email, "ann.lee+x@gmail.com"),
        (CustomerTrait::Phone, "14155550100"),
        (CustomerTrait::FirstName, "annmarie"),
        (CustomerTrait::LastName, "oneil"),
        (CustomerTrait::Gender, "f"),
        (CustomerTrait::Birthdate, "19840229"),
        (CustomerTrait::City, "newyork"),
        (CustomerTrait::State, "ny"),
        (CustomerTrait::Zip, "10001"),
        (CustomerTrait::Country, "us"),
    ];
    CustomerTraits(reported.map(|(name, text)| (name, text.to_owned())).into_iter().collect())
}

/// Microseconds for one call, over one round.
fn micros(mut once: impl FnMut() -> Vec<u8>) -> f64 {
    let clock = stopwatch();
    for _ in 0..RENDERS_A_ROUND {
        black_box(once());
    }
    clock.elapsed().as_secs_f64() * 1e6 / f64::from(RENDERS_A_ROUND)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn compare(name: &str, conversion: &Conversion) {
    let (ready, click) = (ready(), click());
    let destination = DestinationId::parse("meta-main").unwrap();
    let delivery = DeliveryId { conversion: conversion.id, destination, occasion: Occasion::First };
    let now = Time::parse("2026-09-21T14:20:00Z").unwrap();
    let customer = Default::default();
    let input = RenderInput {
        conversion,
        click: Some(&click),
        delivery: &delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer,
    };
    let body = by_template(&ready, &input);
    assert_eq!(String::from_utf8(body.clone()), String::from_utf8(by_hand(conversion, &click)));
    let (mut hand, mut template) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hand.push(micros(|| by_hand(conversion, &click)));
        template.push(micros(|| by_template(&ready, &input)));
    }
    let (hand, template) = (median(hand), median(template));
    println!(
        "| render | {name}, {} bytes | {template:.2} µs | serde struct {hand:.2} µs | {:.2} times |",
        body.len(),
        template / hand
    );
}

fn main() {
    println!(
        "Medians of {ROUNDS} alternating rounds of {RENDERS_A_ROUND}; a whole request, requirements checked."
    );
    compare("a click's data only", &conversion(CustomerTraits::default()));
    compare("every trait known", &conversion(all_traits()));
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.destination_names() {
        event_of(&catalog.destination(name).unwrap());
    }
}

/// One event of a platform, everything known.
fn event_of(template: &Arc<DestinationTemplate>) {
    let unset = template.settings().iter().filter(|setting| setting.default.is_none());
    let value = |kind: &str| match kind {
        "Digits" => "1234567890",
        "Url" => "https://shop.example/lp",
        "SigningKey" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        _ => "a-setting",
    };
    let id = DestinationId::parse("main").unwrap();
    let destination = ReadyDestination::build(DestinationSpec {
        id: id.clone(),
        template: Arc::clone(template),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: unset
            .map(|setting| (setting.name.clone(), value(&format!("{:?}", setting.kind)).to_owned()))
            .collect(),
        events: BTreeMap::new(),
    })
    .unwrap_or_else(|problems| panic!("{}: {problems:?}", template.name()));
    let cookie = |name: &String| match name.as_str() {
        "_ga" => (name.clone(), "GA1.1.123456789.1758460000".to_owned()),
        "_ga_*" => ("_ga_ABC".to_owned(), "GS2.1.s1758460000$o1$g0$t1758460000".to_owned()),
        "_fbp" => (name.clone(), "fb.1.1789980000000.1234567890".to_owned()),
        other => (other.replace('*', "A"), "1758460000000.5d6c2a1e-1111-4222-8333-123456789abc".to_owned()),
    };
    let click = Click {
        params: template.landing_params().iter().map(|name| (name.clone(), "AbC-d_E".repeat(8))).collect(),
        cookies: template.cookies().iter().map(cookie).collect(),
        ..click()
    };
    let conversion = conversion(all_traits());
    let delivery = DeliveryId { conversion: conversion.id, destination: id, occasion: Occasion::First };
    let now = Time::parse("2026-09-21T14:20:00Z").unwrap();
    let input = RenderInput {
        conversion: &conversion,
        click: Some(&click),
        delivery: &delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer: Default::default(),
    };
    let size = by_template(&destination, &input).len();
    let took = median((0..ROUNDS).map(|_| micros(|| by_template(&destination, &input))).collect());
    println!("| render | {}, {size} bytes | {took:.2} µs |", template.name());
}
