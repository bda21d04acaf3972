//! Markers in a JSON template: JSON inside a text, what is kept although it is empty, what is nothing without a part.

use std::sync::Arc;

use crate::support::payload_fixture::{conversion, ready, render, request};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::skip::SkipReason;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::rendering::Rendered;
use proptest::prelude::*;
use serde_json::{Value, json};

const TOML: &str =
    "label = \"Test\"\n[request]\nurl = \"https://ads.example/\"\n[events]\nPurchase = \"buy\"\n";

fn parse(toml: &str, event: &str) -> Result<DestinationTemplate, Vec<String>> {
    let files = [("destination.toml", toml), ("event.json.hbs", event)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    DestinationTemplate::parse("test", "test", &files).map_err(|found| found.iter().map(shown).collect())
}

fn sent(event: &str, conversion: &Conversion) -> Vec<u8> {
    request(&ready(Arc::new(parse(TOML, event).unwrap()), &[]), conversion, None).body
}

fn without_id() -> Conversion {
    Conversion { transaction_id: None, ..conversion() }
}

#[test]
fn a_marked_part_is_json_text_inside_a_string() {
    let event = r#"{"e": {{json event}}, "data": {"$string": {"id": {{json transaction_id}}, "gone": {{json (param "x")}},
                   "list": [{"v": {{number value}}}, {"$string": ["\"", {{json currency}}]}]}}}"#;
    let body: Value = serde_json::from_slice(&sent(event, &conversion())).unwrap();
    let inner: Value = serde_json::from_str(body["data"].as_str().unwrap()).unwrap();
    assert_eq!(inner["list"][0], json!({"v": serde_json::from_str::<Value>("7.00").unwrap()}));
    assert_eq!(inner["list"][1], "[\"\\\"\",\"USD\"]");
    assert_eq!((&inner["id"], inner.get("gone")), (&json!("1"), None));
    let empty = r#"{"e": 1, "data": {"$string": {"id": {{json transaction_id}}}}}"#;
    assert_eq!(sent(empty, &without_id()), br#"{"e":1}"#, "nothing is no text");
}

proptest! {
    #[test]
    fn any_text_is_read_back_from_a_string_in_a_string(text in "\\PC{1,20}|[\\u{0}-\\u{20}\"\\\\]{1,8}") {
        let sold = Conversion { transaction_id: Some(format!("x{text}")), ..conversion() };
        let body = sent(r#"{"a": {"$string": {"b": {"$string": [{{json transaction_id}}]}}}}"#, &sold);
        let inner = |value: &Value| serde_json::from_str::<Value>(value.as_str().unwrap()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(&inner(&inner(&body["a"])["b"])[0], &json!(format!("x{text}")));
    }
}

#[test]
fn what_is_kept_is_written_also_where_it_is_empty() {
    let event = r#"{"list": {"$keep": []}, "object": {"$keep": {"id": {{json transaction_id}}}}, "none": {"$keep": null},
                   "value": {"$keep": {{json transaction_id}}}, "text": {"$keep": {"$string": []}}, "pruned": [],
                   "within": {"$keep": [{{json transaction_id}}, {"a": {{json transaction_id}}}]}}"#;
    assert_eq!(
        String::from_utf8(sent(event, &without_id())).unwrap(),
        r#"{"list":[],"object":{},"none":null,"value":null,"text":"","within":[]}"#
    );
    assert_eq!(
        String::from_utf8(sent(event, &conversion())).unwrap(),
        r#"{"list":[],"object":{"id":"1"},"none":null,"value":"1","text":"","within":["1",{"a":"1"}]}"#
    );
}

#[test]
fn an_object_is_dropped_without_what_it_needs() {
    let event = r#"{"items": [{"$needs": ["content_id"], "content_id": {{json transaction_id}}, "price": {{number value}}},
                              {"$needs": ["a", "b"], "a": 1, "b": {"c": {{json transaction_id}}}, "d": 2}], "e": 1}"#;
    assert_eq!(
        String::from_utf8(sent(event, &conversion())).unwrap(),
        r#"{"items":[{"content_id":"1","price":7.00},{"a":1,"b":{"c":"1"},"d":2}],"e":1}"#
    );
    assert_eq!(sent(event, &without_id()), br#"{"e":1}"#, "and what holds nothing else with it");
}

#[test]
fn what_is_required_inside_of_a_dropped_object_is_missing() {
    let event = r#"{"item": {"$needs": ["id"], "price": {{number value}}, "id": {{json transaction_id}}}, "e": 1,
                   "kept": {"$keep": {"id": {{json transaction_id}}}}}"#;
    let fields = |place: &str, sold: &Conversion| {
        let toml = format!("{TOML}[[require]]\nall = [\"{place}\"]\nwhy = \"x\"\n");
        let destination = ready(Arc::new(parse(&toml, event).unwrap()), &[]);
        match render(&destination, sold, None).rendered {
            Rendered::Skip { reason: SkipReason::PayloadIncomplete(missing) } => missing.fields,
            rendered => {
                assert!(matches!(rendered, Rendered::Request(..)), "{rendered:?}");
                Vec::new()
            }
        }
    };
    for (place, missing) in [("/item/price", "item.price"), ("/item", "item"), ("/kept/id", "kept.id")] {
        assert_eq!(fields(place, &without_id()), [missing]);
        assert!(fields(place, &conversion()).is_empty(), "{place}");
    }
    assert!(fields("/kept", &without_id()).is_empty(), "it is there, though it is empty");
}

#[test]
fn a_marker_in_the_wrong_place_is_a_mistake_and_other_names_with_a_dollar_are_the_platforms() {
    for (event, part) in [
        (r#"{"a": {"$keep": [], "b": 1}}"#, "`b` is next to `$keep`"),
        (r#"{"a": {"$string": {}, "$keep": 1}}"#, "`$keep` is next to `$string`"),
        (r#"{"a": {"$keeep": []}}"#, "did you mean `$keep`?"),
        (r#"{"a": {"$needs": ["c"], "b": 1}}"#, "names \"c\", which is no member"),
        (r#"{"a": {"$needs": [], "b": 1}}"#, "no list of names"),
        (r#"{"a": {"$needs": "b", "b": 1}}"#, "no list of names"),
        (r#"{"a": {"$needs": [{{json event}}], "b": 1}}"#, "no member of its object"),
        (r#"{"$keep": {"a": 1}}"#, "neither an object nor an array"),
    ] {
        let found = parse(TOML, event).err().unwrap_or_default();
        assert!(found.len() == 1 && found[0].contains(part), "{event}: {found:?}");
    }
    assert_eq!(
        sent(r#"{"$value": {{number value}}, "$event_id": 1}"#, &conversion()),
        br#"{"$value":7.00,"$event_id":1}"#
    );
}
