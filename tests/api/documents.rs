//! The documents of `/api/v1`, whole: which members each has, always, and of which type.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::support::link_fixture::{BROWSER, header, location, parameter, visit};
use crate::support::platform::Platform;
use crate::support::relay::{Answer, Relay, Setup, wait_until};

/// A value with its texts, numbers and flags replaced by the name of their type; of a list its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("flag"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect::<Map<_, _>>().into()
        }
    }
}

/// An offer with a campaign, and a destination that takes all of its conversions.
fn relay(folder: &Path, platform: &Platform) -> Relay {
    let mut setup = Setup::cake_to_meta(folder, platform.address);
    setup.extra.push_str(
        r#"
[destination.only]
source = ["cake-test", "pixel"]

[filters]
duplicate = { mode = "observe", window_seconds = 3600, by = "cookie" }

[[affiliate]]
id = "200"

[[offer]]
id = "565"
url = "https://advertiser.example/lp?cid={click_id}"
currency = "USD"
payout = "7.00"
report_by = ["pixel"]

[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = "761"
"#,
    );
    setup.start()
}

fn browse(relay: &Relay, target: &str, cookie: &str) -> Answer {
    let headers = format!(
        "User-Agent: {BROWSER}\r\nReferer: https://blog.example/\r\nCookie: {cookie}\r\nX-Forwarded-For: 203.0.113.7\r\n"
    );
    visit(relay, "GET", target.as_bytes(), &headers)
}

/// The id of a click on the campaign's link, and the visitor's cookie.
fn click(relay: &Relay, cookie: &str) -> (String, String) {
    let answer = browse(relay, "/c/8599?s1=a&fbclid=IwAR2xyz", cookie);
    let set = header(&answer, "set-cookie").unwrap_or_else(|| cookie.to_owned());
    let pair = set.split(';').next().unwrap().to_owned();
    (parameter(&location(&answer), "cid").unwrap(), pair)
}

fn sale(relay: &Relay, query: &str) -> String {
    let receipt = relay.postback("cake-test", query.as_bytes()).json();
    receipt["conversion_id"].as_str().unwrap_or_else(|| panic!("{receipt}")).to_owned()
}

fn delivered(relay: &Relay, conversion: &str) -> Value {
    let trace = || relay.api(&format!("/api/v1/conversions/{conversion}"));
    assert!(wait_until(Duration::from_secs(10), || trace()["deliveries"][0]["state"] == "delivered"));
    trace()
}

fn campaign_ref() -> Value {
    json!({"offer": "text", "campaign": "text", "affiliate": "text", "creative": "text"})
}

fn money() -> Value {
    json!({"amount": "text", "currency": "text"})
}

fn click_document() -> Value {
    json!({
        "click_id": "text",
        "time": "text",
        "recorded_at": "text",
        "landing_url": "text",
        "referrer": "text",
        "ip": "text",
        "user_agent": "text",
        "params": {"fbclid": "text"},
        "cookies": {},
        "sub_ids": {"s1": "text"},
        "customer": {},
        "origin": "text",
        "kind": "text",
        "campaign_ref": campaign_ref(),
        "visitor": "text",
        "agent": {"device": "text", "system": "text", "browser": "text", "bot": null},
        "country": null,
        "billable": "flag",
        "verdicts": [{
            "filter": "text",
            "mode": "text",
            "hit": "flag",
            "reason_code": null,
            "field": null,
            "value": null,
            "reason": null,
            "hint": null,
        }],
        "consent": null,
        "omitted": [],
    })
}

fn postback_document() -> Value {
    json!({
        "id": "text",
        "received_at": "text",
        "source": "text",
        "status": "text",
        "conversion_id": "text",
        "reason_code": null,
        "field": null,
        "value": null,
        "reason": null,
        "hint": null,
        "notes": [],
        "mapping": "text",
        "reprocesses": null,
        "raw": {
            "line": "text",
            "line_base64": "text",
            "headers": [["text"]], "headers_base64": "text", "headers_left_out": "number",
            "content_type": null,
            "body": "text",
            "body_base64": "text",
            "peer": "text",
            "forwarded_for": null,
            "received_body": null,
        },
    })
}

fn attempt_document() -> Value {
    json!({
        "at": "text",
        "took_ms": "number",
        "outcome": "text",
        "late": "flag", "purpose": "text",
        "reason_code": null,
        "field": null,
        "value": null,
        "reason": null,
        "hint": null,
        "warnings": [],
        "remarks": [{"reason_code": "text", "field": "text", "value": null, "reason": "text", "hint": "text"}],
        "sent": {"kind": "text", "event": "text", "value": money(), "event_time": "text", "event_id": "text",
            "transaction_id": "text", "ids": {"fbclid": "text"}, "reply": {}},
        "request": {"method": "text", "url": "text", "headers": [["text"]], "body": "text"},
        "batch": null, "response": {"status": "number", "headers": [["text"]], "body": "text", "truncated": "flag"}, "earlier_requests": [],
    })
}

fn delivery_document() -> Value {
    json!({
        "id": "text",
        "destination": "text",
        "occasion": "text",
        "kind": "text",
        "state": "text", "attempts": "number",
        "possible_repeat": "flag",
        "reason_code": null,
        "field": null,
        "value": null,
        "reason": null,
        "hint": null,
        "at": "text",
        "confirmation": "text", "later_verdict": null,
    })
}

fn attribution_document() -> Value {
    json!({
        "state": "text",
        "raw_click_id": "text",
        "click_id": "text",
        "match_method": "text",
        "visitor": null,
        "model": null,
    })
}

/// A conversion of the source, as lists show it; its delivery went out.
fn conversion_document() -> Value {
    json!({
        "id": "text",
        "event_id": "text",
        "sequence": "number",
        "source": "text",
        "event": "text",
        "status": "text",
        "reason_code": null,
        "reason": null,
        "hint": null,
        "disposition": null,
        "campaign_ref": campaign_ref(),
        "transaction_id": "text",
        "attribution": attribution_document(),
        "remarks": [],
        "candidates": [],
        "item_id": null, "items": [], "adjustments": [],
        "value": money(),
        "payout": money(),
        "payout_source": "text",
        "revenue": null,
        "sale_amount": null,
        "event_time": "text",
        "received_at": "text",
        "traits": {},
        "params": {},
        "consent": null,
        "not_routed": [],
        "unsent": null, "irreversible": [],
        "deliveries": [delivery_document()],
    })
}

fn with(document: Value, members: Value) -> Value {
    let mut document = document;
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    document
}

#[test]
fn a_conversion_is_listed_and_traced_with_all_its_members() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let (clicked, _) = click(&relay, "");
    let id = sale(&relay, &format!("s2={clicked}&tid=A-1&price=7.50"));
    let trace = delivered(&relay, &id);
    assert_eq!(trace["payout_source"], "offer_fixed");
    assert_eq!(trace["attribution"]["match_method"], "exact");
    let listed = relay.api("/api/v1/conversions");
    assert_eq!(shape(&listed), json!({"items": [conversion_document()], "next_cursor": null}));
    let same = "/api/v1/conversions?offer=565&campaign=8599&affiliate=200&creative=761&s1=a&status=approved";
    assert_eq!(relay.api(same), listed);
    for other in ["offer=9", "campaign=9", "affiliate=9", "creative=9", "s1=b", "s2=a"] {
        assert_eq!(relay.api(&format!("/api/v1/conversions?{other}"))["items"], json!([]), "{other}");
    }
    // The postback's own `s2` carried the click id.
    assert_eq!(relay.api(&format!("/api/v1/conversions?s2={clicked}&s1=a")), listed);
    let wanted = with(
        conversion_document(),
        json!({
            "deliveries": [with(delivery_document(), json!({"attempt_log": [attempt_document()]}))],
            "advertiser_number": null,
            "history": [],
            "click": click_document(),
            "postbacks": [postback_document()],
        }),
    );
    assert_eq!(shape(&trace), wanted, "{trace:#}");

    assert_eq!(sale(&relay, &format!("s2={clicked}&tid=A-1&price=9.00")), id);
    let changed = relay.api(&format!("/api/v1/conversions/{id}"));
    let field = json!({"field": "text", "from": "text", "to": "text", "text": "text"});
    let change = json!({"number": "number", "at": "text", "cause": {"postback": "text"}, "changes": [field]});
    assert_eq!(shape(&changed["history"]), json!([change]), "{changed:#}");
}

