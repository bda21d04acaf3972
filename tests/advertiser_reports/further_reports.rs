//! Further reports of one click, offer and event without a key, and reports without a click: what counts, what
//! waits for a person, and what pays no one.

use serde_json::{Value, json};

use crate::support::link_fixture::{browse, relay_with, visit};
use crate::support::report_fixture::{ReportFixture, result, word};

#[test]
fn of_one_click_and_event_the_first_report_counts_and_the_others_wait_for_a_person() {
    let fixture = ReportFixture::new("report_by = [\"pixel\", \"server\"]");
    let (click, cookie) = fixture.visitor();
    assert_eq!(fixture.server(&format!("r={click}&t=T0")), "SUCCESS\n");
    for n in 1..20 {
        let said = fixture.server(&format!("r={click}&t=T{n}"));
        assert!(said.starts_with("SUCCESS: second_sale_of_click: "), "{said}");
    }
    // By another route, another spelling of the click, the event's name, the cookie.
    for path in [
        format!("/pixel.gif?offer=565&click_id={click}&transaction_id=P1"),
        format!("/pixel.gif?offer=565&click_id=%20{click}%20&transaction_id=P2&event=Purchase"),
        "/pixel.gif?offer=565&transaction_id=P3&event=PURCHASE".to_owned(),
        format!("/p.ashx?o=565&r={click}&t=P4&e=Purchase&f=img"),
    ] {
        let headers = format!("Cookie: {cookie}\r\n");
        let said = result(&visit(&fixture.relay, "GET", path.as_bytes(), &headers));
        assert!(said.starts_with("SUCCESS: second_sale_of_click: "), "{path}: {said}");
    }
    let all = fixture.conversions();
    let approved: Vec<&Value> = all.iter().filter(|one| one["status"] == "approved").collect();
    assert_eq!((all.len(), approved.len()), (24, 1));
    assert_eq!(word(approved[0], "transaction_id"), "T0");
    for waits in all.iter().filter(|one| one["status"] == "pending") {
        assert_eq!(waits["reason_code"], "second_sale_of_click", "{waits}");
        assert_eq!(waits["remarks"][0]["reason_code"], "second_sale_of_click", "{waits}");
        assert!(waits["remarks"][0]["reason"].as_str().unwrap().contains(word(approved[0], "id")), "{waits}");
    }
    // A report without a transaction id is the first sale once more.
    let again = fixture.server(&format!("r={click}"));
    assert!(again.starts_with("SUCCESS: reported before"), "{again}");
    let newest = fixture.relay.api("/api/v1/postbacks?source=pixel&limit=1")["items"][0].clone();
    assert_eq!((&newest["status"], &newest["conversion_id"]), (&json!("duplicate"), &approved[0]["id"]));
    // Another event of the click, and another click, are others.
    assert_eq!(fixture.server(&format!("r={click}&t=T0&e=Lead")), "SUCCESS\n");
    let (other, _) = fixture.visitor();
    assert_eq!(fixture.server(&format!("r={other}&t=T90")), "SUCCESS\n");
}

