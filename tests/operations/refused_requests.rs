//! What is refused before it is a postback: one code in the answer, the record, the log and the metrics.

use postbridge::domain::code::ReasonCode;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::http1::refusal::{HttpRefusal, HttpRefusalKind};

use crate::support::relay::{KEY, Setup, TOKEN, ask};

fn counted(metrics: &str, code: &str) -> u64 {
    let name = format!("postbridge_refused_total{{reason_code=\"{code}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn what_is_not_taken_as_a_request_has_one_code_in_answer_record_and_metric() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let path = format!("/{KEY}/collect/cake-test");
    let long = "x".repeat(20_000);
    let cases = [
        (414, "request_line_too_long", format!("GET {path}?s5={long} HTTP/1.1\r\nHost: t\r\n\r\n")),
        (
            431,
            "headers_too_large",
            format!("GET {path} HTTP/1.1\r\nHost: t\r\nA: {long}\r\nB: {long}\r\n\r\n"),
        ),
        (
            413,
            "body_too_large",
            format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 9000000\r\n\r\n"),
        ),
        (400, "malformed_request", format!("GET {path} HTTP/1.1\r\nHost: t\r\nno colon\r\n\r\n")),
    ];
    for (status, code, request) in cases {
        let answer = ask(relay.address, request.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (status, Some(code)));
        let record = relay.api("/api/v1/postbacks?limit=1")["items"][0].clone();
        assert_eq!(
            (record["status"].as_str(), record["reason_code"].as_str(), record["source"].as_str()),
            (Some("refused"), Some(code), Some("cake-test")),
            "{record:#}"
        );
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        let metrics = relay.send("GET", "/metrics", &bearer, "").text();
        assert_eq!(counted(&metrics, code), 1, "{metrics}");
    }
}

#[test]
fn the_answer_says_of_a_refusal_what_its_record_says() {
    let large = [
        (HttpRefusal::BODY_TOO_LARGE, RejectionCode::BodyTooLarge),
        (HttpRefusal::LINE_TOO_LONG, RejectionCode::RequestLineTooLong),
        (HttpRefusal::HEAD_TOO_LARGE, RejectionCode::HeadersTooLarge),
    ];
    for (refusal, code) in large {
        assert_eq!((refusal.message, refusal.hint), (code.meaning(), code.fix()));
    }
    for (kind, code) in [
        (HttpRefusalKind::Malformed, RejectionCode::MalformedRequest),
        (HttpRefusalKind::TooSlow, RejectionCode::RequestTimeout),
        (HttpRefusalKind::BodyTooLarge, RejectionCode::BodyTooLarge),
        (HttpRefusalKind::LineTooLong, RejectionCode::RequestLineTooLong),
        (HttpRefusalKind::HeadersTooLarge, RejectionCode::HeadersTooLarge),
        (HttpRefusalKind::Overloaded, RejectionCode::Overloaded),
        (HttpRefusalKind::Internal, RejectionCode::InternalError),
    ] {
        assert_eq!(kind.code(), code.as_str());
    }
}

#[test]
fn a_call_without_a_usable_key_is_counted_as_a_bad_key_whatever_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let update = "/api/2/update_conversion.json";
    let calls = [
        ("POST", update, r#"{"conversion_id":1}"#, "missing_key"),
        ("POST", update, "{", "broken_json"),
        ("POST", update, "[1]", "json_array"),
        ("POST", update, r#"{"api_key":"wrong"}"#, "bad_key"),
        ("GET", "/api/2/tracking.json?api_key=one&api_key=two", "", "different_values"),
    ];
    for (method, path, body, code) in calls {
        let answer = relay.send(method, path, "Content-Type: application/json\r\n", body);
        assert_eq!(answer.status, 401, "{path} {body}: {}", answer.text());
        assert!(answer.text().contains(&format!("{code}: ")), "{}", answer.text());
        let record = relay.api("/api/v1/postbacks?limit=1")["items"][0].clone();
        assert_eq!(record["reason_code"], code, "{record:#}");
    }
    let metrics = relay.send("GET", "/metrics", &format!("Authorization: Bearer {TOKEN}\r\n"), "").text();
    assert_eq!(counted(&metrics, "bad_key"), 5, "{metrics}");
}