#[test]
fn a_delivery_and_a_click_are_listed_with_all_their_members() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let (clicked, _) = click(&relay, "");
    let id = sale(&relay, &format!("s2={clicked}&tid=A-1&price=7.50"));
    delivered(&relay, &id);
    let listed = with(
        delivery_document(),
        json!({
            "conversion_id": "text",
            "event_id": "text",
            "source": "text",
            "event": "text",
            "transaction_id": "text",
            "conversion_value": money(),
            "last_attempt": attempt_document(),
        }),
    );
    assert_eq!(shape(&relay.api("/api/v1/deliveries")), json!({"items": [listed], "next_cursor": null}));
    let clicks = relay.api("/api/v1/clicks");
    assert_eq!(shape(&clicks), json!({"items": [click_document()], "next_cursor": null}), "{clicks:#}");
    assert_eq!(
        shape(&relay.api(&format!("/api/v1/clicks/{clicked}"))),
        with(click_document(), json!({"conversions": [conversion_document()]}))
    );
}

#[test]
fn what_is_not_kept_of_a_click_is_noted_by_code_and_listed_with_its_bytes() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let url = format!("https://shop.example/lp?{}", "a=1&".repeat(3000));
    let sent = json!({"click_id": "c1", "landing_url": url, "session": "s", "time": "soon"});
    let answer = relay.post("/api/v1/clicks", &sent.to_string()).json();
    let of_field = |field: &str| {
        let notes = answer["notes"].as_array().unwrap();
        let note = notes.iter().find(|note| note["field"] == field).unwrap();
        json!([note["code"], note["reason_code"]])
    };
    assert_eq!(of_field("session"), json!(["left_out", "unknown_member"]));
    assert_eq!(of_field("time"), json!(["left_out", "invalid_value"]));
    assert_eq!(of_field("landing_url"), json!(["cut", "click_too_large"]));
    let note = json!({
        "code": "text", "reason_code": "text", "field": "text", "value": null, "reason": "text", "hint": "text",
    });
    assert_eq!(shape(&answer), json!({"click_id": "text", "notes": [note]}));
    let click = relay.api("/api/v1/clicks/c1");
    let omitted = with(note, json!({"sent_bytes": "number", "kept_bytes": "number"}));
    assert_eq!(shape(&click["omitted"]), json!([omitted]));
}