#[test]
fn a_further_sale_is_approved_by_the_status_call_and_says_then_no_more_that_it_waits() {
    let fixture = ReportFixture::new(
        "report_by = [\"server\"]\ndisposition = { status = \"approved\", after_hours = 1 }",
    );
    let (click, _) = fixture.visitor();
    fixture.server(&format!("r={click}&t=T1"));
    fixture.server(&format!("r={click}&t=T2"));
    let second = fixture.conversions().remove(0);
    assert_eq!(second["disposition"], Value::Null, "it does not approve itself: {second}");
    let path = format!("/api/v1/conversions/{}/status", word(&second, "id"));
    let moved = fixture.relay.post(&path, r#"{"status":"approved"}"#).json();
    assert_eq!((&moved["status"], &moved["reason_code"]), (&json!("approved"), &Value::Null), "{moved}");
    assert_eq!(moved["remarks"], json!([]), "{moved}");
    assert!(fixture.server(&format!("r={click}&t=T3")).starts_with("SUCCESS: second_sale_of_click"));
    assert_eq!(fixture.server(&format!("r={click}&t=T2")), "SUCCESS: reported before, counted once\n");
}

#[test]
fn an_offer_with_repeat_counts_every_transaction_of_a_click_at_once() {
    let fixture = ReportFixture::new("report_by = [\"server\", \"pixel\"]\nrepeat = true");
    let (click, _) = fixture.visitor();
    for query in ["t=T1", "t=T2", "t=T3&e=Purchase"] {
        assert_eq!(fixture.server(&format!("r={click}&{query}")), "SUCCESS\n");
    }
    assert!(
        fixture.server(&format!("r={click}")).starts_with("SUCCESS: reported before"),
        "no id, no other sale"
    );
    assert!(fixture.conversions().iter().all(|one| one["status"] == "approved"));
    assert_eq!(fixture.conversions().len(), 3);
}

#[test]
fn sales_reported_without_a_click_are_not_paid_by_naming_one_click_for_all_of_them() {
    let fixture = ReportFixture::new("report_by = [\"server\", \"pixel\"]");
    for n in 0..5 {
        browse(&fixture.relay, &format!("/pixel.gif?offer=565&transaction_id=T{n}"));
    }
    let (click, _) = fixture.visitor();
    for n in 0..5 {
        fixture.server(&format!("r={click}&t=T{n}"));
    }
    let all = fixture.conversions();
    // A stranger who names a click that has had its sale takes no sale back, either.
    assert!(all.iter().all(|one| one["status"] == "approved"), "{all:?}");
    let joined = |one: &&Value| one["attribution"]["click_id"] == click;
    assert_eq!(all.iter().filter(joined).count(), 1, "{all:?}");
    for one in all.iter().filter(|one| !joined(one)) {
        assert_eq!(
            (&one["payout"], word(&one["attribution"], "state")),
            (&Value::Null, "unmatched"),
            "{one}"
        );
    }
    let newest = fixture.relay.api("/api/v1/postbacks?source=pixel&limit=1")["items"][0].clone();
    assert_eq!(newest["status"], "duplicate");
    assert!(newest.to_string().contains("the click has had its sale"), "{newest}");
    // So of a click that is recorded after its sales.
    for n in 0..5 {
        fixture.server(&format!("r=later-click&t=L{n}"));
    }
    fixture.relay.post("/api/v1/clicks", r#"{"click_id":"later-click"}"#);
    let later = fixture.relay.api("/api/v1/conversions?click_id=later-click");
    let later = later["items"].as_array().unwrap();
    assert_eq!(later.iter().filter(|one| one["status"] == "approved").count(), 1, "{later:?}");
}

#[test]
fn a_report_whose_click_is_not_known_is_held_and_pays_no_one() {
    let folder = tempfile::tempdir().unwrap();
    let hook = "[[destination]]\nid = \"hook\"\ntemplate = \"webhook\"\nonly.source = [\"pixel\"]\n\
                settings.url = \"https://hook.example.com/in\"\n\
                settings.secret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n";
    let relay = relay_with(folder.path(), "", "report_by = [\"pixel\", \"server\"]", hook);
    browse(&relay, "/pixel.gif?offer=565&transaction_id=T1");
    browse(&relay, "/pixel.gif?offer=565&transaction_id=T2&click_id=made-up");
    browse(&relay, "/p.ashx?o=565&f=pb&t=T3&r=made-up-too");
    let all = relay.api("/api/v1/conversions")["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), 3);
    for one in all {
        let deliveries = one["deliveries"].as_array().unwrap();
        let states: Vec<&str> = deliveries.iter().map(|delivery| word(delivery, "state")).collect();
        assert_eq!((&one["payout"], states.as_slice()), (&Value::Null, ["held"].as_slice()), "{one}");
    }
}

#[test]
fn further_sales_beyond_those_that_may_wait_share_the_strangers_budget() {
    let fixture = ReportFixture::new("report_by = [\"server\"]");
    let (click, _) = fixture.visitor();
    assert_eq!(fixture.server(&format!("r={click}&t=T0")), "SUCCESS\n");
    let started = std::time::Instant::now();
    let mut connection = crate::support::relay::Connection::open(fixture.relay.address).unwrap();
    let said: Vec<String> = (1..=300)
        .map(|n| connection.get(&format!("/p.ashx?o=565&f=pb&r={click}&t=T{n}")).unwrap().text())
        .collect();
    assert_eq!(said.iter().filter(|said| said.starts_with("SUCCESS: second_sale_of_click: ")).count(), 100);
    let full = said.iter().filter(|said| said.starts_with("too_many_further_sales: 100 "));
    assert_eq!(full.count(), 200, "{:?}", said.last());
    assert_eq!(fixture.conversions().len(), 101);
    let most = 10 * (usize::try_from(started.elapsed().as_secs()).unwrap() + 2);
    let kept = fixture.quarantined();
    assert!((1..=most).contains(&kept.len()), "{} of 200, at most {most}", kept.len());
    let code = |record: &Value| record["reason_code"] == "too_many_further_sales";
    assert!(kept.iter().all(code), "{kept:?}");
    assert!(fixture.server(&format!("r={click}&t=T0")).starts_with("SUCCESS: reported before"));
    let (other, _) = fixture.visitor();
    assert_eq!(fixture.server(&format!("r={other}&t=T300")), "SUCCESS\n", "another click has room");
}

#[test]
fn a_further_sale_that_found_no_room_is_taken_by_a_person_who_has_made_some() {
    let fixture = ReportFixture::new("report_by = [\"server\"]");
    let (click, _) = fixture.visitor();
    for n in 0..=101 {
        fixture.server(&format!("r={click}&t=T{n}"));
    }
    let without_room = || {
        let mut kept = fixture.quarantined();
        kept.retain(|one| one["reason_code"] == "too_many_further_sales");
        kept
    };
    let retried = || {
        let kept = without_room();
        assert_eq!(kept.len(), 1, "{kept:?}");
        let answer = fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(&kept[0], "id")), "");
        (word(&answer.json(), "status").to_owned(), word(&answer.json(), "reason_code").to_owned())
    };
    let full = ("quarantined".to_owned(), "too_many_further_sales".to_owned());
    assert_eq!(retried(), full, "no one has made room");
    let all = fixture.conversions();
    let waiting = all.iter().find(|one| one["reason_code"] == "second_sale_of_click").unwrap();
    let body = r#"{"status":"rejected"}"#;
    let path = format!("/api/v1/conversions/{}/status", word(waiting, "id"));
    assert_eq!(fixture.relay.post(&path, body).status, 200);
    // A reload reads none of them again.
    fixture.reload("report_by = [\"server\"]", "report_by = [\"server\", \"pixel\"]");
    let probe = format!("/pixel.gif?offer=565&click_id={click}&transaction_id=T0");
    let is_open = || result(&browse(&fixture.relay, &probe)).starts_with("SUCCESS");
    assert!(crate::support::relay::wait_until(std::time::Duration::from_secs(10), is_open));
    assert_eq!(retried().0, "accepted");
    assert_eq!(without_room(), [] as [Value; 0]);
    let taken = fixture.conversions();
    let taken = taken.iter().find(|one| one["transaction_id"] == "T101").unwrap();
    assert_eq!(word(taken, "reason_code"), "second_sale_of_click");
}

#[test]
fn reports_kept_at_a_closed_endpoint_are_opened_past_those_that_find_no_room() {
    let fixture = ReportFixture::new("report_by = [\"pixel\"]");
    let (click, _) = fixture.visitor();
    let (other, _) = fixture.visitor();
    fixture.server(&format!("r={click}&t=LATE"));
    fixture.server(&format!("r={other}&t=OTHER"));
    for n in 0..=100 {
        browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&transaction_id=C{n}"));
    }
    let before = fixture.conversions().len();
    fixture.reload("report_by = [\"pixel\"]", "report_by = [\"pixel\", \"server\"]");
    let all = fixture.waits_for(before + 1);
    assert_eq!((word(&all[0], "transaction_id"), word(&all[0], "status")), ("OTHER", "approved"));
    let full = |record: &Value| record["reason_code"] == "too_many_further_sales";
    assert!(fixture.quarantined().iter().all(full), "{:?}", fixture.quarantined());
}
