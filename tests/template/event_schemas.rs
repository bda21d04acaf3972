//! The schemas of events: every template has one that is strict, and refuses what is broken.

use std::collections::BTreeSet;
use std::path::Path;

use postbridge::story::expected::Expectations;
use postbridge::story::lint;
use postbridge::story::run::run_destination_stories;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::schema::EventSchema;
use postbridge::template::diagnostic::LintCode;
use serde_json::{Value, json};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every object of a schema that is about the visitor, by the name of its member.
fn of_the_visitor<'s>(schema: &'s Value, found: &mut Vec<(&'s str, &'s Value)>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        // A list of objects is about the visitor as they are.
        let member = if member["items"].is_object() { &member["items"] } else { member };
        let is_object = member["properties"].is_object();
        if is_object && (name.starts_with("user") || name == "traits" || name == "identifiers") {
            found.push((name, member));
        }
        of_the_visitor(member, found);
    }
}

#[test]
fn every_destination_template_has_a_schema_that_knows_every_member_of_an_event_and_its_visitor() {
    for name in Catalog::load(None).unwrap().destination_names() {
        let file = repository().join("templates/destinations").join(name).join("schema.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let mut visitor = Vec::new();
        of_the_visitor(&schema, &mut visitor);
        // Where there is no payload the parameters are all that is sent, and the click's id all of the visitor.
        let has_payload = file.with_file_name("event.json.hbs").exists();
        let is_flat = visitor.is_empty() && schema["properties"].get("MicrosoftClickId").is_some();
        assert!(!has_payload || is_flat || !visitor.is_empty(), "{name} says nothing of the visitor");
        for (member, of_visitor) in visitor {
            assert_eq!(of_visitor["additionalProperties"], false, "{name}: {member}");
        }
    }
}

/// That every story's payload passes is asserted where the stories run.
#[test]
fn every_schema_refuses_a_wrong_type_a_wrong_unit_and_a_missing_member() {
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names();
    let stories = repository().join("fixtures/destinations");
    let report = run_destination_stories(&catalog, &names, &stories, Expectations::Check);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let refused: BTreeSet<&str> = report.refused.iter().map(String::as_str).collect();
    for name in names {
        for rule in ["type", "unit", "missing"] {
            assert!(
                refused.contains(format!("{name}/{rule}").as_str()),
                "{name}/{rule} is not in {refused:?}"
            );
        }
        // Those of changes and of late events refuse what their own payloads could be.
        for file in ["change.schema.json", "late.schema.json"] {
            let has_one = repository().join("templates/destinations").join(name).join(file).exists();
            for rule in ["type", "missing"] {
                let is_refused = refused.contains(format!("{name}/{file}/{rule}").as_str());
                assert!(is_refused || !has_one, "{name}/{file}/{rule} is not in {refused:?}");
            }
        }
    }
}

#[test]
fn no_built_in_template_lacks_a_minimum_or_an_id() {
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.destination_names() {
        let lacking = lint::lacking(&catalog.destination(name).unwrap());
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}

#[test]
fn a_number_out_of_bounds_is_known_for_a_time_in_another_unit() {
    let schema = json!({"properties": {"at": {"type": "integer", "minimum": 1_000_000_000, "maximum": 9_999_999_999_i64}}});
    let schema = EventSchema::parse("schema.json", &schema.to_string()).unwrap();
    let is_in_another = |at: i64| {
        let faults = schema.faults(&json!({"at": at}));
        faults.first().map(|fault| (fault.keyword.clone(), fault.is_in_another_unit))
    };
    assert_eq!(is_in_another(1_790_000_000), None);
    assert_eq!(is_in_another(1_790_000_000_000), Some(("maximum".to_owned(), true)));
    assert_eq!(is_in_another(1_790_000_000_000_000), Some(("maximum".to_owned(), true)));
    assert_eq!(is_in_another(7), Some(("minimum".to_owned(), false)));
}

#[test]
fn a_schema_that_is_none_is_named_with_its_file() {
    let named = |text: &str| EventSchema::parse("mine/schema.json", text).err().unwrap().to_string();
    assert!(named("{").starts_with("mine/schema.json:1: it is not JSON"), "{}", named("{"));
    let odd = named(r#"{"type": "whole"}"#);
    assert!(odd.starts_with("mine/schema.json: it is not a schema"), "{odd}");
}

/// A user's folder with one template and its stories.
struct OwnFolder(tempfile::TempDir);

impl OwnFolder {
    fn with(files: &[(&str, &str)]) -> OwnFolder {
        let folder = OwnFolder(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| folder.write(path, text));
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What is wrong with it, by place and code.
    fn found(&self) -> Vec<(String, Option<LintCode>)> {
        let catalog = match Catalog::load(Some(self.0.path())) {
            Ok(catalog) => catalog,
            Err(problems) => return self.placed(problems),
        };
        let stories = self.0.path().join("fixtures/destinations");
        let report = run_destination_stories(&catalog, &["mine"], &stories, Expectations::Check);
        let lacking = lint::lacking(&catalog.destination("mine").unwrap());
        self.placed(report.problems.into_iter().chain(lacking).filter(|problem| problem.code.is_some()))
    }

    fn placed(
        &self,
        problems: impl IntoIterator<Item = postbridge::template::diagnostic::Problem>,
    ) -> Vec<(String, Option<LintCode>)> {
        let root = format!("{}/", self.0.path().display());
        problems.into_iter().map(|problem| (problem.at.replace(&root, ""), problem.code)).collect()
    }
}

const TOML: &str = r#"label = "Mine"
[events]
Purchase = "buy"
[request]
url = "https://a.example/"
[[require]]
all = ["/id"]
why = "it needs one"
"#;
const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "properties": {
  "id": {"type": "string"}, "sold_at": {"type": "integer", "minimum": 1000000000, "maximum": 9999999999}}}"#;
const STORY: &str = "now = \"2026-11-28T12:00:00Z\"\n[conversion]\nvalue = \"7.00\"\n";
const FOLDER: &str = "destinations/mine";

fn own(toml: &str, payload: &str) -> Vec<(String, Option<LintCode>)> {
    let folder = OwnFolder::with(&[
        ("destinations/mine/destination.toml", toml),
        ("destinations/mine/event.json.hbs", payload),
        ("destinations/mine/schema.json", SCHEMA),
        ("fixtures/destinations/mine/sale/story.toml", STORY),
    ]);
    folder.found()
}

#[test]
fn each_rule_of_templates_is_found_with_its_code_and_its_line() {
    let whole = "{\n  \"id\": {{json event_id}},\n  \"sold_at\": {{unix event_time}}\n}";
    assert_eq!(own(TOML, whole), []);
    let found = |toml: &str, payload: &str, place: &str, code: LintCode| {
        assert_eq!(own(toml, payload), [(format!("{FOLDER}/{place}"), Some(code))]);
    };
    let payload = |from: &str, to: &str| whole.replace(from, to);
    found(TOML, &payload("json event_id", "event_id"), "event.json.hbs:2", LintCode::BareValue);
    found(TOML, &payload("json event_id", "json event_ident"), "event.json.hbs:2", LintCode::UnknownName);
    found(TOML, &payload("unix ", "unix_ms "), "event.json.hbs:3", LintCode::WrongTimeUnit);
    found(TOML, &payload("json event_id", "json click_id"), "destination.toml:1", LintCode::NoDedupId);
    found(&TOML.replace("/id", "/ident"), whole, "destination.toml:6", LintCode::UnknownPlace);
    let (nothing, _) = TOML.split_once("[[require]]").unwrap();
    found(nothing, whole, "destination.toml:1", LintCode::NoMinimum);
    assert_eq!(own(&format!("personal = false\n{nothing}"), whole), [], "the operator's own takes anything");
}

#[test]
fn what_a_story_sends_is_checked_against_the_schema_of_its_template() {
    let folder = OwnFolder::with(&[
        ("destinations/mine/destination.toml", TOML),
        ("destinations/mine/event.json.hbs", "{\"id\": {{json event_id}}, \"name\": {{json event}}}"),
        ("destinations/mine/schema.json", SCHEMA),
        ("fixtures/destinations/mine/sale/story.toml", STORY),
        ("fixtures/destinations/mine/broken/kind.json", "{\"breaks\": \"type\", \"payload\": {\"id\": 7}}"),
        (
            "fixtures/destinations/mine/broken/none.json",
            "{\"breaks\": \"type\", \"payload\": {\"id\": \"7\"}}",
        ),
        (
            "fixtures/destinations/mine/broken/other.json",
            "{\"breaks\": \"missing\", \"payload\": {\"id\": 7}}",
        ),
        ("fixtures/destinations/mine/broken/word.json", "{\"breaks\": \"nonsense\", \"payload\": {}}"),
    ]);
    let catalog = Catalog::load(Some(folder.0.path())).unwrap();
    let stories = folder.0.path().join("fixtures/destinations");
    let report = run_destination_stories(&catalog, &["mine"], &stories, Expectations::Check);
    let said: String = report.problems.iter().map(|problem| format!("{problem}\n")).collect();
    assert_eq!(report.refused, ["mine/type"]);
    for part in
        ["mine/sale: schema.json: ", "('name' was unexpected)", "none.json: schema.json lets it through"]
    {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(said.contains("other.json: it breaks `type` and not `missing`"), "{said}");
    assert!(said.contains("word.json: `nonsense` is no rule of a schema"), "{said}");
}

/// Events as the platforms' pages write them, with every value invented.
#[test]
fn an_event_as_the_platforms_page_writes_it_passes_the_schema() {
    let hash = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    let examples = [
        (
            "ga4",
            json!({"client_id": "1234567890.1700000000", "user_id": "u-42", "timestamp_micros": 1_790_000_000_000_000_i64,
                "user_properties": {"tier": {"value": "gold"}}, "non_personalized_ads": false,
                "consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"},
                "events": [{"name": "purchase", "params": {"transaction_id": "T1", "currency": "USD", "value": 7.0,
                    "tax": 1, "coupon": "SUMMER", "session_id": "1789999000", "engagement_time_msec": 100,
                    "items": [{"item_id": "565", "item_name": "Mug", "item_brand": "Acme", "price": 7.0, "quantity": 1}]}}]}),
        ),
        (
            "pinterest",
            json!({"event_name": "checkout", "action_source": "web", "event_time": 1_790_000_000, "event_id": "x1",
                "event_source_url": "https://shop.example/thanks", "opt_out": false, "partner_name": "ss-example",
                "language": "en", "user_data": {"em": [hash], "external_id": [hash], "client_ip_address": "203.0.113.9",
                    "client_user_agent": "Mozilla/5.0"},
                "custom_data": {"currency": "USD", "value": "72.39", "content_ids": ["red-mug"], "num_items": 2,
                    "contents": [{"id": "red-mug", "item_price": "36.10", "quantity": 2, "item_brand": "Acme"}],
                    "order_id": "T1", "search_string": "mugs", "opt_out_type": "LDP"}}),
        ),
        (
            "pinterest",
            json!({"action_source": "web", "event_name": "checkout", "event_time": 1_790_000_000, "event_id": "x1",
                "event_source_url": "https://shop.example/thanks", "opt_out": false,
                "user_data": {"em": [hash], "external_id": hash, "click_id": "epik-1", "client_ip_address": "203.0.113.9",
                    "client_user_agent": "Mozilla/5.0"},
                "custom_data": {"value": "25.00", "currency": "USD", "order_id": "T1", "num_items": 1}}),
        ),
        (
            "reddit",
            json!({"event_at": 1_735_707_600_000_i64, "action_source": "WEBSITE", "click_id": "12345",
                "event_source_url": "https://www.shop.example/checkout?rdt_cid=3184742045291813272",
                "type": {"tracking_type": "PURCHASE"},
                "user": {"ip_address": "192.168.0.1", "user_agent": "Chrome/98.0", "email": "visitor@mail.example",
                    "phone_number": "+15554441234", "external_id": "customer12345",
                    "uuid": "1677712978045.b8f7eb7d-b357-437b-8bd3-e1c8166c7132",
                    "idfa": "8A2E4F6D-0852-4B2A-B9D5-79334DE14B16", "aaid": "38400000-8cf0-11bd-b23e-10b96e40000d",
                    "screen_dimensions": {"width": 1920, "height": 1080},
                    "data_processing_options": {"modes": ["LDU"], "country": "US", "region": "US-CA"}},
                "metadata": {"item_count": 2, "currency": "USD", "value": 100.00, "conversion_id": "unique-id",
                    "products": [{"id": "565", "name": "Mug", "category": "Kitchen", "quantity": 1, "item_price": 50.00}]}}),
        ),
        (
            "reddit",
            json!({"event_at": 1_735_707_600_000_i64, "action_source": "WEBSITE",
                "type": {"tracking_type": "CUSTOM", "custom_event_name": "Promotion Event"},
                "user": {"email": hash, "phone_number": hash, "external_id": hash, "idfa": hash, "aaid": hash,
                    "uuid": "b8f7eb7d-b357-437b-8bd3-e1c8166c7132"}}),
        ),
        (
            "snapchat",
            json!({"event_name": "PURCHASE", "event_time": 1_790_000_000, "event_id": "x1", "action_source": "MOBILE_APP",
                "app_data": {"advertiser_tracking_enabled": 1, "extinfo": ["a2", "com.example.app"]},
                "user_data": {"em": [hash], "ph": [hash]},
                "custom_data": {"currency": "USD", "value": "10",
                    "contents": [{"id": "3", "quantity": "1", "item_price": "5", "brand": "Acme"}]}}),
        ),
        (
            "tiktok",
            json!({"event": "Purchase", "event_time": 1_790_000_000, "event_id": "x1",
                "user": {"email": [hash], "phone": [hash], "external_id": hash, "ttclid": "E.C.P.x", "ttp": "ttp-1",
                    "ip": "203.0.113.9", "user_agent": "Mozilla/5.0"},
                "page": {"url": "https://shop.example/thanks"},
                "properties": {"value": 25.0, "currency": "USD", "content_type": "product",
                    "contents": [{"content_id": "plan", "quantity": 1, "price": 25.0}]}}),
        ),
        (
            "tiktok",
            json!({"event": "ViewContent", "event_time": 1_790_000_000, "event_id": "1616318632825_357",
                "user": {"ttclid": "E.C.P.x", "external_id": hash, "phone": hash, "email": hash, "ttp": "ttp-1",
                    "ip": "203.0.113.9", "user_agent": "Mozilla/5.0"},
                "page": {"url": "https://shop.example/mug"},
                "properties": {"contents": [{"content_id": "565", "content_type": "product", "content_name": "Mug"}],
                    "value": 100, "currency": "USD"}}),
        ),
    ];
    let catalog = Catalog::load(None).unwrap();
    for (name, example) in examples {
        let schema = catalog.destination(name).unwrap().schema().unwrap().unwrap();
        let faults: Vec<String> = schema.faults(&example).iter().map(|fault| fault.what.clone()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
}
