//! The things of an order: read from lists of a postback, and written once each into a payload.

use std::sync::Arc;

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::conversion::{Conversion, Dedup, Draft};
use postbridge::domain::ids::SourceId;
use postbridge::domain::item::{MOST_ITEMS, SoldItem};
use postbridge::domain::money::Currency;
use postbridge::domain::postback::KeptHeaders;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::diagnostic::Problem;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::known_conversions::{Known, by_value, duplicate, new, update};
use crate::support::payload_fixture::{conversion, ready, request};

const SMALL: &str = r#"
name = "small"
macro = "{{}}"
postback = ["cid=aff_sub", "amount=payout", "skus", "amounts"]
[map]
click_id = "cid"
value = "amount"
[event]
by_value = { positive = "Purchase", zero = "Lead" }
"#;

const LIST: &str = "[map.items]\neach = \"order.lines\"\nid = [\"id\", \"sku\"]\nname = \"name\"\ncategory = \"group.name\"\nquantity = \"qty\"\nprice = \"price\"\n";
const LISTS: &str =
    "[map.items]\nseparator = \"|\"\nid = [\"ids\", \"skus\"]\nquantity = \"amounts\"\nprice = \"prices\"\n";

fn draft(items: &str, query: &str, body: &str) -> Draft {
    let template = SourceTemplate::parse("small.toml", &format!("{SMALL}{items}")).unwrap();
    let source = SourceId::parse("a-source").unwrap();
    let currency = Currency::parse("USD");
    let binding = SourceBinding { currency, ..SourceBinding::of(source) };
    let params = template.read(query.as_bytes(), &KeptHeaders::default(), body.as_bytes()).unwrap();
    template.map(&binding, &params).unwrap().draft().unwrap()
}

fn of_body(lines: Value) -> Draft {
    draft(LIST, "", &json!({"cid": "c", "amount": 7, "order": {"lines": lines}}).to_string())
}

fn of_query(query: &str) -> Draft {
    draft(LISTS, &format!("cid=c&amount=7&{query}"), "")
}

fn item(id: &str, quantity: Option<&str>, price: Option<&str>) -> SoldItem {
    let number = |text: &str| text.parse().unwrap();
    let id = (!id.is_empty()).then(|| id.to_owned());
    SoldItem { id, quantity: quantity.map(number), price: price.map(number), ..SoldItem::default() }
}

fn notes(draft: &Draft) -> Vec<(&'static str, String)> {
    let note = |note: &postbridge::domain::rejection::note::ReportNote| {
        (note.code().as_str(), note.field().unwrap_or_default().to_owned())
    };
    draft.notes.iter().map(note).collect()
}

#[test]
fn a_list_of_a_json_body_is_the_items_in_its_order() {
    let read = of_body(json!([
        {"sku": "A", "name": "Mug", "group": {"name": "Kitchen"}, "qty": 2, "price": 3.50},
        {"id": "B", "sku": "not this one", "price": "7"},
        {"id": "", "sku": "C", "qty": 0.5, "color": "red"},
    ]));
    let mug = SoldItem {
        name: Some("Mug".to_owned()),
        category: Some("Kitchen".to_owned()),
        ..item("A", Some("2"), Some("3.50"))
    };
    assert_eq!(read.items, [mug, item("B", None, Some("7")), item("C", Some("0.5"), None)]);
    assert_eq!((notes(&read), read.params.len()), (vec![], 0));
    assert_eq!(read.items[0].price.unwrap().to_string(), "3.5", "JSON of the test has written it so");
}

#[test]
fn parameters_that_are_lists_are_the_items_part_by_part() {
    let read = of_query("skus=A%7CB%7C%20C%20&amounts=2%7C%7C1&prices=3.50%7C7%7C0.10");
    assert_eq!(
        read.items,
        [item("A", Some("2"), Some("3.50")), item("B", None, Some("7")), item("C", Some("1"), Some("0.10"))]
    );
    assert_eq!(
        (notes(&read), read.params),
        (vec![], vec![]),
        "a list of items is not kept under its own name too"
    );
    assert_eq!(of_query("ids=X&skus=A%7CB").items, [item("X", None, None)], "of several names the first");
    assert_eq!(of_query("prices=3%7C4").items, [item("", None, Some("3")), item("", None, Some("4"))]);
    assert_eq!(of_query("").items, []);
    assert_eq!(of_query("skus=%7C%7C").items, [], "of which nothing is known");
}

#[test]
fn a_list_of_another_length_is_left_out_and_named() {
    let read = of_query("skus=A%7CB&prices=3");
    assert_eq!(read.items, [item("A", None, None), item("B", None, None)]);
    assert_eq!(notes(&read), [("left_out", "prices".to_owned())]);
}

