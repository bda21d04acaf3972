//! What `POST /api/v1/clicks` keeps of a click whose members are odd, and what it says of the rest.

use postbridge::domain::click::{Click, CustomerTrait, find};
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::ids::ClickId;
use postbridge::domain::omission::{Omission, OmissionReason};
use postbridge::domain::rejection::RejectionCause;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::{NoteCode, ReportNote, omission_notes};
use postbridge::domain::time::Time;
use postbridge::ingest::landing::Landing;
use postbridge::web::click_body::{ReadClick, read as read_bytes};
use serde_json::{Value, json};

fn now() -> Time {
    Time::parse("2026-11-27T12:00:00Z").unwrap()
}

fn read_text(body: &[u8]) -> Result<ReadClick, RejectionCause> {
    read_bytes(body, &Landing::built_in(), now())
}

fn read(body: &Value) -> ReadClick {
    read_text(body.to_string().as_bytes()).unwrap()
}

/// The one note: which member it is about, and the code that says why.
fn noted(click: &ReadClick, member: &str, code: &str) {
    assert_eq!(click.notes.len(), 1, "{:?}", click.notes);
    let note = &click.notes[0];
    assert_eq!((note.field(), note.why().unwrap_or(note.code().as_str())), (Some(member), code));
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_member_of_another_type_is_left_out_and_named_and_the_click_is_kept() {
    for odd in [json!(["a", "b"]), json!({"a": 1}), json!([]), json!([["a"]])] {
        let click = read(
            &json!({"click_id": "c1", "params": {"utm_source": odd, "fbclid": "F1"}, "ip": "198.51.100.7"}),
        );
        noted(&click, "params.utm_source", "invalid_value");
        assert_eq!(click.draft.params, pairs(&[("fbclid", "F1")]));
        for member in [
            "landing_url",
            "referrer",
            "user_agent",
            "time",
            "params",
            "cookies",
            "sub_ids",
            "customer",
            "consent",
            "ip",
        ] {
            let odd = if odd.is_object() { json!(true) } else { odd.clone() };
            if matches!(member, "params" | "cookies" | "sub_ids" | "customer" | "consent") && odd == json!([])
            {
                continue;
            }
            let click = read(&json!({"click_id": "c1", member: odd}));
            let is_text = matches!(member, "landing_url" | "referrer" | "user_agent") && odd == json!(true);
            assert_eq!(click.notes.len(), usize::from(!is_text), "{member} {odd}: {:?}", click.notes);
            assert_eq!(click.draft.id.unwrap().as_str(), "c1");
        }
    }
    let click = read(&json!({"params": {"utm_id": 7, "x": true, "y": null, "z": ["one"], "w": ["s", "s"]}}));
    assert_eq!(click.draft.params, pairs(&[("utm_id", "7"), ("x", "true"), ("z", "one"), ("w", "s")]));
    noted(&read(&json!({"session": {"deep": [1]}, "params": {"fbclid": "F1"}})), "session", "unknown_member");
    noted(&read(&json!({"customer": {"nick": "jo"}})), "customer.nick", "unknown_member");
    noted(&read(&json!({"params": {"": "x"}})), "params.", "invalid_name");
}

#[test]
fn an_id_keeps_all_its_digits_and_is_kept_whole_or_left_out() {
    let click = read_text(br#"{"params":{"gclid":12345678901234567890123}}"#).unwrap();
    assert_eq!(click.draft.params, pairs(&[("gclid", "12345678901234567890123")]));
    let click = read_text(br#"{"click_id":1e+300}"#).unwrap();
    assert_eq!(click.draft.id.unwrap().as_str(), "1e300", "a number of any size can be an id");
    let long = "x".repeat(5000);
    for member in ["params", "cookies", "sub_ids"] {
        let click = read(&json!({member: {"fbclid": long, "s1": "ok"}}));
        noted(&click, &format!("{member}.fbclid"), "click_value_too_long");
    }
    noted(&read(&json!({"customer": {"email": long}})), "customer.email", "click_value_too_long");
}

/// The click as it is recorded, with the notes that the API answers of what is missing.
fn recorded(body: &Value) -> (Click, Vec<ReportNote>) {
    let click = read(body).draft.into_click(ClickId::parse("c1").unwrap(), now());
    let omitted = omission_notes(&click.context.omitted).collect();
    (click, omitted)
}

/// The note's code, what it is about, and why it is missing.
fn parts(note: &ReportNote) -> (NoteCode, Option<&str>, Option<&str>) {
    (note.code(), note.field(), note.why())
}

#[test]
fn a_long_referrer_is_cut_and_so_is_a_landing_url_whose_click_id_is_kept() {
    let long = format!("https://news.example/{}", "é".repeat(4000));
    let (click, omitted) = recorded(&json!({"referrer": long, "params": {"fbclid": "F1"}}));
    assert_eq!(omitted.len(), 1, "{omitted:?}");
    assert_eq!(parts(&omitted[0]), (NoteCode::Cut, Some("referrer"), Some("click_too_large")));
    assert!(matches!(&omitted[0], ReportNote::Omitted(cut) if cut.sent == 8021), "{omitted:?}");
    let referrer = click.referrer.unwrap();
    assert!(long.starts_with(&referrer) && referrer.len() > 5000 && referrer.len() < 6144);
    let url =
        format!("https://shop.example/?{}x=1?fbclid=F1", "q=1&".repeat(100) + &"p".repeat(7000) + "=1&");
    let (click, omitted) = recorded(&json!({"landing_url": url}));
    assert_eq!(omitted.len(), 1, "{omitted:?}");
    assert_eq!(parts(&omitted[0]), (NoteCode::Cut, Some("landing_url"), Some("click_too_large")));
    assert_eq!(click.params, pairs(&[("fbclid", "F1")]));
    let kept = click.landing_url.unwrap();
    assert!(
        url.starts_with(&format!("{kept}&")) && kept.ends_with("q=1"),
        "no half parameter remains: {kept}"
    );
}

#[test]
fn what_the_landing_url_holds_too_long_or_too_much_is_named_unless_a_member_says_it() {
    let long = "x".repeat(2049);
    let url = format!("https://shop.example/lp?fbclid={long}&gclid={long}");
    let (click, omitted) = recorded(&json!({"landing_url": url, "params": {"fbclid": "F1"}}));
    assert_eq!(click.params, pairs(&[("fbclid", "F1")]));
    let long = Omission::new("params.gclid", OmissionReason::ClickValueTooLong, (2049, 0));
    assert_eq!(omitted, [ReportNote::Omitted(long)]);
    let own: serde_json::Map<_, _> = (0..64).map(|n| (format!("own_{n}"), json!("x"))).collect();
    let (click, omitted) =
        recorded(&json!({"landing_url": "https://shop.example/lp?gclid=G1&utm_source=x", "params": own}));
    assert_eq!(click.params.len(), 64);
    assert_eq!(omitted.len(), 2, "{omitted:?}");
}

#[test]
fn a_click_that_is_too_large_loses_its_longest_identifiers_and_names_them() {
    let text = |length: usize| "x".repeat(length);
    let (click, _) = recorded(&json!({
        "landing_url": format!("https://shop.example/lp?{}", "a=1&".repeat(1000)),
        "cookies": {"_fbp": "fb.1.1700000000000.1", "_ga": text(3000)},
        "params": {"fbclid": text(200), "utm_term": text(2900)},
        "customer": {"email": "jo@example.com"},
    }));
    assert_eq!(find(&click.cookies, "_fbp"), Some("fb.1.1700000000000.1"));
    assert_eq!(find(&click.params, "fbclid").map(str::len), Some(200));
    assert_eq!(click.customer.get(CustomerTrait::Email), Some("jo@example.com"));
    let omitted: Vec<(&str, u64, u64)> =
        click.context.omitted.named().iter().map(|one| (one.field.as_str(), one.sent, one.kept)).collect();
    assert_eq!(omitted[1..], [("cookies._ga", 3000, 0)]);
    assert_eq!(omitted[0].0, "landing_url");
    assert!(click.text_bytes() <= 6144);
}

#[test]
fn of_too_many_names_those_that_platforms_need_are_kept() {
    let mut cookies = serde_json::Map::new();
    for number in 0..80 {
        cookies.insert(format!("a{number:02}"), json!("x"));
    }
    cookies.insert("_fbp".to_owned(), json!("fb.1.2.3"));
    cookies.insert("z_fbc".to_owned(), json!("x"));
    cookies.insert("_fbc".to_owned(), json!("fb.1.2.4"));
    let click = read(&json!({"cookies": cookies}));
    noted(&click, "cookies", "names_left_out");
    assert_eq!(click.draft.cookies.len(), 64);
    assert_eq!(find(&click.draft.cookies, "_fbp"), Some("fb.1.2.3"));
    assert_eq!(find(&click.draft.cookies, "_fbc"), Some("fb.1.2.4"));
    let mut params: serde_json::Map<_, _> = (0..200).map(|n| (format!("utm_{n:03}"), json!("x"))).collect();
    params.insert("wbraid".to_owned(), json!("W1"));
    let click = read(&json!({"params": params}));
    assert_eq!(find(&click.draft.params, "wbraid"), Some("W1"));
}

#[test]
fn names_are_kept_in_their_usual_spelling_whatever_their_case() {
    let click = read(&json!({"params": {"FBCLID": "F1", "Gclid": "G1", "Own": "x"}, "sub_ids": {"S1": "a"}}));
    assert_eq!(click.notes, []);
    assert_eq!(find(&click.draft.params, "fbclid"), Some("F1"));
    assert_eq!(find(&click.draft.params, "gclid"), Some("G1"));
    assert_eq!(find(&click.draft.params, "Own"), Some("x"));
    assert_eq!(click.draft.sub_ids, pairs(&[("s1", "a")]));
    let twice = read_text(br#"{"params":{"fbclid":"F1","FBCLID":"F2","fbclid":"F1"}}"#).unwrap();
    noted(&twice, "params.FBCLID", "different_values");
    assert_eq!(twice.draft.params, pairs(&[("fbclid", "F1")]));
}

#[test]
fn the_landing_url_gives_what_the_members_do_not() {
    let click = read(
        &json!({"params": {"gclid": "mine"}, "landing_url": "https://shop.example/lp?x=1?FBCLID=F1&gclid=other&s2=b#fbclid=no"}),
    );
    assert_eq!(click.draft.params, pairs(&[("gclid", "mine"), ("fbclid", "F1")]));
    assert_eq!(click.draft.sub_ids, pairs(&[("s2", "b")]));
}

#[test]
fn of_a_list_of_addresses_the_first_that_a_visitor_can_have_is_kept() {
    let ip = |value: Value| read(&json!({"ip": value}));
    for list in [
        json!("10.0.0.3, 198.51.100.7, 203.0.113.9"),
        json!(["unknown", "198.51.100.7"]),
        json!("[::ffff:198.51.100.7]:80,"),
    ] {
        let click = ip(list.clone());
        noted(&click, "ip", "first_address_taken");
        assert_eq!(click.draft.ip, "198.51.100.7".parse().ok(), "{list}");
    }
    for (not, code) in [
        (json!("10.0.0.3"), "not_visitors_address"),
        (json!("::1"), "not_visitors_address"),
        (json!("somewhere"), "not_visitors_address"),
        (json!(["0.0.0.0"]), "not_visitors_address"),
        (json!(7), "not_visitors_address"),
        (json!({"v4": "198.51.100.7"}), "invalid_value"),
    ] {
        let click = ip(not.clone());
        noted(&click, "ip", code);
        assert_eq!(click.draft.ip, None, "{not}");
    }
    let click = read(&json!({"customer": {"ip": "10.0.0.3", "email": "ann tag@shop.example"}}));
    assert_eq!(
        (click.draft.customer.get(CustomerTrait::Ip), click.draft.customer.get(CustomerTrait::Email)),
        (None, Some("ann+tag@shop.example"))
    );
    assert_eq!(click.notes.len(), 2);
}

#[test]
fn a_time_that_is_none_is_left_out_and_the_click_counts_from_now() {
    for (time, expected) in [
        (json!("2026-11-27T10:15:00Z"), "2026-11-27T10:15:00.000Z"),
        (json!("2026-11-27T10:15:00 02:00"), "2026-11-27T08:15:00.000Z"),
        (json!(1_795_774_500), "2026-11-27T10:15:00.000Z"),
        (json!("1795774500123"), "2026-11-27T10:15:00.123Z"),
        (json!("20261127101500"), "2026-11-27T10:15:00.000Z"),
    ] {
        let click = read(&json!({"time": time}));
        assert_eq!(click.draft.at.map(|at| at.to_string()).as_deref(), Some(expected), "{time}");
        assert!(click.notes.is_empty());
    }
    for (not, code) in [
        (json!("yesterday"), "invalid_value"),
        (json!("1970-01-01T00:00:00Z"), "time_too_old"),
        (json!("2099-01-01T00:00:00Z"), "time_ahead"),
        (json!(0), "invalid_value"),
        (json!(["x", 1]), "invalid_value"),
    ] {
        let click = read(&json!({"time": not}));
        noted(&click, "time", code);
        assert_eq!(click.draft.at, None, "{not}");
    }
}

#[test]
fn a_consent_is_a_member_and_an_answer_that_is_none_is_named() {
    let consent = |value: Value| read(&json!({"consent": value}));
    let said = |click: &ReadClick| {
        let said = click.draft.context.consent.answers();
        (said.ad_user_data, said.ad_personalization)
    };
    let denied = consent(json!({"ad_user_data": false, "ad_personalization": true}));
    assert_eq!(said(&denied), (Some(false), Some(true)));
    assert_eq!(said(&consent(json!({"ad_user_data": "denied"}))), (Some(false), None));
    assert_eq!(
        said(&consent(json!({"ad_user_data": "GRANTED", "ad_personalization": 0}))),
        (Some(true), Some(false))
    );
    assert_eq!(said(&consent(json!(null))), (None, None));
    let odd = consent(json!({"ad_user_data": "perhaps", "ad_personalization": false}));
    noted(&odd, "consent.ad_user_data", "not_yes_or_no");
    assert_eq!(said(&odd), (None, Some(false)));
    noted(&consent(json!({"analytics": true})), "consent.analytics", "unknown_member");
    noted(&consent(json!("yes")), "consent", "invalid_value");
}

#[test]
fn a_member_that_is_sent_twice_is_kept_as_it_received_first_and_named() {
    let body = br#"{"params":{"fbclid":"A"},"ip":"81.2.69.142","params":{"gclid":"B"},"ip":"81.2.69.142"}"#;
    let click = read_text(body).unwrap();
    assert_eq!(click.draft.params, pairs(&[("fbclid", "A")]));
    // An address that is sent twice is one, and needs no note.
    noted(&click, "params", "different_values");
}

#[test]
fn a_name_that_is_cut_within_a_character_loses_that_member_alone() {
    let body = br#"{"\ud83d":1,"params":{"\ud83d":"x","fbclid":"A"}}"#;
    let click = read_text(body).unwrap();
    assert_eq!(find(&click.draft.params, "fbclid"), Some("A"));
}

#[test]
fn only_a_body_that_is_no_object_and_a_click_id_that_can_be_none_are_refused() {
    for body in ["", "[]", "null", "7", "\"x\"", "{", "{\"a\":}", "{} {}", "{\"a\":1"] {
        assert_eq!(read_text(body.as_bytes()).unwrap_err().code(), RejectionCode::NoClickObject, "{body}");
    }
    for id in [
        json!("has space"),
        json!("<x>"),
        json!("a".repeat(101)),
        json!(["c1"]),
        json!({}),
        json!("{click_id}"),
    ] {
        let refused = read_text(json!({"click_id": id}).to_string().as_bytes()).unwrap_err();
        assert_eq!(
            (refused.code(), refused.field()),
            (RejectionCode::InvalidValue, Some("click_id")),
            "{id}"
        );
    }
    assert_eq!(read(&json!({"click_id": "\u{feff} c1\u{200b}"})).draft.id.unwrap().as_str(), "c1");
    assert_eq!(read(&json!({"click_id": 4711})).draft.id.unwrap().as_str(), "4711");
    assert_eq!(read(&json!({"click_id": ""})).draft.id, None);
    assert!(read(&json!({})).notes.is_empty());
    assert!(read_text(b"\xef\xbb\xbf {\"click_id\":\"c1\"}").is_ok());
}

#[test]
fn no_body_makes_the_reader_stumble() {
    let deep = format!(
        "{{\"click_id\":\"c1\",\"x\":{}1{},\"params\":{}1{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000),
        "{\"a\":".repeat(500),
        "}".repeat(500)
    );
    assert_eq!(read_text(deep.as_bytes()).unwrap().notes.len(), 2);
    let damaged =
        read_text(b"{\"referrer\":\"caf\xe9\",\"params\":{\"fbclid\":\"F\xff\",\"gclid\":\"G1\"}}").unwrap();
    assert_eq!(damaged.draft.params, pairs(&[("gclid", "G1")]));
    assert_eq!((damaged.draft.referrer, damaged.notes.len()), (None, 3));
    let surrogate = read_text(br#"{"referrer":"\ud800","params":{"fbclid":"F1"}}"#).unwrap();
    noted(&surrogate, "referrer", "invalid_value");
    let many: String = (0..50_000).map(|n| format!("\"n{n}\":[],")).collect();
    let click = read_text(
        format!("{{\"params\":{{{many}\"fbclid\":\"F1\"}},\"sub_ids\":{{{many}\"s1\":\"a\"}}}}").as_bytes(),
    )
    .unwrap();
    assert_eq!(
        (click.draft.params, click.draft.sub_ids),
        (pairs(&[("fbclid", "F1")]), pairs(&[("s1", "a")]))
    );
    assert!(click.notes.len() <= 100);
}
