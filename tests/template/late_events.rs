//! `[late]` of a destination template: what is wrong with it, which events it is of, and what is asked of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::money::Currency;
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::time::Time;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered};
use postbridge::template::destination::spec::DestinationSpec;
use serde_json::json;

use crate::support::payload_fixture::{click, conversion, delivery};

const LATE: &str = "[late]\nafter_hours = 2\nneeds = [\"account\"]\n[late.request]\nmethod = \"POST\"\n\
                    url = \"https://b.example/{{settings.account}}/late\"\nquery = { v = \"2\" }\n";
const REQUIRED: &str = "[[require]]\nall = [\"?tid\", \"?value\"]\nwhy = \"it is needed\"\n";
const PAYLOAD: (&str, &str) = (
    "late.json.hbs",
    r#"{"id": {{json transaction_id}}, "at": {{unix_ms event_time}}, "value": {{number (when (one_of currency "USD") value)}}}"#,
);
const ENVELOPE: (&str, &str) =
    ("late.envelope.json.hbs", r#"{"a": {{json settings.account}}, "all": {{events}}}"#);

fn parse(request: &str, parts: &str, files: &[(&str, &str)]) -> Result<DestinationTemplate, Vec<String>> {
    let toml = format!(
        "label = \"X\"\n[[setting]]\nname = \"account\"\nlabel = \"Account\"\n[events]\nPurchase = \"buy\"\n\
         [request]\nurl = \"https://a.example/events\"\n{request}\n{parts}"
    );
    let own = [("destination.toml", toml.as_str())];
    let files: BTreeMap<String, String> =
        own.iter().chain(files).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    let problems = DestinationTemplate::parse("x", "x", &files);
    problems.map_err(|problems| problems.iter().map(shown).collect())
}

const GET: &str = "method = \"GET\"\n[request.query]\ntid = \"{{transaction_id}}\"\n\
                   value = '{{number (when (one_of currency \"USD\") value)}}'";

fn account(template: DestinationTemplate, account: Option<&str>) -> ReadyDestination {
    let spec = DestinationSpec {
        id: DestinationId::parse("x").unwrap(),
        template: Arc::new(template),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        settings: account.map(|account| ("account".to_owned(), account.to_owned())).into_iter().collect(),
        on_rejected: None,
        events: BTreeMap::new(),
    };
    ReadyDestination::build(spec).unwrap_or_else(|_| panic!("an account"))
}

#[test]
fn what_is_wrong_with_it_is_named() {
    let files = [PAYLOAD, ENVELOPE];
    for (request, parts, files, part) in [
        (GET, LATE.replace("after_hours = 2\n", ""), &files[..], "does not say when an event is late"),
        (GET, LATE.replace("after_hours = 2", "after_hours = 0"), &files, "`after_hours`"),
        (GET, LATE.replace("\"account\"]", "\"acount\"]"), &files, "`acount`"),
        (GET, LATE.replace("method = \"POST\"\n", ""), &files, "late.json.hbs is a body, and a GET"),
        (GET, LATE.replace("\"POST\"", "\"PATCH\""), &files, "`method`"),
        (GET, LATE.replace("url = ", "# "), &files, "`url`"),
        (GET, LATE.replace("query = {", "headers = {"), &files, "`headers`"),
        (GET, LATE.replace("settings.account", "settings.acount"), &files, "no setting `acount`"),
        (GET, LATE.to_owned(), &files[1..], "there is no late.json.hbs"),
        (GET, "[late]\nafter_hours = 2\n".to_owned(), &[], "nothing that a late event is sent by"),
        (GET, String::new(), &files[..1], "late.json.hbs is there, and destination.toml has no [late]"),
        (
            "[request.form]\ntid = \"{{transaction_id}}\"",
            LATE.to_owned(),
            &files[..1],
            "a request has one body: late.json.hbs, or [request.form]",
        ),
        (
            "[request.form]\ntid = \"{{transaction_id}}\"",
            LATE.replace("\"POST\"", "\"GET\""),
            &[],
            "[request.form] is a body, and a GET request has none",
        ),
        (
            "",
            LATE.replace("\"POST\"", "\"GET\""),
            &[("event.json.hbs", "{\"id\": {{json event_id}}}")],
            "event.json.hbs is a body, and a GET request has none",
        ),
        (
            GET,
            LATE.replace("needs = [\"account\"]\n", ""),
            &files,
            "names `account`, which an account may lack",
        ),
        (GET, LATE.to_owned(), &[("late.json.hbs", "{\"id\": {{json tid}}}")], "`tid`"),
        (GET, LATE.to_owned(), &[PAYLOAD, ("late.envelope.json.hbs", "{}")], "no `{{events}}`"),
    ] {
        let problems = parse(request, &parts, files).err().unwrap_or_default();
        assert!(problems.len() == 1 && problems[0].contains(part), "{part} in {problems:?}");
    }
}

struct Sent {
    method: String,
    url: String,
    body: serde_json::Value,
    remarks: usize,
}

/// What leaves of a sale that is so old, in milliseconds; why nothing does.
fn sent(ready: &ReadyDestination, sold: &Conversion, age: i64) -> Result<Sent, &'static str> {
    let (id, clicked, now) = (delivery(sold), click(), sold.event_time.plus_millis(age));
    let input = input(sold, &id, (Some(&clicked), now));
    let rendering = ready.render(&input).unwrap();
    match rendering.rendered {
        Rendered::Request(request, said) => {
            assert_eq!(said.event_time, sold.event_time.min(now));
            Ok(Sent {
                method: request.method,
                url: request.url,
                body: serde_json::from_slice(&request.body).unwrap_or_default(),
                remarks: rendering.remarks.len(),
            })
        }
        Rendered::Skip { reason } => Err(reason.code().as_str()),
    }
}