#[test]
fn the_clicks_of_a_visitor_that_earned_nothing_are_named_with_the_reason() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let (_, cookie) = click(&relay, "");
    let (clicked, _) = click(&relay, &cookie);
    browse(&relay, "/pixel.gif?offer=565&event=Lead&transaction_id=T1", &cookie);
    let list = relay.api("/api/v1/conversions?source=pixel");
    let conversion = &list["items"][0];
    assert_eq!(conversion["attribution"]["click_id"], clicked, "{list:#}");
    assert_eq!(
        shape(&conversion["attribution"]),
        json!({
            "state": "text", "raw_click_id": null, "click_id": "text", "match_method": null, "visitor": "text", "model": "text",
        })
    );
    assert_eq!(
        shape(&conversion["candidates"]),
        json!([{
            "click_id": "text", "time": "text", "reason_code": "text", "field": null, "value": null, "reason": "text",
            "hint": "text",
        }])
    );
    assert_eq!(
        shape(&relay.api(&format!("/api/v1/clicks/{clicked}"))["verdicts"]),
        json!([{
            "filter": "text", "mode": "text", "hit": "flag", "reason_code": "text", "field": "text", "value": "text",
            "reason": "text", "hint": "text",
        }])
    );
}

#[test]
fn a_quarantined_postback_has_its_reason_and_names_the_one_that_it_reprocesses() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    assert_eq!(relay.postback("cake-test", b"s2=x&tid=A-1&price=-5.00").status, 200);
    let first = relay.api("/api/v1/postbacks")["items"][0].clone();
    let quarantined = |reprocesses: Value| {
        with(
            postback_document(),
            json!({
                "conversion_id": null, "reason_code": "text", "field": "text", "value": "text", "reason": "text",
                "hint": "text",
                "reprocesses": reprocesses,
            }),
        )
    };
    assert_eq!(shape(&first), quarantined(Value::Null), "{first:#}");
    let found = |filter: &str| relay.api(&format!("/api/v1/postbacks?{filter}"))["items"].clone();
    assert_eq!(found("reason_code=unknown_transaction&field=transaction_id"), json!([first]));
    assert_eq!(found("reason_code=ambiguous_transaction"), json!([]));
    assert_eq!(found("field=price"), json!([]));
    for (list, typed, nearest) in [
        ("postbacks", "unknown_transactions", "unknown_transaction"),
        ("deliveries", "await_click", "awaits_click"),
    ] {
        let refused = relay.get(&format!("/api/v1/{list}?reason_code={typed}"));
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, &error["code"]), (400, &json!("bad_parameter")), "{error}");
        let expected = format!("did you mean `{nearest}`?");
        assert!(error["message"].as_str().unwrap().ends_with(&expected), "{error}");
    }
    relay.postback("cake-test", b"s2=x&tid=%23tid%23&price=much");
    let two = relay.api("/api/v1/postbacks")["items"][0].clone();
    for reason in [
        "field=price",
        "field=tid",
        "reason_code=not_a_number&field=price",
        "reason_code=unexpanded_macro&field=tid",
        "reason_code=unexpanded_macro",
    ] {
        assert_eq!(found(reason), json!([two]), "{reason}");
    }
    assert_eq!(found("reason_code=unexpanded_macro&field=price"), json!([]), "one cause has both");
    let id = first["id"].as_str().unwrap();
    let receipt = relay.post(&format!("/api/v1/postbacks/{id}/retry"), "").json();
    assert_eq!(
        shape(&receipt),
        json!({
            "status": "text", "conversion_id": null, "event_id": null, "attribution": null, "reason_code": "text",
            "field": "text", "value": "text", "reason": "text", "hint": "text", "postback_id": "text",
        })
    );
    let second = relay.api("/api/v1/postbacks")["items"][0].clone();
    assert_eq!(second["reprocesses"], id);
    assert_eq!(shape(&second), quarantined(json!("text")), "{second:#}");
}

