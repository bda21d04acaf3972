//! The raw log keeps a request's headers, byte for byte, but for credentials, keys and what there is no room for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use postbridge::domain::postback::KeptHeaders;
use postbridge::web::auth::KnownSecrets;
use postbridge::web::header_mask::kept_headers;
use postbridge::web::secret_names::SecretNames;
use serde_json::{Value, json};

use crate::support::relay::{KEY, Setup, TOKEN, ask};

/// Starts a relay, sends it a request (bytes that are not UTF-8 are written as Latin-1), and answers what it kept of it.
fn kept_of(request: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let bytes: Vec<u8> = request.replace('\n', "\r\n").chars().map(|letter| letter as u8).collect();
    ask(relay.address, &bytes).unwrap();
    let id = relay.api("/api/v1/postbacks")["items"][0]["id"].as_str().unwrap().to_owned();
    relay.api(&format!("/api/v1/postbacks/{id}"))["raw"].take()
}

#[test]
fn a_postback_is_shown_with_its_headers_and_without_credentials_or_keys() {
    let raw = kept_of(&format!(
        "GET /{KEY}/collect/cake-test?s2=abc&tid=1&price=7.00 HTTP/1.1\n\
         Host: t.example.com\n\
         User-Agent: Netz\u{e9}werk/1.0\n\
         X-Trace: one\n\
         Authorization: Bearer {TOKEN}\n\
         Cookie: session=1\n\
         X-Original-URI: /{KEY}/collect/cake-test?s2=abc\n\
         Referer: https://t.example.com/OTHER-KEY/collect/cake-test?api_key=1\n\
         X-Note: the token {TOKEN}\n\
         X-Api-Key: mine\n\
         X-Trace: two\n\
         Connection: close\n\n"
    ));
    assert_eq!(
        raw["headers"],
        json!([
            ["host", "t.example.com"],
            ["user-agent", "Netz\\xe9werk/1.0"],
            ["x-trace", "one"],
            ["x-trace", "two"],
            ["x-original-uri", "***"],
            ["referer", "https://t.example.com/***/collect/cake-test?api_key=***"],
            ["x-note", "***"],
            ["x-api-key", "***"],
            ["connection", "close"],
        ])
    );
    assert_eq!(raw["headers_left_out"], 2, "the credentials");
    let bytes = STANDARD.decode(raw["headers_base64"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"host: t.example.com\nuser-agent: Netz\xe9werk/1.0\n"));
}

#[test]
fn a_postback_that_is_reprocessed_keeps_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let target = format!("/{KEY}/collect/cake-test?s2=abc&tid=1&price=%23price%23");
    let answer = relay.send("GET", &target, "X-Trace: one\r\n", "");
    assert_eq!(answer.json()["status"], "quarantined");
    let headers = |id: &str| relay.api(&format!("/api/v1/postbacks/{id}"))["raw"]["headers"].take();
    let id = relay.api("/api/v1/postbacks")["items"][0]["id"].as_str().unwrap().to_owned();
    let again = relay.post(&format!("/api/v1/postbacks/{id}/retry"), "").json();
    let again = again["postback_id"].as_str().unwrap();
    assert_ne!(again, id);
    assert_eq!(headers(again), headers(&id));
    assert!(headers(again).as_array().unwrap().contains(&json!(["x-trace", "one"])));
}

#[test]
fn a_request_without_a_right_key_keeps_its_line_body_and_headers_within_2_kib_in_all() {
    let raw = kept_of(&format!(
        "POST /wrong/collect/cake-test HTTP/1.1\n\
         Host: t.example.com\n\
         X-Long: {}\n\
         Content-Type: text/plain\n\
         Content-Length: 1800\n\
         Connection: close\n\n{}",
        "x".repeat(500),
        "b".repeat(1800)
    ));
    let bytes = |name: &str| STANDARD.decode(raw[name].as_str().unwrap()).unwrap().len();
    assert!(bytes("line_base64") + bytes("body_base64") + bytes("headers_base64") <= 2048, "{raw}");
    assert_eq!((bytes("body_base64"), &raw["content_type"]), (1800, &json!("text/plain")));
    assert_eq!(raw["headers_left_out"], 1, "the long one: {raw}");
}

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    headers.iter().map(pair).collect()
}

fn names(kept: &KeptHeaders) -> Vec<&str> {
    kept.iter().map(|(name, _)| name).collect()
}

#[test]
fn of_more_than_4_kib_those_that_the_template_reads_are_kept_first_then_in_their_order() {
    let half = "v".repeat(2000);
    let headers = map(&[
        ("x-first", &half),
        ("x-second", &half),
        ("x-small", "1"),
        ("x-signature", &half),
        ("content-type", "application/json"),
    ]);
    let none = KnownSecrets::new([]);
    let kept = kept_headers(&headers, (&none, &SecretNames::API_KEY), &[]);
    assert_eq!(names(&kept), ["x-first", "x-second", "x-small", "content-type"]);
    assert_eq!(kept.left_out(), 1);
    let kept = kept_headers(&headers, (&none, &SecretNames::API_KEY), &["x-signature".to_owned()]);
    assert_eq!(names(&kept), ["x-first", "x-small", "x-signature", "content-type"]);
    assert_eq!(kept.left_out(), 1);
    assert!(kept.as_bytes().len() <= KeptHeaders::MOST_BYTES);
}

#[test]
fn a_value_that_holds_a_configured_secret_is_masked_also_where_it_is_percent_encoded() {
    let secrets = KnownSecrets::new(["", "short", "k3y/of-the-source"]);
    let rows = [
        ("k3y/of-the-source", "***"),
        ("https://t.example/?to=k3y/of-the-source&x", "***"),
        ("https://t.example/?to=k3y%2Fof%2Dthe-source", "***"),
        ("k3y/of-another-source", "k3y/of-another-source"),
        ("short is not a key", "short is not a key"),
    ];
    for (received_text, kept) in rows {
        let headers = kept_headers(&map(&[("x-it", received_text)]), (&secrets, &SecretNames::API_KEY), &[]);
        assert_eq!(headers.get("x-it"), Some(kept.as_bytes()), "{received_text}");
    }
    let none =
        kept_headers(&map(&[("x-it", "anything")]), (&KnownSecrets::new([""]), &SecretNames::API_KEY), &[]);
    assert_eq!(none.get("x-it"), Some(&b"anything"[..]), "an empty secret is none");
}