#[test]
fn what_cannot_be_read_of_an_item_is_left_out_and_the_first_of_it_named() {
    let long = "x".repeat(201);
    let read = of_body(json!([
        {"id": "A", "price": "$3", "name": long},
        {"id": "B", "price": "$4", "qty": "two"},
        {"id": "{sku}", "price": 5},
        {"id": "null", "name": "Mug"},
        {}, null, "text", [],
    ]));
    let mug = SoldItem { name: Some("Mug".to_owned()), ..SoldItem::default() };
    assert_eq!(read.items, [item("A", None, None), item("B", None, None), item("", None, Some("5")), mug]);
    let fields = ["order.lines.0.price", "order.lines.0.name", "order.lines.1.qty", "order.lines.2.id"];
    let mut named: Vec<String> = notes(&read).into_iter().map(|(_, field)| field).collect();
    named.sort();
    let mut fields = fields.map(str::to_owned);
    fields.sort();
    assert_eq!(named, fields);
}

#[test]
fn at_most_a_hundred_items_are_kept_and_what_is_beyond_is_named_and_stops_nothing() {
    let lines: Vec<Value> =
        (0..2000).map(|n| json!({"id": n, "name": "x", "price": 1, "qty": 1, "a": n})).collect();
    let read = of_body(json!(lines));
    assert_eq!(read.items.len(), MOST_ITEMS);
    assert_eq!(read.items[99].id.as_deref(), Some("99"));
    assert_eq!(notes(&read), [("names_left_out", "items".to_owned())]);
    let parts = vec!["7"; 150].join("%7C");
    let read = of_query(&format!("skus={parts}&prices={parts}"));
    assert_eq!((read.items.len(), notes(&read)), (100, vec![("names_left_out", "items".to_owned())]));
}

#[test]
fn what_is_wrong_in_items_is_a_mistake_with_its_line() {
    let problems = |items: &str| -> Vec<Problem> {
        SourceTemplate::parse("small.toml", &format!("{SMALL}{items}")).err().unwrap_or_default()
    };
    for (items, at, what) in [
        ("[map.items]\nid = \"a\"\n", "small.toml:10", "one of `each` and `separator`"),
        (
            "[map.items]\neach = \"a\"\nseparator = \",\"\nid = \"a\"\n",
            "small.toml:10",
            "one of `each` and `separator`",
        ),
        ("[map.items]\neach = \"a\"\n", "small.toml:10", "no member"),
        ("[map.items]\nseparator = \"\"\nid = \"a\"\n", "small.toml:11", "separator is empty"),
        ("[map.items]\neach = \"a b\"\nid = \"a\"\n", "small.toml:11", "not a parameter's name"),
        ("[map.items]\neach = \"a\"\nid = [\"a\",\n\"{b}\"]\n", "small.toml:13", "not a parameter's name"),
        (
            "[map.items]\neach = \"a\"\nid = \"a\"\nqantity = \"b\"\n",
            "small.toml:13",
            "unknown key `qantity`",
        ),
    ] {
        let found = problems(items);
        assert_eq!(found.len(), 1, "{items}: {found:?}");
        assert_eq!(found[0].at, at, "{found:?}");
        assert!(found[0].what.contains(what), "{found:?}");
    }
}

#[test]
fn a_repeat_fills_items_in_and_never_changes_them() {
    let with = |items: Vec<SoldItem>, value: &str| Draft { items, ..by_value(Some("T"), Some("c"), value) };
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&with(vec![], "7 USD")));
    let filled = update(known.receive(&with(vec![item("A", None, None)], "8 USD")));
    assert_eq!(filled.items, [item("A", None, None)]);
    let other = update(known.receive(&with(vec![item("B", None, None)], "9 USD")));
    assert_eq!(other.items, filled.items);
    assert_eq!(duplicate(known.receive(&with(vec![item("C", None, None)], "9 USD"))).0.items, filled.items);
    assert_eq!(other.ids_only().items, [], "what was bought is no id");
}

const TOML: &str =
    "label = \"Test\"\n[request]\nurl = \"https://ads.example/\"\n[events]\nPurchase = \"buy\"\n";
const EVENT: &str = r#"{"count": {{json item_count}}, "contents": [{"$each": "items", "$needs": ["id"], "id": {{json item.id}},
  "n": {{json item.quantity}}, "price": {{number item.price decimals=2}}, "all": [{{json item.id}}, {{json item.name}}, "x"]}, {"last": true}],
  "ids": [{"$each": "items", "$value": {{json item.id}}}]}"#;

