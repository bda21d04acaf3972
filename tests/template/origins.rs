//! Of what each value of a request is made: every value that a change of a sale or click changes names what was changed.

use std::collections::BTreeMap;

use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::click::{Click, CustomerTrait};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::OutgoingRequest;
use postbridge::domain::ids::{ClickId, ConversionId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::time::Time;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::origins::OriginTable;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{RenderInput, Rendered};
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::url::{MacroUrl, POSTBACK_NAMES};
use serde_json::Value;
use url::Url;

use crate::support::known_events::{account, events_of, known_click, known_conversion};
use crate::support::payload_fixture::{delivery, time};

const NOW: &str = "2026-09-21T14:20:00Z";

type Sale = (Conversion, Click);
/// Names, and a change of what they name.
type NamedChange = (Vec<String>, Box<dyn Fn(&mut Sale)>);

/// A request and of what it is made; `None` where nothing is sent.
fn made(
    destination: &ReadyDestination,
    (conversion, click): &Sale,
) -> Option<(OutgoingRequest, OriginTable)> {
    let (delivery, now) = (delivery(conversion), time(NOW));
    let input = RenderInput {
        conversion,
        click: Some(click),
        delivery: &delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer: Default::default(),
    };
    match destination.render(&input).unwrap().rendered {
        Rendered::Request(request, _) => Some((request, destination.origins(&input))),
        Rendered::Skip { .. } => None,
    }
}

/// The values of a request by their place.
fn values(request: &OutgoingRequest) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let url = Url::parse(&request.url).unwrap();
    found.extend(url.query_pairs().map(|(name, value)| (format!("?{name}"), value.into_owned())));
    match serde_json::from_slice(&request.body) {
        Ok(body) => leaves(&body, String::new(), &mut found),
        Err(_) => {
            let form = form_urlencoded::parse(&request.body);
            found.extend(form.map(|(name, value)| (format!("form:{name}"), value.into_owned())));
        }
    }
    found
}

fn leaves(value: &Value, place: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, format!("{place}/{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (number, value) in items.iter().enumerate() {
                leaves(value, format!("{place}/{number}"), found);
            }
        }
        leaf => {
            found.insert(place, leaf.to_string());
        }
    }
}

fn minutes_before(time: Time) -> Time {
    time.plus_millis(-5 * 60_000)
}

