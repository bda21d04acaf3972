//! A sale that never was, with its click, of which everything is known that a destination's template reads: for test
//! events. No person is behind any of it. Pure: time and chance are arguments.

use std::net::{IpAddr, Ipv4Addr};

use data_encoding::HEXLOWER;
use rust_decimal::Decimal;

use crate::domain::attribution::{Attribution, MatchMethod};
use crate::domain::click::{Agent, Click, ClickContext, CustomerTrait, CustomerTraits, Pairs, is_covered};
use crate::domain::consent::Consent;
use crate::domain::conversion::Conversion;
use crate::domain::event::EventName;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, Occasion, Seq, SourceId, VisitorId};
use crate::domain::item::SoldItem;
use crate::domain::money::{Currency, Money};
use crate::domain::skip::SkipReason;
use crate::domain::status::Status;
use crate::domain::test_event::TestRefused;
use crate::domain::time::{MINUTE_MS, Time};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::ready::ReadyDestination;

/// The name of the source that it is of; nothing is kept under it.
const SOURCE: &str = "test-event";
/// RFC 5737 keeps these addresses for examples: no one has one.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
/// Addresses at example.com, and numbers with 555-01, are for examples.
const CUSTOMER: [(CustomerTrait, &str); 10] = [
    (CustomerTrait::Email, "test.person@example.com"),
    (CustomerTrait::Phone, "+1 202-555-0143"),
    (CustomerTrait::FirstName, "Test"),
    (CustomerTrait::LastName, "Person"),
    (CustomerTrait::City, "Springfield"),
    (CustomerTrait::State, "IL"),
    (CustomerTrait::Zip, "62701"),
    (CustomerTrait::Country, "US"),
    (CustomerTrait::Gender, "f"),
    (CustomerTrait::Birthdate, "1990-01-31"),
];

/// The sale, its click, and the delivery that it is sent by.
#[derive(Debug, Clone)]
pub struct MadeUpSale {
    /// With an event id that no other has.
    pub conversion: Conversion,
    /// The click that earned it.
    pub click: Click,
    /// The delivery of the sale to the destination.
    pub delivery: DeliveryId,
}

impl MadeUpSale {
    /// A sale of a minute ago. The same time and chance make the same sale. `None`: a name that is written here is
    /// none.
    pub fn of(
        destination: &ReadyDestination,
        event: EventName,
        (now, chance): (Time, [u8; 16]),
    ) -> Option<MadeUpSale> {
        let name = HEXLOWER.encode(&chance);
        let (short, _) = name.split_at_checked(12)?;
        let click = click(destination.template(), (now, chance), &name);
        let conversion = conversion(&click, event, now, short)?;
        let delivery = DeliveryId {
            conversion: conversion.id,
            destination: destination.id().clone(),
            occasion: Occasion::First,
        };
        Some(MadeUpSale { conversion, click, delivery })
    }
}

impl ReadyDestination {
    /// The event that a test is of where no one says which.
    pub fn usual_event(&self) -> Option<EventName> {
        let (names, sale) = (self.event_names(), EventName::purchase());
        let known = names.iter().find(|name| **name == sale.as_str()).or_else(|| names.first());
        known.and_then(|name| EventName::parse(name))
    }

    /// Why no test event is sent of which the template makes no request.
    pub fn unsent_test(&self, reason: SkipReason) -> TestRefused {
        match reason {
            SkipReason::EventNotMapped { event } => {
                let known = self.event_names().into_iter().map(str::to_owned).collect();
                TestRefused::EventNotMapped { event, known }
            }
            reason => TestRefused::NothingToSend(reason),
        }
    }
}

/// A click with everything that the template keeps of one.
fn click(template: Option<&DestinationTemplate>, (now, chance): (Time, [u8; 16]), name: &str) -> Click {
    // Old enough where the platform knows a click only later.
    let least = template.and_then(DestinationTemplate::min_click_age_ms).unwrap_or(0);
    let at = now.plus_millis(-least.saturating_add(30 * MINUTE_MS));
    let own = template.map(DestinationTemplate::test_click).unwrap_or_default();
    let value = |known: &String| -> (String, String) {
        match own.iter().find(|(written, _)| is_covered(known, written.as_bytes())) {
            Some((written, value)) => (written.clone(), value.clone()),
            None => (known.replace('*', "TEST"), format!("TEST{name}")),
        }
    };
    let is_there = |(_, value): &(String, String)| !value.is_empty();
    let all = |names: &[String]| -> Pairs { names.iter().map(value).filter(is_there).collect() };
    let context = ClickContext {
        visitor: Some(VisitorId::mint(at.as_millis(), chance)),
        agent: Some(Agent {
            device: "desktop".to_owned(),
            system: Some("Linux".to_owned()),
            browser: Some("Chrome 131".to_owned()),
            bot: None,
        }),
        country: Some("US".to_owned()),
        consent: Consent { ad_user_data: Some(true), ad_personalization: Some(true) }.said_at(at),
        ..ClickContext::default()
    };
    Click {
        id: ClickId::mint(at.as_millis(), chance),
        at,
        recorded_at: at,
        landing_url: Some("https://shop.example.com/test-offer".to_owned()),
        referrer: Some("https://www.example.com/".to_owned()),
        ip: Some(ADDRESS),
        user_agent: Some(BROWSER.to_owned()),
        params: template.map(|template| all(template.landing_params())).unwrap_or_default(),
        cookies: template.map(|template| all(template.cookies())).unwrap_or_default(),
        sub_ids: vec![("s1".to_owned(), "test".to_owned())],
        customer: CustomerTraits::default(),
        context,
    }
}

fn conversion(click: &Click, event: EventName, now: Time, name: &str) -> Option<Conversion> {
    let source = SourceId::parse(SOURCE).ok()?;
    let worth = Money::new(Decimal::new(1000, 2), Currency::parse("USD")?);
    let item = SoldItem {
        id: Some("TEST-1".to_owned()),
        name: Some("Test item".to_owned()),
        category: Some("Test".to_owned()),
        quantity: Some(Decimal::ONE),
        price: Some(worth.amount),
    };
    let customer = CUSTOMER.map(|(name, value)| (name, value.to_owned()));
    let customer = customer.into_iter().chain([(CustomerTrait::ExternalId, format!("test-{name}"))]);
    let at = now.plus_millis(-MINUTE_MS);
    Some(Conversion {
        id: ConversionId::derive(&source, event.as_str(), &format!("test:{name}")),
        seq: Seq::FIRST,
        source,
        event,
        status: Status::Approved,
        transaction_id: Some(format!("TEST-{name}")),
        attribution: Attribution::Matched {
            given: click.id.as_str().to_owned(),
            click: click.id.clone(),
            reading: MatchMethod::Exact,
        },
        item_id: item.id.clone(),
        items: vec![item],
        adjustments: Vec::new(),
        value: Some(worth),
        payout: Some(worth),
        revenue: Some(worth),
        sale_amount: Some(worth),
        event_time: at,
        received_at: at,
        traits: CustomerTraits(customer.collect()),
        params: Pairs::new(),
        history: Vec::new(),
        campaign_ref: None,
        payout_from: None,
        reason: None,
        remarks: Vec::new(),
        consent: Consent { ad_user_data: Some(true), ad_personalization: Some(true) }.said_at(at),
        not_routed: Vec::new(),
        considered: Vec::new(),
        disposition: None,
        reuse: None,
        once: None,
    })
}