#[test]
fn a_line_that_a_suppression_list_does_not_take_says_why_by_code() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let answer = relay.post("/api/v1/suppression/fraud?kind=ip", "203.0.113.7\nnowhere\n").json();
    let none = json!({"reason_code": null, "field": null, "value": null, "reason": null, "hint": null});
    let one = |members: Value| with(none.clone(), members);
    let added = one(json!({"line": "number", "received": "text", "kind": "text", "outcome": "text"}));
    assert_eq!(shape(&answer["lines"]), json!([added]));
    let refused = one(json!({
        "line": "number", "received": "text", "kind": null, "outcome": "text", "reason_code": "text", "reason": "text",
        "hint": "text",
    }));
    assert_eq!(shape(&answer["lines"][1]), refused);
    assert_eq!(answer["lines"][1]["reason_code"], "not_an_ip");
    let whole = relay.post("/api/v1/suppression/fraud?kind=ip", "a\0b");
    assert_eq!((whole.status, &whole.json()["error"]["code"]), (400, &json!("not_text")));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_500_that_says_so_and_never_an_empty_200() {
    let unwritable = BTreeMap::from([((1, 2), "a key that is no text")]);
    let answer = postbridge::web::answer::json(StatusCode::OK, &unwritable);
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(hyper::body::Body::size_hint(answer.body()).lower() > 0);
}
