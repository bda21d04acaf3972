//! What replies mean: the whole table of the Meta template, the usual rules, and `Retry-After`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use postbridge::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use postbridge::domain::delivery_reason::{DeathReason, ParkReason};
use postbridge::domain::exchange::{NoAnswer, PlatformAnswer, Said, SendRefused};
use postbridge::domain::ids::DestinationId;
use postbridge::domain::sent::Confirmation;
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;
use postbridge::template::destination::wait;
use proptest::prelude::*;

fn now() -> Time {
    Time::parse("2026-09-21T14:20:00Z").unwrap()
}

fn ready(template: &str, settings: &[(&str, &str)]) -> ReadyDestination {
    ReadyDestination::build(DestinationSpec {
        id: DestinationId::parse("main").unwrap(),
        template: Catalog::load(None).unwrap().destination(template).unwrap(),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        events: BTreeMap::new(),
    })
    .unwrap()
}

fn meta() -> &'static ReadyDestination {
    static META: LazyLock<ReadyDestination> =
        LazyLock::new(|| ready("meta", &[("pixel_id", "1234567890"), ("access_token", "secret-token")]));
    &META
}

fn webhook() -> ReadyDestination {
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    ready("webhook", &[("url", "https://hooks.example/x"), ("secret", secret)])
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(PlatformResponse {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        truncated: false,
    })
}

fn error(code: i64) -> String {
    format!(r#"{{"error":{{"message":"no","type":"OAuthException","code":{code},"fbtrace_id":"A"}}}}"#)
}

fn word(destination: &ReadyDestination, reply: &Reply) -> &'static str {
    destination.classify(reply, now()).as_str()
}