fn input<'a>(
    conversion: &'a Conversion,
    delivery: &'a postbridge::domain::ids::DeliveryId,
    (click, now): (Option<&'a postbridge::domain::click::Click>, Time),
) -> RenderInput<'a> {
    let (kind, sent, customer) = (DeliveryKind::Event, None, Default::default());
    RenderInput { conversion, click, delivery, kind, sent, now, customer }
}

const HOUR: i64 = 3_600_000;

#[test]
fn an_event_is_late_from_its_hours_on_where_the_account_has_what_that_needs() {
    let template = || parse(GET, &format!("{REQUIRED}{LATE}"), &[PAYLOAD, ENVELOPE]).unwrap();
    let (has, lacks) = (account(template(), Some("A7")), account(template(), None));
    let sold = conversion();
    for (ready, age) in
        [(&has, 2 * HOUR - 1), (&has, 0), (&has, -HOUR), (&lacks, 2 * HOUR), (&lacks, 99 * HOUR)]
    {
        let sent = sent(ready, &sold, age).unwrap();
        assert_eq!(
            (sent.method.as_str(), sent.url.starts_with("https://a.example/events?tid=")),
            ("GET", true)
        );
        assert!(sent.body.is_null());
    }
    for age in [2 * HOUR, 99 * HOUR] {
        let sent = sent(&has, &sold, age).unwrap();
        assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://b.example/A7/late?v=2"));
        let event = json!({
            "id": sold.transaction_id,
            "at": sold.event_time.as_millis(),
            "value": serde_json::from_str::<serde_json::Value>(&sold.value.unwrap().amount.to_string()).unwrap(),
        });
        assert_eq!(sent.body, json!({ "a": "A7", "all": [event] }));
    }
}

#[test]
fn what_an_event_must_have_is_asked_of_it_however_late_it_is() {
    let template = parse(GET, &format!("{REQUIRED}{LATE}"), &[PAYLOAD, ENVELOPE]).unwrap();
    let ready = account(template, Some("A7"));
    let nameless = Conversion { transaction_id: None, ..conversion() };
    assert_eq!(sent(&ready, &nameless, 0).err(), Some("payload_incomplete"));
    assert_eq!(sent(&ready, &nameless, 9 * HOUR).err(), Some("payload_incomplete"));
}

#[test]
fn what_is_left_out_is_remarked_on_once() {
    let ready = account(parse(GET, LATE, &[PAYLOAD]).unwrap(), Some("A7"));
    let mut sold = conversion();
    sold.value = sold.value.map(|mut value| {
        value.currency = Currency::parse("SEK").unwrap();
        value
    });
    let (early, late) = (sent(&ready, &sold, 0).unwrap(), sent(&ready, &sold, 9 * HOUR).unwrap());
    assert!(early.remarks > 0 && late.remarks == early.remarks, "{} and {}", early.remarks, late.remarks);
    assert!(late.body.get("value").is_none(), "{}", late.body);
}

