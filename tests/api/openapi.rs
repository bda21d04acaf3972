//! The document of the API: whole, true to the table of routes, and served to those who may look.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use postbridge::web::api::openapi;
use postbridge::web::routes::{BodyLimit, Endpoint, table};
use serde_json::{Value, json};

use crate::support::access_fixture::{ADVERTISER, READER, tokens};
use crate::support::link_fixture::BROWSER;
use crate::support::openapi_check::checked;
use crate::support::platform::Platform;
use crate::support::relay::{CAMPAIGN, KEY, Relay, Setup, TOKEN, wait_until};

fn document() -> Value {
    serde_json::from_str(openapi::text()).unwrap()
}

/// Every operation, by its method and path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let named = |(method, operation): (&String, &Value)| {
            (format!("{} {path}", method.to_ascii_uppercase()), operation.clone())
        };
        methods.as_object().unwrap().iter().map(named).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn each_row_of_the_api_is_in_the_document_and_nothing_else() {
    let of_row = |row: &postbridge::web::routes::RouteRow| {
        row.methods.iter().map(|method| format!("{method} {}", row.path)).collect::<Vec<_>>()
    };
    let rows = table::ROUTES.iter().filter(|row| matches!(row.endpoint, Endpoint::Api(_)));
    let rows: BTreeSet<String> = rows.flat_map(of_row).collect();
    let described: BTreeSet<String> = operations(&document()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(rows, described);
}

#[test]
fn the_document_explains_every_parameter_and_refers_only_to_what_it_has() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert_ne!(parameter["description"], "", "{name}: {parameter}");
        }
    }
    let text = openapi::text();
    for reference in text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "{name}");
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
}

#[test]
fn the_document_is_served_to_those_who_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::of(folder.path());
    let text = setup.text();
    let (before, _) = text.split_once("[api]").unwrap();
    let relay = setup.run(&format!("{before}{}{CAMPAIGN}", tokens())).unwrap();
    let get = |token: &str| {
        let bearer =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        relay.send("GET", "/api/v1/openapi.json", &bearer, "")
    };
    assert_eq!(get(READER).text(), openapi::text());
    assert_eq!(get("").status, 401);
    assert_eq!(get(ADVERTISER).status, 403);
}

/// Sends a request with the token.
fn send(relay: &Relay, method: &str, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = relay.send(method, path, &bearer, body);
    (answer.status, answer.json())
}