#[test]
fn meta_delivered_is_200_with_as_many_received_as_were_sent() {
    let meta = meta();
    for (body, expected) in [
        (r#"{"events_received":1}"#, "delivered"),
        (r#"{"events_received":1,"messages":[],"fbtrace_id":"A"}"#, "delivered"),
        (r#"{"events_received":"1"}"#, "delivered"),
        (r#"{"events_received":0}"#, "retry"),
        (r#"{"events_received":2}"#, "retry"),
        (r#"{"events_received":null}"#, "retry"),
        (r#"{"events_received":1.5}"#, "retry"),
        ("{}", "retry"),
        ("[]", "retry"),
        ("null", "retry"),
        ("", "retry"),
        ("OK", "retry"),
        ("<html>fine</html>", "retry"),
        (r#"{"events_received":1"#, "retry"),
    ] {
        assert_eq!(word(meta, &answer(200, body)), expected, "{body}");
    }
    for status in [201, 202, 204] {
        assert_eq!(word(meta, &answer(status, r#"{"events_received":1}"#)), "dead", "{status}");
    }
}

#[test]
fn meta_keeps_the_messages_of_a_success_as_warnings() {
    let body = r#"{"events_received":1,"messages":["a",{"field":"fbp"}]}"#;
    let expected = vec!["a".to_owned(), r#"{"field":"fbp"}"#.to_owned()];
    let confirmation = Confirmation::Confirmed;
    let delivered = ReplyVerdict::Delivered { warnings: expected, confirmation };
    assert_eq!(meta().classify(&answer(200, body), now()), delivered);
}

#[test]
fn meta_an_error_inside_a_200_is_never_delivered() {
    let meta = meta();
    for code in [1, 100, 190, 2500] {
        assert_eq!(word(meta, &answer(200, &error(code))), "retry", "{code}");
    }
}

#[test]
fn meta_codes_that_pass_are_tried_again() {
    let meta = meta();
    let ranged = 80_000..=80_014;
    for code in [1, 2, 4, 17, 32, 341, 368, 613, 5000, 21_009].into_iter().chain(ranged) {
        for status in [400, 401, 403] {
            assert_eq!(word(meta, &answer(status, &error(code))), "retry", "{status} {code}");
        }
    }
    for status in [408, 429, 500, 502, 503, 504, 599] {
        for body in [error(100), error(190), "{}".to_owned(), String::new()] {
            assert_eq!(word(meta, &answer(status, &body)), "retry", "{status} {body}");
        }
    }
    let transient = r#"{"error":{"message":"no","code":100,"error_subcode":33,"is_transient":true}}"#;
    assert_eq!(word(meta, &answer(400, transient)), "retry");
    assert_eq!(word(meta, &answer(400, "<html></html>")), "retry");
    assert_eq!(word(meta, &Reply::Failed(NoAnswer::ConnectTimeout)), "retry");
}

#[test]
fn meta_codes_that_refuse_the_account_park_it() {
    let meta = meta();
    for code in [3, 10, 102, 190, 2_500, 2_635].into_iter().chain(200..=299) {
        for status in [400, 401, 403] {
            assert_eq!(word(meta, &answer(status, &error(code))), "park", "{status} {code}");
        }
    }
    let unknown = r#"{"error":{"message":"no","code":100,"error_subcode":33,"is_transient":false}}"#;
    assert_eq!(word(meta, &answer(400, unknown)), "park");
    for message in [
        "API calls from the server require an appsecret_proof argument",
        "Invalid appsecret_proof provided in the API argument",
        "INVALID APPSECRET_PROOF",
    ] {
        let body =
            format!(r#"{{"error":{{"message":"{message}","type":"GraphMethodException","code":100}}}}"#);
        assert_eq!(word(meta, &answer(400, &body)), "park", "{message}");
        let another = body.replace("100", "9");
        assert_eq!(word(meta, &answer(400, &another)), "dead", "{message}");
    }
    let transient = r#"{"error":{"message":"no","code":2635,"is_transient":true}}"#;
    assert_eq!(word(meta, &answer(400, transient)), "retry");
}

/// What an answer asks for: when the delivery is tried again at the earliest, how long all are held.
fn asked(
    destination: &ReadyDestination,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> (Option<i64>, Option<i64>) {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = body.as_bytes().to_vec();
    match destination
        .classify(&Reply::Answer(PlatformResponse { status, headers, body, truncated: false }), now())
    {
        ReplyVerdict::Retry { after_ms, hold_ms, .. } => (after_ms, hold_ms),
        other => panic!("{other:?}"),
    }
}

const USAGE: &str = "X-Business-Use-Case-Usage";
const MINUTE: i64 = 60_000;

#[test]
fn a_429_and_a_503_with_a_wait_hold_the_destination_and_nothing_else_does() {
    let webhook = webhook();
    for status in [429, 503] {
        assert_eq!(asked(&webhook, status, &[("Retry-After", "120")], ""), (Some(120_000), Some(120_000)));
        let date = [("retry-after", "Mon, 21 Sep 2026 14:21:30 GMT")];
        assert_eq!(asked(&webhook, status, &date, ""), (Some(90_000), Some(90_000)), "a date");
        assert_eq!(asked(&webhook, status, &[], ""), (None, None), "no wait was asked for");
        assert_eq!(asked(&webhook, status, &[("Retry-After", "0")], ""), (Some(0), None));
        let past = [("Retry-After", "Mon, 21 Sep 2020 14:20:00 GMT")];
        assert_eq!(asked(&webhook, status, &past, ""), (Some(0), None));
        for garbage in ["-1", "soon", "1e3", "", "\u{fffd}"] {
            assert_eq!(asked(&webhook, status, &[("Retry-After", garbage)], ""), (None, None), "{garbage}");
        }
        let huge = [("Retry-After", "99999999999999999999999")];
        assert_eq!(asked(&webhook, status, &huge, ""), (Some(DAY_MS), Some(DAY_MS)));
        let several = [("Retry-After", "soon"), ("Retry-After", "7"), ("retry-after", "30")];
        assert_eq!(asked(&webhook, status, &several, ""), (Some(30_000), Some(30_000)), "the longest");
    }
    for status in [408, 425, 500, 502, 504] {
        assert_eq!(asked(&webhook, status, &[("Retry-After", "120")], ""), (Some(120_000), None), "{status}");
    }
}

#[test]
fn meta_the_longest_time_to_regain_access_holds_the_destination_whatever_the_status() {
    let usage = r#"{"1":[{"type":"ads_management","call_count":100,"estimated_time_to_regain_access":2},
        {"type":"custom_audience","estimated_time_to_regain_access":7}],"2":[{"estimated_time_to_regain_access":5}]}"#;
    let usage = usage.replace('\n', "");
    let transient = r#"{"error":{"message":"no","code":2,"is_transient":true}}"#.to_owned();
    for (status, body) in [
        (400, error(80_004)),
        (403, error(17)),
        (400, transient),
        (429, String::new()),
        (500, error(1)),
        (503, "<html>".to_owned()),
        (200, error(4)),
    ] {
        let found = asked(meta(), status, &[(USAGE, &usage)], &body);
        assert_eq!(found, (Some(7 * MINUTE), Some(7 * MINUTE)), "{status} {body}");
    }
}

#[test]
fn meta_of_a_header_and_a_wait_the_longer_counts_and_garbage_is_none() {
    let limit = error(80_004);
    let of = |usage: &str| asked(meta(), 400, &[(USAGE, usage)], &limit);
    let minutes = |n: i64| (Some(n * MINUTE), Some(n * MINUTE));
    for (usage, expected) in [
        (r#"{"1":[{"estimated_time_to_regain_access":"12"}]}"#, minutes(12)),
        (r#"{"1":[{"estimated_time_to_regain_access":0.5}]}"#, (Some(30_000), Some(30_000))),
        (r#"{"1":{"2":{"3":{"estimated_time_to_regain_access":3}}}}"#, minutes(3)),
        (r#"{"estimated_time_to_regain_access":4}"#, minutes(4)),
        (r#"[{"estimated_time_to_regain_access":4}]"#, minutes(4)),
        (r#"{"estimated_time_to_regain_access":4}, {"estimated_time_to_regain_access":6}"#, minutes(6)),
        (r#"{"1":[{"estimated_time_to_regain_access":1e2}]}"#, minutes(100)),
        (r#"{"1":[{"estimated_time_to_regain_access":99999999999999999999999999999999}]}"#, minutes(1440)),
        (r#"{"1":[{"estimated_time_to_regain_access":1e400}]}"#, (None, None)),
        (r#"{"1":[{"estimated_time_to_regain_access":0}]}"#, (Some(0), None)),
        (r#"{"1":[{"estimated_time_to_regain_access":-3}]}"#, (None, None)),
        (r#"{"1":[{"estimated_time_to_regain_access":null}]}"#, (None, None)),
        (r#"{"1":[{"estimated_time_to_regain_access":"soon"}]}"#, (None, None)),
        (r#"{"1":[{"call_count":100}]}"#, (None, None)),
        (r#"{"1":[{"estimated_time_to_regain_access":3}"#, (None, None)),
        ("", (None, None)),
        ("7", (None, None)),
    ] {
        assert_eq!(of(usage), expected, "{usage}");
    }
    let deep = "[".repeat(5_000);
    assert_eq!(of(&deep), (None, None));
    let one = r#"{"1":[{"estimated_time_to_regain_access":1}]}"#;
    let both = |wait: &str| asked(meta(), 429, &[(USAGE, one), ("Retry-After", wait)], "");
    assert_eq!(both("90"), (Some(90_000), Some(90_000)));
    assert_eq!(both("30"), minutes(1));
}

#[test]
fn meta_a_limit_that_names_a_wait_holds_with_any_status_and_a_fault_does_not() {
    let wait = [("Retry-After", "120")];
    for code in [4, 17, 32, 341, 613, 80_000, 80_014] {
        assert_eq!(asked(meta(), 400, &wait, &error(code)), (Some(120_000), Some(120_000)), "{code}");
        assert_eq!(asked(meta(), 400, &[], &error(code)), (None, None), "{code}");
    }
    for code in [1, 2, 368, 5000, 21_009] {
        assert_eq!(asked(meta(), 400, &wait, &error(code)), (Some(120_000), None), "{code}");
    }
}

#[test]
fn meta_everything_else_is_dead() {
    let meta = meta();
    for code in [
        0, 5, 9, 11, 18, 33, 100, 101, 103, 105, 189, 191, 199, 300, 2_499, 2_501, 2_634, 2_636, 79_999,
        80_015, -1,
    ] {
        assert_eq!(word(meta, &answer(400, &error(code))), "dead", "{code}");
    }
    for subcode in [34, 2_804_001, 2_804_003, 2_804_007, 2_804_050] {
        let body = format!(r#"{{"error":{{"message":"no","code":100,"error_subcode":{subcode}}}}}"#);
        assert_eq!(word(meta, &answer(400, &body)), "dead", "{subcode}");
    }
    for status in [301, 302, 400, 401, 403, 404, 410, 422] {
        assert_eq!(word(meta, &answer(status, "{}")), "dead", "{status}");
    }
    assert_eq!(word(meta, &Reply::Forbidden(SendRefused::UserInfo)), "dead");
}

#[test]
fn a_reason_names_what_the_platform_said_and_never_a_secret() {
    let body = r#"{"error":{"message":"Malformed token secret-token","code":190,"error_subcode":463,"fbtrace_id":"Xy"}}"#;
    let ReplyVerdict::Park { reason } = meta().classify(&answer(401, body), now()) else {
        panic!("not parked")
    };
    let ParkReason::AccountRefused(PlatformAnswer { status, said: Said::Words(reason), .. }) = reason else {
        panic!("{reason:?}")
    };
    assert_eq!(status, 401);
    for part in ["Malformed token ***", "code 190", "subcode 463", "fbtrace_id Xy"] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert!(!reason.contains("secret-token"), "{reason}");
}

#[test]
fn a_reason_is_one_short_line_whatever_is_answered() {
    let body = format!(r#"{{"error":{{"message":"{}\n\u0007","code":5}}}}"#, "é".repeat(5000));
    let ReplyVerdict::Dead { reason } = meta().classify(&answer(400, &body), now()) else {
        panic!("not dead")
    };
    let DeathReason::PlatformRejected(PlatformAnswer { said: Said::Words(words), .. }) = reason else {
        panic!("{reason:?}")
    };
    assert_eq!(words.chars().count(), 601);
    assert!(!words.contains(char::is_control));
}

#[test]
fn a_template_without_rules_of_its_own_follows_the_usual_ones() {
    let webhook = webhook();
    for (statuses, expected) in [
        (vec![200, 201, 202, 204, 299], "delivered"),
        (vec![408, 425, 429, 500, 502, 503, 504, 599], "retry"),
        (vec![401, 403, 410], "park"),
        (vec![100, 300, 301, 302, 304, 307, 308, 400, 402, 404, 405, 409, 411, 422, 451, 600], "dead"),
    ] {
        for status in statuses {
            assert_eq!(word(&webhook, &answer(status, "whatever")), expected, "{status}");
        }
    }
}

#[test]
fn a_wait_that_was_asked_for_is_kept_with_a_retry_only() {
    let with = |status: u16, wait: &str| {
        let headers = vec![("Retry-After".to_owned(), wait.to_owned())];
        let reply = Reply::Answer(PlatformResponse { status, headers, body: Vec::new(), truncated: false });
        match webhook().classify(&reply, now()) {
            ReplyVerdict::Retry { after_ms, .. } => after_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(429, "7"), Some(7_000));
    assert_eq!(with(503, "Mon, 21 Sep 2026 14:21:30 GMT"), Some(90_000));
    assert_eq!(with(429, "soon"), None);
}

#[test]
fn retry_after_takes_seconds_and_dates_and_ignores_the_rest() {
    let parse = |text| wait::retry_after_ms(text, now());
    assert_eq!(parse("0"), Some(0));
    assert_eq!(parse(" 120 "), Some(120_000));
    assert_eq!(parse("86400"), Some(DAY_MS));
    assert_eq!(parse("86401"), Some(DAY_MS));
    assert_eq!(parse("99999999999999999999999999"), Some(DAY_MS));
    assert_eq!(parse("Mon, 21 Sep 2026 14:20:05 GMT"), Some(5_000));
    assert_eq!(parse("Monday, 21-Sep-26 14:20:05 GMT"), Some(5_000));
    assert_eq!(parse("Mon Sep 21 14:20:05 2026"), Some(5_000));
    assert_eq!(parse("Mon, 21 Sep 2020 14:20:05 GMT"), Some(0));
    assert_eq!(parse("Fri, 31 Dec 9999 23:59:59 GMT"), Some(DAY_MS));
    for garbage in
        ["", " ", "-1", "+1", "1.5", "1e300", "0x10", "1 2", "now", "Mon, 99 Sep 2026 14:20:05 GMT"]
    {
        assert_eq!(parse(garbage), None, "{garbage}");
    }
}

proptest! {
    #[test]
    fn retry_after_is_total_and_within_a_day(text in "\\PC{0,40}", at in -62_167_219_200_000i64..253_402_207_200_000) {
        let now = Time::from_millis(at).unwrap();
        if let Some(wait) = wait::retry_after_ms(&text, now) {
            prop_assert!((0..=DAY_MS).contains(&wait));
        }
    }

    #[test]
    fn retry_after_of_any_number_of_seconds_is_that_many(seconds in 0u64..=86_400) {
        prop_assert_eq!(wait::retry_after_ms(&seconds.to_string(), now()), Some(seconds as i64 * 1000));
    }

    #[test]
    fn no_answer_makes_classifying_panic(status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let reply = Reply::Answer(PlatformResponse { status, headers: Vec::new(), body, truncated: false });
        let verdict = meta().classify(&reply, now());
        prop_assert!(status == 200 || verdict.as_str() != "delivered");
    }
}