#[test]
fn what_a_form_leaves_out_is_remarked_on_in_a_late_event_too() {
    let form = "[request.form]\ntid = \"{{transaction_id}}\"\nvalue = '{{number (when (one_of currency \"EUR\") value)}}'";
    let template = parse(form, LATE, &[]).unwrap();
    let (ready, sold) = (account(template, Some("A7")), conversion());
    let (early, late) = (sent(&ready, &sold, 0).unwrap(), sent(&ready, &sold, 9 * HOUR).unwrap());
    assert_eq!(late.url, "https://b.example/A7/late?v=2");
    assert!(early.remarks > 0 && late.remarks == early.remarks, "{} and {}", early.remarks, late.remarks);
}

#[test]
fn none_is_late_that_is_not_sent_any_more() {
    let files = [
        (
            "destination.toml",
            format!(
                "label = \"X\"\nmax_age_hours = 2\n[[setting]]\nname = \"account\"\nlabel = \"A\"\n[request]\nurl = \"https://a.example\"\n{GET}\n{LATE}"
            ),
        ),
        (PAYLOAD.0, PAYLOAD.1.to_owned()),
    ];
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    let problems = DestinationTemplate::parse("x", "x", &files).err().unwrap();
    assert!(problems.len() == 1 && problems[0].what.contains("no event is late"), "{problems:?}");
}

#[test]
fn what_it_says_of_the_value_is_what_its_own_request_says() {
    let worthless = GET.split("value").next().unwrap();
    let ready = account(parse(worthless, LATE, &[PAYLOAD]).unwrap(), Some("A7"));
    let sold = conversion();
    let id = delivery(&sold);
    let said = |age| {
        let input = input(&sold, &id, (None, sold.event_time.plus_millis(age)));
        match ready.render_event(&input).unwrap().rendered {
            Rendered::Request(_, said) => said.value,
            Rendered::Skip { reason } => panic!("{reason:?}"),
        }
    };
    assert_eq!((said(0), said(9 * HOUR)), (None, sold.value));
}

#[test]
fn its_values_say_what_they_are_made_of() {
    let ready = account(parse(GET, LATE, &[PAYLOAD, ENVELOPE]).unwrap(), Some("A7"));
    let sold = conversion();
    let id = delivery(&sold);
    let origins = |age| ready.origins(&input(&sold, &id, (None, sold.event_time.plus_millis(age))));
    assert!(origins(0).contains_key("?tid") && !origins(0).contains_key("/all/0/id"));
    let late = origins(2 * HOUR);
    assert_eq!(late["/all/0/id"], ["transaction_id"]);
    assert_eq!(late["/a"], ["settings.account"]);
    assert!(!late.contains_key("?tid"));
}

#[test]
fn late_and_other_events_share_a_request_to_the_same_address_alone() {
    let batched = format!("{LATE}[batch]\nmax = 9\n");
    let event = ("event.json.hbs", PAYLOAD.1);
    let files = [event, ("envelope.json.hbs", r#"{"all": {{events}}}"#), PAYLOAD];
    let ready = account(parse("", &batched, &files).unwrap(), Some("A7"));
    let sold = conversion();
    let id = delivery(&sold);
    let of = |ready: &ReadyDestination, age| {
        let input = input(&sold, &id, (None, sold.event_time.plus_millis(age)));
        match ready.render_event(&input).unwrap().rendered {
            Rendered::Request(part, _) => part,
            Rendered::Skip { reason } => panic!("{reason:?}"),
        }
    };
    let part = |age| of(&ready, age);
    let (early, late) = (part(0), part(2 * HOUR));
    assert!(late.joins(&part(3 * HOUR)) && early.joins(&part(HOUR)));
    assert!(!early.joins(&late) && !late.joins(&early));
    // To the same address they go together, each by its own payload.
    let batched = "[late]\nafter_hours = 2\n[batch]\nmax = 9\n";
    let ready = account(parse("", batched, &files).unwrap(), None);
    let (early, late) = (of(&ready, 0), of(&ready, 2 * HOUR));
    assert!(early.joins(&late) && late.joins(&early));
}