/// What can be changed of a sale or its click, and the names of it.
fn changes(template: &DestinationTemplate) -> Vec<NamedChange> {
    let mut all: Vec<NamedChange> = Vec::new();
    let mut add = |names: &[&str], change: Box<dyn Fn(&mut Sale)>| {
        all.push((names.iter().map(|name| (*name).to_owned()).collect(), change));
    };
    for (name, value) in [
        (CustomerTrait::Email, "Bob@Other.example"),
        (CustomerTrait::Phone, "+1 (212) 555-0199"),
        (CustomerTrait::FirstName, "Bob"),
        (CustomerTrait::LastName, "Stone"),
        (CustomerTrait::City, "Boston"),
        (CustomerTrait::State, "MA"),
        (CustomerTrait::Zip, "02110"),
        (CustomerTrait::Country, "CA"),
        (CustomerTrait::Gender, "male"),
        (CustomerTrait::Birthdate, "1991-03-04"),
        (CustomerTrait::ExternalId, "Customer-8"),
        (CustomerTrait::Ip, "203.0.113.77"),
        (CustomerTrait::UserAgent, "Mozilla/5.0 Y"),
    ] {
        let word = name.as_str();
        add(
            &[&format!("traits.{word}"), &format!("click.customer.{word}")],
            Box::new(move |(conversion, click)| {
                let of_sale = conversion.traits.0.get_mut(&name);
                if let Some(text) = of_sale.or(click.customer.0.get_mut(&name)) {
                    *text = value.to_owned();
                }
            }),
        );
    }
    let money = |amount: &str, currency: &str| {
        Some(Money::new(amount.parse().unwrap(), Currency::parse(currency).unwrap()))
    };
    add(&["value"], Box::new(move |(sale, _)| sale.value = money("9.25", "USD")));
    add(&["currency"], Box::new(move |(sale, _)| sale.value = money("7.00", "EUR")));
    add(&["transaction_id"], Box::new(|(sale, _)| sale.transaction_id = Some("other-2".to_owned())));
    add(&["event_time"], Box::new(|(sale, _)| sale.event_time = minutes_before(sale.event_time)));
    add(&["item.id"], Box::new(|(sale, _)| sale.items[1].id = Some("999".to_owned())));
    add(&["item.name"], Box::new(|(sale, _)| sale.items[0].name = Some("Other".to_owned())));
    add(&["item.price"], Box::new(|(sale, _)| sale.items[0].price = Some("3.25".parse().unwrap())));
    add(
        &["item.quantity", "item_count"],
        Box::new(|(sale, _)| sale.items[0].quantity = Some("5".parse().unwrap())),
    );
    add(
        &["event_id", "conversion_id", "delivery_id"],
        Box::new(|(sale, _)| sale.id = ConversionId::derive(&sale.source, "Purchase", "transaction:9")),
    );
    add(&["click.ip"], Box::new(|(_, click)| click.ip = Some("203.0.113.99".parse().unwrap())));
    add(&["click.user_agent"], Box::new(|(_, click)| click.user_agent = Some("Mozilla/5.0 Z".to_owned())));
    add(
        &["click.referrer"],
        Box::new(|(_, click)| click.referrer = Some("https://other.example/".to_owned())),
    );
    add(
        &["click.landing_url"],
        Box::new(|(_, click)| click.landing_url = Some("https://other.example/lp".to_owned())),
    );
    add(&["click.time"], Box::new(|(_, click)| click.at = minutes_before(click.at)));
    add(
        &["click_id", "click.id"],
        Box::new(|(sale, click)| {
            click.id = ClickId::parse("another-click").unwrap();
            sale.attribution = Attribution::Matched {
                given: "another-click".to_owned(),
                click: click.id.clone(),
                reading: MatchMethod::Exact,
            };
        }),
    );
    for (number, name) in template.landing_params().iter().enumerate() {
        add(
            &[&format!("click.params.{name}")],
            Box::new(move |(_, click)| click.params[number].1 = "OtherClickOf7".to_owned()),
        );
    }
    all
}

/// A sale whose customer is known by the sale, and one whose customer is known by the click alone.
fn sales(template: &DestinationTemplate, event: &str) -> [Sale; 2] {
    let (conversion, click) = (known_conversion(event), known_click(template));
    let customer = conversion.traits.clone();
    let by_click = (
        Conversion { traits: Default::default(), ..conversion.clone() },
        Click { customer, ..click.clone() },
    );
    [(conversion, click), by_click]
}

#[test]
fn every_value_that_a_change_changes_names_what_was_changed() {
    let catalog = Catalog::load(None).unwrap();
    let mut named = 0;
    for template in catalog.destination_names().iter().filter_map(|name| catalog.destination(name)) {
        let destination = account(&template);
        for event in events_of(&template) {
            for sale in sales(&template, &event) {
                let Some((request, origins)) = made(&destination, &sale) else { continue };
                let before = values(&request);
                let places: Vec<&String> = before.keys().collect();
                assert_eq!(places, origins.keys().collect::<Vec<_>>(), "{} {event}", template.name());
                for (names, change) in changes(&template) {
                    let mut changed = sale.clone();
                    change(&mut changed);
                    let Some((request, new)) = made(&destination, &changed) else { continue };
                    for (place, value) in values(&request) {
                        if before.get(&place).is_none_or(|old| *old == value) {
                            continue;
                        }
                        let of = [origins.get(&place), new.get(&place)].into_iter().flatten().flatten();
                        let of: Vec<&String> = of.collect();
                        let is_named = names.iter().any(|name| of.contains(&name));
                        assert!(
                            is_named,
                            "{} {event} {place}: {names:?} changes it, and it is of {of:?}",
                            template.name()
                        );
                        named += 1;
                    }
                }
            }
        }
    }
    assert!(named > 500, "only {named} values were changed");
}