#[test]
fn every_call_answers_what_the_document_says() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str("test_event_code = \"TEST12345\"\n");
    setup.store.push_str(&format!("backup_dir = \"{}\"\n", folder.path().join("backups").display()));
    let relay = setup.start();
    let ok = |method: &str, path: &str, body: &str| {
        let (status, value) = send(&relay, method, path, body);
        assert_eq!(status, 200, "{method} {path}: {value:#}");
        value
    };
    let click =
        ok("POST", "/api/v1/clicks", &json!({
        "landing_url": "https://shop.example/?fbclid=IwAR0abc", "ip": "203.0.113.7", "user_agent": BROWSER,
    }).to_string());
    let click = click["click_id"].as_str().unwrap().to_owned();
    let sale = relay.postback("cake-test", format!("s2={click}&tid=A-1&price=7").as_bytes()).json();
    let sale = sale["conversion_id"].as_str().unwrap().to_owned();
    relay.postback("cake-test", b"s2=x&tid=A-2&price=-5");
    let path = format!("/api/v1/conversions/{sale}");
    assert!(wait_until(Duration::from_secs(10), || {
        ok("GET", &path, "")["deliveries"][0]["state"] == "delivered"
    }));
    let delivery = ok("GET", "/api/v1/deliveries", "")["items"][0]["id"].as_str().unwrap().to_owned();
    let quarantined = ok("GET", "/api/v1/postbacks?status=quarantined", "")["items"][0]["id"].clone();
    let quarantined = quarantined.as_str().unwrap().to_owned();
    for row in table::ROUTES.iter().filter(|row| matches!(row.endpoint, Endpoint::Api(_))) {
        if row.methods.contains(&Method::GET) && !row.path.contains('{') {
            ok("GET", row.path, "");
        }
    }
    ok("GET", &format!("/api/v1/clicks/{click}"), "");
    ok("GET", &format!("/api/v1/postbacks/{quarantined}"), "");
    ok("POST", &format!("/api/v1/postbacks/{quarantined}/retry"), "");
    ok("POST", &format!("{path}/status"), r#"{"status":"rejected","note":"returned"}"#);
    ok("POST", "/api/v1/destinations/meta-main/test?event=Lead&anyway=true", "");
    ok("POST", "/api/v1/clock/confirm", "");
    for wish in [json!({"click_id": click}), json!({"click_id": click, "apply": true})] {
        let (status, begun) = send(&relay, "POST", "/api/v1/erasures", &wish.to_string());
        assert_eq!(status, 202, "{begun:#}");
        let has_ended = || ok("GET", "/api/v1/erasures/work", "")["work"]["state"] != "looking";
        assert!(wait_until(Duration::from_secs(20), has_ended));
    }
    ok("GET", "/api/v1/erasures", "");
    ok("GET", "/api/v1/erasures/1", "");
    for (path, body) in [("/api/v1/backups", r#"{"dir":"nightly"}"#), ("/api/v1/verifications", "")] {
        ok("POST", path, body);
        assert!(
            wait_until(Duration::from_secs(30), || ok("GET", path, "")["work"]["state"] == "done"),
            "{path}"
        );
    }
    ok("POST", "/api/v1/suppression/fraud", "someone@example.com\nnonsense");
    ok("GET", "/api/v1/suppression/fraud", "");
    ok("POST", "/api/v1/suppression/fraud/remove", "someone@example.com");
    ok("POST", "/api/v1/suppression/fraud", "other@example.com");
    ok("DELETE", "/api/v1/suppression/fraud", "");
    let (status, refused) = send(&relay, "POST", &format!("/api/v1/deliveries/{delivery}/retry"), "");
    assert_eq!(status, 409, "{refused:#}");
    for (method, path, wanted) in [
        ("GET", "/api/v1/nothing".to_owned(), 404),
        ("PUT", "/api/v1/clicks".to_owned(), 405),
        ("GET", "/api/v1/clicks?limit=0".to_owned(), 400),
        ("GET", "/api/v1/clicks/nothing".to_owned(), 404),
        ("GET", format!("/api/v1/conversions/{}", "0".repeat(32)), 404),
        ("POST", "/api/v1/postbacks/1/retry".to_owned(), 409),
        ("POST", format!("/api/v1/deliveries/{}~meta-main~first/retry", "0".repeat(32)), 404),
        ("GET", "/api/v1/erasures/2".to_owned(), 404),
        ("POST", "/api/v1/erasures".to_owned(), 400),
        ("DELETE", "/api/v1/suppression/fraud".to_owned(), 404),
    ] {
        assert_eq!(send(&relay, method, &path, "").0, wanted, "{method} {path}");
    }
    assert!(!relay.send("GET", &format!("/{KEY}/collect/cake-test"), "", "").body.is_empty());
    let checked = checked();
    let answered = |name: &str| checked.keys().any(|known| known.starts_with(&format!("{name} ")));
    for (name, _) in operations(&document()) {
        assert!(answered(&name), "no answer of {name} was checked");
    }
    println!("{} answers of {} kinds were checked:", checked.values().sum::<usize>(), checked.len());
    for (name, times) in &checked {
        println!("{times:5} {name}");
    }
}

#[test]
fn a_body_that_no_call_can_read_is_answered_as_the_document_says_or_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    for row in table::ROUTES.iter().filter(|row| matches!(row.endpoint, Endpoint::Api(_))) {
        let path = row.path.replace("{id}", "1").replace("{list}", "fraud");
        for method in row.methods {
            let encoded = format!("{bearer}Content-Encoding: br\r\n");
            let status = relay.send(method.as_str(), &path, &encoded, "x").status;
            let is_read = row.body != BodyLimit::Unread;
            assert_eq!(status == 415, is_read, "{method} {path}: {status}");
            let large = "x".repeat(70_000);
            relay.send(method.as_str(), &path, &bearer, &large);
        }
    }
}

#[test]
fn a_body_that_is_no_object_is_refused_in_words_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    let path = format!("/api/v1/conversions/{}/status", "0".repeat(32));
    for body in
        ["[]", "[\"approved\", null]", "\"approved\"", "1", "{\"status\":1}", "{\"state\":\"approved\"}", "{"]
    {
        let (status, answer) = send(&relay, "POST", &path, body);
        assert_eq!((status, answer["error"]["code"].as_str()), (400, Some("bad_body")), "{body}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.contains("struct") && !message.contains("StatusBody"), "{message}");
    }
}
