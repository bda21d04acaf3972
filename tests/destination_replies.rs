//! What replies mean: the whole table of the Meta template, the usual rules, and `Retry-After`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use postbridge::domain::delivery::{Answer, Judgement, Reply};
use postbridge::domain::ids::DestinationId;
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::template::account::{Account, AccountSpec, Mode};
use postbridge::template::catalog::Catalog;
use postbridge::template::retry_after;
use proptest::prelude::*;

fn now() -> Time {
    Time::parse("2026-09-21T14:20:00Z").unwrap()
}

fn account(template: &str, settings: &[(&str, &str)]) -> Account {
    Account::build(AccountSpec {
        id: DestinationId::parse("main").unwrap(),
        template: Catalog::load(None).unwrap().destination(template).unwrap(),
        mode: Mode::Live,
        endpoint: None,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        events: BTreeMap::new(),
    })
    .unwrap()
}

fn meta() -> &'static Account {
    static META: LazyLock<Account> =
        LazyLock::new(|| account("meta", &[("pixel_id", "1234567890"), ("access_token", "secret-token")]));
    &META
}

fn webhook() -> Account {
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    account("webhook", &[("url", "https://hooks.example/x"), ("secret", secret)])
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec(), truncated: false })
}

fn error(code: i64) -> String {
    format!(r#"{{"error":{{"message":"no","type":"OAuthException","code":{code},"fbtrace_id":"A"}}}}"#)
}

fn word(account: &Account, reply: &Reply) -> &'static str {
    account.judge(reply, now()).word()
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
    assert_eq!(meta().judge(&answer(200, body), now()), Judgement::Delivered { warnings: expected });
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
    assert_eq!(word(meta, &Reply::Failed("timed out".to_owned())), "retry");
}

#[test]
fn meta_codes_that_refuse_the_account_park_it() {
    let meta = meta();
    for code in [3, 10, 102, 190].into_iter().chain(200..=299) {
        for status in [400, 401, 403] {
            assert_eq!(word(meta, &answer(status, &error(code))), "park", "{status} {code}");
        }
    }
    let unknown = r#"{"error":{"message":"no","code":100,"error_subcode":33,"is_transient":false}}"#;
    assert_eq!(word(meta, &answer(400, unknown)), "park");
}

#[test]
fn meta_everything_else_is_dead() {
    let meta = meta();
    for code in [0, 5, 9, 11, 18, 33, 100, 101, 103, 105, 189, 191, 199, 300, 2500, 79_999, 80_015, -1] {
        assert_eq!(word(meta, &answer(400, &error(code))), "dead", "{code}");
    }
    for subcode in [34, 2_804_001, 2_804_003, 2_804_007, 2_804_050] {
        let body = format!(r#"{{"error":{{"message":"no","code":100,"error_subcode":{subcode}}}}}"#);
        assert_eq!(word(meta, &answer(400, &body)), "dead", "{subcode}");
    }
    for status in [301, 302, 400, 401, 403, 404, 410, 422] {
        assert_eq!(word(meta, &answer(status, "{}")), "dead", "{status}");
    }
    assert_eq!(word(meta, &Reply::Forbidden("a private address".to_owned())), "dead");
}

#[test]
fn a_reason_names_what_the_platform_said_and_never_a_secret() {
    let body = r#"{"error":{"message":"Malformed token secret-token","code":190,"error_subcode":463,"fbtrace_id":"Xy"}}"#;
    let Judgement::Park { reason } = meta().judge(&answer(401, body), now()) else { panic!("not parked") };
    for part in ["HTTP 401", "Malformed token ***", "code 190", "subcode 463", "fbtrace_id Xy"] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert!(!reason.contains("secret-token"), "{reason}");
}

#[test]
fn a_reason_is_one_short_line_whatever_comes() {
    let body = format!(r#"{{"error":{{"message":"{}\n\u0007","code":5}}}}"#, "é".repeat(5000));
    let Judgement::Dead { reason } = meta().judge(&answer(400, &body), now()) else { panic!("not dead") };
    assert!(reason.chars().count() <= 601, "{}", reason.len());
    assert!(!reason.contains(char::is_control));
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
        let reply = Reply::Answer(Answer { status, headers, body: Vec::new(), truncated: false });
        match webhook().judge(&reply, now()) {
            Judgement::Retry { after_ms, .. } => after_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(429, "7"), Some(7_000));
    assert_eq!(with(503, "Mon, 21 Sep 2026 14:21:30 GMT"), Some(90_000));
    assert_eq!(with(429, "soon"), None);
}

#[test]
fn retry_after_takes_seconds_and_dates_and_ignores_the_rest() {
    let parse = |text| retry_after::parse(text, now());
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
        if let Some(wait) = retry_after::parse(&text, now) {
            prop_assert!((0..=DAY_MS).contains(&wait));
        }
    }

    #[test]
    fn retry_after_of_any_number_of_seconds_is_that_many(seconds in 0u64..=86_400) {
        prop_assert_eq!(retry_after::parse(&seconds.to_string(), now()), Some(seconds as i64 * 1000));
    }

    #[test]
    fn no_answer_makes_judging_panic(status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let reply = Reply::Answer(Answer { status, headers: Vec::new(), body, truncated: false });
        let judgement = meta().judge(&reply, now());
        prop_assert!(status == 200 || judgement.word() != "delivered");
    }
}