#[test]
fn a_value_is_named_by_where_it_is_from() {
    let catalog = Catalog::load(None).unwrap();
    let template = catalog.destination("meta").unwrap();
    let destination = account(&template);
    let [by_sale, mut by_click] = sales(&template, "Purchase");
    let origins = |sale: &Sale| made(&destination, sale).unwrap().1;
    let of =
        |table: &OriginTable, place: &str| table.get(place).cloned().unwrap_or_else(|| panic!("{table:#?}"));
    assert_eq!(of(&origins(&by_sale), "/data/0/user_data/em/0"), ["traits.email"]);
    let table = origins(&by_click);
    assert_eq!(of(&table, "/data/0/user_data/em/0"), ["click.customer.email"]);
    assert_eq!(of(&table, "/data/0/custom_data/value"), ["value"]);
    assert_eq!(of(&table, "/data/0/action_source"), [""; 0], "the template's own text");
    assert_eq!(of(&table, "/data/0/user_data/fbc"), ["click.cookies._fbc"]);
    assert_eq!(of(&table, "/data/0/custom_data/contents/1/id"), ["item.id"]);
    by_click.1.cookies.clear();
    assert_eq!(of(&origins(&by_click), "/data/0/user_data/fbc"), ["click.time", "click.params.fbclid"]);
    by_click.1.params.clear();
    by_click.1.landing_url = Some("https://shop.example/lp?fbclid=IwAR9".to_owned());
    assert_eq!(of(&origins(&by_click), "/data/0/user_data/fbc"), ["click.time", "click.landing_url"]);
    by_click.0.items.clear();
    assert_eq!(of(&origins(&by_click), "/data/0/custom_data/content_ids/0"), ["item_id"]);
}

#[test]
fn what_is_left_out_of_a_request_has_no_origin_and_lists_are_counted_as_they_are_sent() {
    let files = [
        (
            "destination.toml",
            "label = \"X\"\n[[setting]]\nname = \"key\"\nlabel = \"Key\"\nsecret = true\n[events]\nPurchase = \"p\"\n\
             [request]\nurl = \"https://x.example/{{settings.key}}/e?v={{value}}&k=1\"\nauth = { kind = \"query\", query = \"token\", setting = \"key\" }\n\
             [request.query]\nid = \"{{transaction_id}}-{{currency}}\"\nnone = '{{sub}}'\n"
                .replace("{{sub}}", "{{sub_id \"s9\"}}"),
        ),
        (
            "event.json.hbs",
            r#"{"a/b": {"$string": {"v": {{number value}}, "e": {{json traits.email}}}}, "list": [{{json (param "x")}}, "own", {{json (default (param "x") currency)}}],
                "gone": {"$needs": ["x"], "x": {{json (param "x")}}, "y": {{json currency}}}, "kept": {"$keep": []}, "all": {{json params}},
                "sized": {{json (when transaction_id event_name)}}}"#
                .to_owned(),
        ),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into_iter().collect();
    let template =
        DestinationTemplate::parse("x", "x", &files).unwrap_or_else(|problems| panic!("{problems:?}"));
    let template = std::sync::Arc::new(template);
    let destination = account(&template);
    let (_, table) = made(&destination, &(known_conversion("Purchase"), known_click(&template))).unwrap();
    let expected: [(&str, &[&str]); 9] = [
        ("/all/affid", &["params.affid"]),
        ("/a~1b", &["value", "traits.email"]),
        ("/kept", &[]),
        ("/list/0", &[]),
        ("/list/1", &["currency"]),
        ("/sized", &["event_name"]),
        ("?id", &["transaction_id", "currency"]),
        ("?token", &["settings.key"]),
        ("?v", &["value"]),
    ];
    let expected: OriginTable = expected
        .iter()
        .map(|(place, names)| ((*place).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(table, expected);
}

#[test]
fn a_parameter_of_an_outgoing_postback_names_its_macros() {
    let grammar = Grammar::parse("{{}}").unwrap();
    let url = MacroUrl::compile(
        "https://t.example/{offer_id}/pb?cid={click_id}&x=1&p={payout}-{currency}",
        &grammar,
        POSTBACK_NAMES,
    );
    let found = url.unwrap().parameters();
    let expected = [("?cid", vec!["click_id"]), ("?p", vec!["payout", "currency"])];
    let expected: Vec<(String, Vec<String>)> = expected
        .into_iter()
        .map(|(place, names)| (place.to_owned(), names.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(found, expected);
}