fn parse(toml: &str, event: &str) -> Result<DestinationTemplate, Vec<String>> {
    let files = [("destination.toml", toml), ("event.json.hbs", event)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let shown = |problem: &Problem| format!("{}: {} | {}", problem.at, problem.what, problem.hint);
    DestinationTemplate::parse("test", "test", &files).map_err(|found| found.iter().map(shown).collect())
}

fn sent(sold: &Conversion) -> Value {
    let body = request(&ready(Arc::new(parse(TOML, EVENT).unwrap()), &[]), sold, None).body;
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_payload_writes_each_item_once() {
    let items =
        vec![item("A", Some("2"), Some("3.5")), item("", Some("1"), None), item("C", None, Some("7"))];
    let body = sent(&Conversion { items, ..conversion() });
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        body["contents"],
        json!([
            {"id": "A", "n": 2, "price": number("3.50"), "all": ["A", "x"]},
            {"id": "C", "price": number("7.00"), "all": ["C", "x"]},
            {"last": true},
        ])
    );
    assert_eq!((&body["ids"], &body["count"]), (&json!(["A", "C"]), &json!(4)));
}

#[test]
fn without_items_the_conversions_own_item_id_is_the_one_item() {
    let body = sent(&conversion());
    assert_eq!(body["contents"], json!([{"id": "565", "all": ["565", "x"]}, {"last": true}]));
    assert_eq!((&body["ids"], body.get("count")), (&json!(["565"]), None));
    let body = sent(&Conversion { item_id: None, ..conversion() });
    assert_eq!((&body["contents"], body.get("ids")), (&json!([{"last": true}]), None));
}

#[test]
fn a_name_of_an_item_anywhere_else_is_a_mistake_with_its_line() {
    let refused = |toml: &str, event: &str, parts: &[&str]| {
        let found = parse(toml, event).err().unwrap_or_default();
        assert_eq!(found.len(), 1, "{event}: {found:?}");
        for part in parts {
            assert!(found[0].contains(part), "{part} in {found:?}");
        }
    };
    let outside = "a name of an item is where no item is written";
    refused(TOML, "{\n\"a\": 1,\n\"b\": {{json item.id}}}", &["event.json.hbs:3:", outside, "$each"]);
    refused(TOML, "{\"a\": [\n{{sha256 (lower item.name)}}]}", &["event.json.hbs:2:", outside]);
    let url = TOML.replace("example/", "example/{{item.id}}");
    refused(&url, "{\"a\": 1}", &["destination.toml:3", outside]);
    let query = format!("{TOML}[request.query]\nid = \"{{{{item.id}}}}\"\n");
    refused(&query, "{\"a\": 1}", &["destination.toml:7", outside]);
    refused(TOML, r#"{"a": [{"$each": "things", "b": 1}]}"#, &["\"things\"", "\"$each\": \"items\""]);
    refused(TOML, r#"{"a": {"$each": "items", "b": 1}}"#, &["`$each` is in no list"]);
    refused(TOML, r#"{"a": [{"$each": "items", "b": [{"$each": "items", "c": 1}]}]}"#, &["another `$each`"]);
    refused(TOML, r#"{"a": [{"$each": "items", "$value": 1, "c": 1}]}"#, &["next to `$value`"]);
    refused(TOML, r#"{"a": [{"$eech": "items", "c": 1}]}"#, &["`$eech` is no marker", "`$each`"]);
    refused(TOML, r#"{"a": [{"$each": "items", "c": {{json item.color}}}]}"#, &["no `item.color`"]);
}

proptest! {
    #[test]
    fn any_order_is_as_many_contents_and_valid_json(
        ids in prop::collection::vec("\\PC{0,30}", 0..12), price in -99_999i64..99_999,
    ) {
        let items: Vec<SoldItem> = ids
            .iter()
            .map(|id| SoldItem { id: Some(format!("i{id}")), price: Some(price.into()), ..SoldItem::default() })
            .collect();
        let body = sent(&Conversion { item_id: None, items, ..conversion() });
        let contents = body["contents"].as_array().unwrap();
        prop_assert_eq!(contents.len(), ids.len() + 1);
        for (content, id) in contents.iter().zip(&ids) {
            prop_assert_eq!(&content["id"], &json!(format!("i{id}")));
        }
    }

    #[test]
    fn no_list_stops_a_postback(query in "(skus|amounts|prices|ids)=[a-z0-9.%|,{}$-]{0,30}", lines in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        of_query(&query);
        let lines: Value = serde_json::from_str(&lines).unwrap_or_default();
        of_body(lines);
    }
}
