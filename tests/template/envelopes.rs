//! What is around the events of a request: mistakes in it, and which events one request can carry.

use std::sync::Arc;

use postbridge::domain::conversion::Conversion;
use postbridge::domain::ids::DeliveryId;
use postbridge::domain::money::Currency;
use postbridge::domain::sent::DeliveryKind;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::envelope::EventPart;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{RenderInput, Rendered};
use serde_json::{Value, json};

use crate::support::payload_fixture::{conversion, delivery, ready, request, time};

const TOML: &str = "label = \"Test\"\n[[setting]]\nname = \"pixel\"\nlabel = \"Pixel\"\nsecret = true\n\
                    [request]\nurl = \"https://ads.example/{{currency}}\"\n[events]\nPurchase = \"buy\"\n";
const EVENT: &str = "{\"id\": {{json transaction_id}}, \"v\": {{number value}}}";

fn parse(envelope: &str) -> Result<DestinationTemplate, Vec<String>> {
    let files = [("destination.toml", TOML), ("event.json.hbs", EVENT), ("envelope.json.hbs", envelope)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    DestinationTemplate::parse("test", "test", &files).map_err(|found| found.iter().map(shown).collect())
}

fn part(destination: &ReadyDestination, conversion: &Conversion) -> (EventPart, DeliveryId) {
    let delivery = delivery(conversion);
    let now = time("2026-09-21T14:20:00Z");
    let input = RenderInput {
        conversion,
        click: None,
        delivery: &delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer: Default::default(),
    };
    match destination.render_event(&input).unwrap().rendered {
        Rendered::Request(part, _) => (part, delivery),
        Rendered::Skip { reason } => panic!("skipped: {reason:?}"),
    }
}

fn named(transaction: &str, currency: &str) -> Conversion {
    let mut conversion = Conversion { transaction_id: Some(transaction.to_owned()), ..conversion() };
    conversion.value = conversion.value.map(|mut value| {
        value.currency = Currency::parse(currency).unwrap();
        value
    });
    conversion
}

#[test]
fn one_event_is_a_list_of_one_in_its_envelope() {
    let destination = ready(
        Arc::new(parse("{\"p\": {{json settings.pixel}}, \"x\": {\"events\": {{events}}}}").unwrap()),
        &[("pixel", "P-secret-1")],
    );
    let body = request(&destination, &conversion(), None).body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["p"], json!("P-secret-1"));
    assert_eq!(body["x"]["events"].as_array().unwrap().len(), 1);
}

#[test]
fn events_of_one_url_and_one_envelope_leave_together_and_each_is_found_in_the_body_that_is_shown() {
    let template = parse(
        "{\"t\": {{json settings.pixel}}, \"cur\": {{json currency}}, \"data\": {{events}}, \"z\": {{json settings.pixel}}}",
    );
    // The secret is in an event too, as some platform's token may be.
    let destination = ready(Arc::new(template.unwrap()), &[("pixel", "P-secret-1")]);
    let (first, delivery) = part(&destination, &named("one-P-secret-1", "USD"));
    let (second, _) = part(&destination, &named("two", "USD"));
    let (other, _) = part(&destination, &named("three", "EUR"));
    assert!(first.joins(&second) && !first.joins(&other));
    let now = time("2026-09-21T14:20:00Z");
    let assembled = destination.assemble(&[&first, &second], &delivery, now);
    let body: Value = serde_json::from_slice(&assembled.request.body).unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    let own = |place: &std::ops::Range<usize>| -> Value {
        serde_json::from_slice(&assembled.request.body[place.clone()]).unwrap()
    };
    assert_eq!(assembled.events.iter().map(own).collect::<Vec<_>>(), *body["data"].as_array().unwrap());
    let (shown, places) = assembled.masked();
    assert_eq!(shown, assembled.request.masked());
    assert!(!shown.body.contains("P-secret-1"));
    let own: Vec<Value> =
        places.into_iter().map(|place| serde_json::from_str(&shown.body[place]).unwrap()).collect();
    assert_eq!((own[0]["id"].clone(), own[1]["id"].clone()), (json!("one-***"), json!("two")));
}

#[test]
fn without_an_envelope_no_two_events_leave_together() {
    let files = [("destination.toml", TOML), ("event.json.hbs", EVENT)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let template = DestinationTemplate::parse("test", "test", &files).map_err(|_| ()).unwrap();
    let destination = ready(Arc::new(template), &[]);
    let (first, _) = part(&destination, &named("one", "USD"));
    assert!(!first.joins(&first.clone()));
}

#[test]
fn a_place_of_the_events_that_cannot_hold_them_is_a_mistake() {
    for (envelope, part) in [
        ("{\"data\": []}", "has no `{{events}}`"),
        ("{\"data\": {{events}}, \"more\": {{events}}}", "several times"),
        ("{\"data\": [{{events}}]}", "in a list or in a text"),
        ("{\"data\": {\"$string\": {\"e\": {{events}}}}}", "in a list or in a text"),
        ("{\"data\": {{json events}}}", "there is no `events`"),
        ("{\"data\": {{event}}}", "bare"),
        ("{{events}}", "neither an object nor an array"),
        ("{\"data\": \"{{events}}\"}", "inside quotes"),
    ] {
        let problems = parse(envelope).err().unwrap_or_default();
        assert_eq!(problems.len(), 1, "{envelope}: {problems:?}");
        assert!(
            problems[0].starts_with("test/envelope.json.hbs:1") && problems[0].contains(part),
            "{problems:?}"
        );
    }
    let files = [("destination.toml", TOML), ("envelope.json.hbs", "{\"data\": {{events}}}")];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let problems = DestinationTemplate::parse("test", "test", &files).err().unwrap_or_default();
    assert!(
        problems.iter().any(|problem| problem.what.contains("there is no event.json.hbs")),
        "{problems:?}"
    );
}
