//! Nothing vanishes silently: what was there and is not in a request is named where the delivery is shown.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use postbridge::domain::click::{Click, CustomerTrait};
use postbridge::domain::code::CodedReason;
use postbridge::domain::customer::CustomerFormat;
use postbridge::domain::remark::Remark;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::Rendered;
use serde_json::{Value, json};

use crate::support::payload_fixture::{built_in, click, conversion, ready, render_as};
use crate::support::platform::Platform;
use crate::support::relay::{KEY, Setup, wait_until};
use crate::support::signed_in::SignedIn;

fn meta() -> ReadyDestination {
    ready(
        built_in("meta"),
        &[("pixel_id", "12"), ("access_token", "token"), ("event_source_url", "https://shop.example/")],
    )
}

/// What a click's cookies and parameter become, and the fields that remarks name.
fn stamps(click: &Click) -> (Value, Value, Vec<String>) {
    let rendering = render_as(&meta(), &conversion(), Some(click), CustomerFormat::default());
    let Rendered::Request(request, _) = rendering.rendered else { panic!("skipped") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let user = &body["data"][0]["user_data"];
    let fields = rendering.remarks.iter().map(|remark| remark.field().unwrap().to_owned()).collect();
    (user["fbc"].clone(), user["fbp"].clone(), fields)
}

fn with_cookie(name: &str, cookie: &str) -> Click {
    Click { cookies: vec![(name.to_owned(), cookie.to_owned())], ..click() }
}

const REBUILT: &str = "fb.1.1789999200123.IwAR0AbC";

#[test]
fn a_malformed_click_cookie_is_not_sent_and_a_new_one_is_made_from_the_click() {
    for cookie in [
        "fb.1.1789990000.IwAR0AbC",
        "fb.1.1789990000000000.IwAR0AbC",
        "fb.1.1790999999999.IwAR0AbC",
        "fb.1.1104537599999.IwAR0AbC",
        "fb.1.-1789990000000.IwAR0AbC",
        "fb.1.1789990000000.",
        "fb.1.1789990000000.IwAR0+AbC",
        "fb.1.1789990000000.IwAR0%2FAbC",
        "fb.1.1789990000000.undefined",
        "fb.1.1789990000000.{fbclid}",
        "fb.1.1789990000000.IwAR0AbC.AQ.AQ",
        "fb.1.1789990000000.IwAR0AbC.",
        "fb.1.1789990000000.IwAR0AbC.not-a-short-appendix",
        "fb.x.1789990000000.IwAR0AbC",
        "gb.1.1789990000000.IwAR0AbC",
        "IwAR0AbC",
    ] {
        let expected = (Value::from(REBUILT), Value::Null, vec!["click.cookies._fbc".to_owned()]);
        assert_eq!(stamps(&with_cookie("_fbc", cookie)), expected, "{cookie}");
        let without = Click { params: Vec::new(), ..with_cookie("_fbc", cookie) };
        assert_eq!(stamps(&without).0, Value::Null, "{cookie}: made up without a click parameter");
    }
}

#[test]
fn a_sound_click_cookie_is_sent_as_it_is() {
    for cookie in [
        "fb.1.1789990000000.IwAR0AbC",
        "fb.2.1104537600000.IwAR0AbC",
        "fb.1.1789990000000.IwAR0AbC.AQ",
        "fb.1.1789990000000.IwAR0AbC.AQYBAQMA",
    ] {
        assert_eq!(
            stamps(&with_cookie("_fbc", cookie)),
            (Value::from(cookie), Value::Null, vec![]),
            "{cookie}"
        );
    }
    // One of an earlier click is in order; it only is not of this one.
    let older = with_cookie("_fbc", "fb.1.1700000000000.IwAR-_older");
    assert_eq!(stamps(&older), (Value::from(REBUILT), Value::Null, vec![]));
}

#[test]
fn a_malformed_browser_cookie_is_not_sent() {
    for cookie in [
        "fb.1.1789980000.1234567890",
        "fb.1.1990000000000.1234567890",
        "fb.1.1000000000000.1234567890",
        "fb.1.1789980000000.",
        "fb.1.1789980000000.abc",
        "fb.1.1789980000000.null",
        "fb.1.1789980000000",
        "GA1.2.1789980000000.1234567890",
    ] {
        let (_, fbp, fields) = stamps(&with_cookie("_fbp", cookie));
        assert_eq!((fbp, fields), (Value::Null, vec!["click.cookies._fbp".to_owned()]), "{cookie}");
    }
    for cookie in ["fb.1.1789980000000.1234567890", "fb.0.1789980000000.1.AQYBAQMA"] {
        let (_, fbp, fields) = stamps(&with_cookie("_fbp", cookie));
        assert_eq!((fbp, fields), (Value::from(cookie), vec![]), "{cookie}");
    }
}

#[test]
fn a_click_parameter_that_is_none_makes_no_cookie() {
    for text in ["{fbclid}", "null", "IwAR0 AbC", "IwAR0.AbC", "IwÄR"] {
        let click = Click { params: vec![("fbclid".to_owned(), text.to_owned())], ..click() };
        assert_eq!(
            stamps(&click),
            (Value::Null, Value::Null, vec!["click.params.fbclid".to_owned()]),
            "{text}"
        );
    }
}

/// A destination with this payload.
fn destination(body: &str) -> ReadyDestination {
    let toml = "label = \"N\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://n.example/\"\n";
    let files: BTreeMap<String, String> = [("destination.toml", toml), ("event.json.hbs", body)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    ready(Arc::new(DestinationTemplate::parse("own", "own", &files).unwrap()), &[])
}

fn left_out(body: &str, traits: &[(CustomerTrait, &str)]) -> Vec<Remark> {
    let mut conversion = conversion();
    conversion.params.push(("amount".to_owned(), "7,00".to_owned()));
    conversion.traits.0.extend(traits.iter().map(|(name, text)| (*name, (*text).to_owned())));
    let mut click = click();
    click.sub_ids.push(("s1".to_owned(), "{s1}".to_owned()));
    render_as(&destination(body), &conversion, Some(&click), CustomerFormat::default()).remarks
}

#[test]
fn every_helper_names_the_value_that_it_cannot_use() {
    let named = |field: &str| vec![Remark::ValueLeftOut { field: field.to_owned() }];
    let always = "\"event\": {{json event}}, ";
    for (helper, field) in [
        ("number (param \"amount\")", "params.amount"),
        ("sha256 (sub_id \"s1\")", "click.sub_ids.s1"),
        ("email (param \"amount\")", "params.amount"),
        ("json (default (ip traits.city) click.ip)", "traits.city"),
        ("json (default (param \"none\") (gender traits.city))", "traits.city"),
        ("sha256 (email (default traits.email traits.city))", "traits.city"),
        ("json (join traits.city traits.phone separator=\"-\")", "traits.city"),
        ("web_url traits.city", "traits.city"),
        ("json (when traits.email traits.city)", "traits.city"),
    ] {
        let body = format!("{{{always}\"x\": {{{{{helper}}}}}}}");
        assert_eq!(left_out(&body, &[(CustomerTrait::City, "not one")]), named(field), "{helper}");
    }
}

#[test]
fn what_is_absent_or_blank_or_the_templates_own_leaves_no_remark() {
    for (body, city) in [
        (r#"{"e": {{json event}}, "x": {{email traits.email}}}"#, ""),
        (r#"{"e": {{json event}}, "x": {{email traits.city}}}"#, "  "),
        (r#"{"e": {{json event}}, "x": {{email traits.city}}}"#, "\u{200b} \u{feff}"),
        (r#"{"e": {{json event}}, "x": {{email "no address"}}}"#, "x"),
        (r#"{"e": {{json event}}, "x": {{json (when traits.email "product")}}}"#, "x"),
        (r#"{"e": {{json event}}, "x": {{json (in_test traits.city)}}}"#, "x"),
    ] {
        assert_eq!(left_out(body, &[(CustomerTrait::City, city)]), [], "{body} {city:?}");
    }
}

#[test]
fn an_address_that_no_visitor_can_have_is_named_anyone_who_reported_it() {
    let body = r#"{"e": {{json event}}, "x": {{json (default (ip traits.ip) click.ip)}}}"#;
    let sent = |of_postback: &str, of_customer: &str, of_click: &str| {
        let mut conversion = conversion();
        conversion.traits.0.insert(CustomerTrait::Ip, of_postback.to_owned());
        let mut click = Click { ip: of_click.parse().ok(), ..click() };
        click.customer.0.insert(CustomerTrait::Ip, of_customer.to_owned());
        let rendering = render_as(&destination(body), &conversion, Some(&click), CustomerFormat::default());
        let Rendered::Request(request, _) = rendering.rendered else { panic!("skipped") };
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let fields: Vec<String> =
            rendering.remarks.iter().map(|remark| remark.field().unwrap().to_owned()).collect();
        (body["x"].clone(), fields)
    };
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (postback, customer, click, address, named) in [
        ("10.0.0.3", "", "203.0.113.7", json!("203.0.113.7"), fields(&["traits.ip"])),
        ("::1", "198.51.100.4", "203.0.113.7", json!("198.51.100.4"), fields(&["traits.ip"])),
        ("not one", "192.168.1.1", "fd00::1", Value::Null, fields(&["traits.ip", "click.ip"])),
        (" ", "\u{feff}", "127.0.0.1", Value::Null, fields(&["click.ip"])),
        ("203.0.113.9", "10.0.0.3", "10.0.0.4", json!("203.0.113.9"), vec![]),
    ] {
        assert_eq!(sent(postback, customer, click), (address, named), "{postback} {customer} {click}");
    }
}

#[test]
fn one_value_that_is_asked_for_twice_is_named_once() {
    let body = r#"{"e": {{json event}}, "x": {{email traits.city}}, "y": {{sha256 (email traits.city)}}}"#;
    assert_eq!(
        left_out(body, &[(CustomerTrait::City, "x")]),
        [Remark::ValueLeftOut { field: "traits.city".to_owned() }]
    );
}

#[test]
fn a_delivery_names_what_was_left_out_in_the_api_on_the_page_and_in_preview() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let click = json!({
        "click_id": "c1", "landing_url": "https://shop.example/lp", "ip": "203.0.113.77", "user_agent": "Mozilla/5.0 X",
        "cookies": {"_fbp": "fb.1.1789980000.42"},
        "customer": {"email": "!@#$%^&*()", "phone": "4155550100", "birthdate": "02/03/1984"},
    });
    assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    let answer = relay.postback("cake-test", b"s2=c1&tid=T1&price=7.00").json();
    let path = format!("/conversions/{}", answer["conversion_id"].as_str().unwrap());
    let attempt = || relay.api(&format!("/api/v1{path}"))["deliveries"][0]["attempt_log"][0].clone();
    assert!(wait_until(Duration::from_secs(10), || attempt()["outcome"] == "delivered"));
    let remarks = attempt()["remarks"].clone();
    let expected = [
        ("value_left_out", "traits.email"),
        ("calling_code_missing", "traits.phone"),
        ("birthdate_ambiguous", "traits.birthdate"),
        ("value_left_out", "click.cookies._fbp"),
    ];
    let found: Vec<_> =
        remarks.as_array().unwrap().iter().map(|one| (&one["reason_code"], &one["field"])).collect();
    assert_eq!(
        found,
        expected
            .map(|(code, field)| (Value::from(code), Value::from(field)))
            .iter()
            .map(|(c, f)| (c, f))
            .collect::<Vec<_>>()
    );
    let all = remarks.to_string();
    for value in ["!@#", "4155550100", "02/03/1984", "1789980000"] {
        assert!(!all.contains(value), "a value is copied: {all}");
    }
    let user = platform.received().remove(0).json()["data"][0]["user_data"].clone();
    assert!(["em", "ph", "db", "fbp"].iter().all(|member| user[member].is_null()), "{user}");

    let texts: Vec<String> =
        remarks.as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap().to_owned()).collect();
    std::fs::write(folder.path().join("click.json"), click.to_string()).unwrap();
    let preview = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_postbridge"))
            .args(["preview", "--source", "cake-test", "--click", "click.json"])
            .args(more)
            .arg("s2=c1&tid=T1&price=7.00")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: Value = serde_json::from_str(&preview(&["--json"])).unwrap();
    assert_eq!(shown["requests"][0]["remarks"], remarks);
    let words = preview(&[]);
    assert!(texts.iter().all(|text| words.contains(text)), "{words}");

    let page = SignedIn::of(relay).get(&path);
    for field in ["traits.email", "traits.phone", "traits.birthdate", "click.cookies._fbp"] {
        assert!(page.contains(&format!("<code>{field}</code>")), "{field}: {page}");
    }
    assert!(!page.contains(KEY));
}

#[test]
fn what_the_source_says_of_its_customer_data_is_used_when_the_event_is_sent() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra = setup
        .extra
        .replace("currency = \"USD\"\n", "currency = \"USD\"\nphone_region = \"us\"\nbirthdate = \"mdy\"\n");
    let relay = setup.start();
    let click = json!({
        "click_id": "c1", "landing_url": "https://shop.example/lp", "user_agent": "Mozilla/5.0 X",
        "customer": {"phone": "(415) 555-0100", "birthdate": "02/03/1984"},
    });
    assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    relay.postback("cake-test", b"s2=c1&tid=T1&price=7.00");
    assert!(wait_until(Duration::from_secs(10), || platform.count() == 1));
    let user = platform.received().remove(0).json()["data"][0]["user_data"].clone();
    assert_eq!(user["ph"], crate::support::payload_fixture::hashed("14155550100"));
    assert_eq!(user["db"], crate::support::payload_fixture::hashed("19840203"));
}
