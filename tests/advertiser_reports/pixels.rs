//! Conversion pixels through a built `serve`: whose click, counted once, and what the caller hears.

use serde_json::{Value, json};

use crate::support::link_fixture::{browse, header, location, parameter, relay_with, visit};
use crate::support::relay::{Answer, Relay};

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// The offer takes reports by every route, of the events that the tests name.
const OPEN: &str = "report_by = [\"api\", \"pixel\", \"server\"]\n";

/// A relay with an offer, and the folder it lives in.
fn relay(offer: &str) -> (Relay, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // A limit that no test but the one of the limit reaches.
    let extra = "[pixel]\nmax_per_second_per_ip = 1000\n";
    (relay_with(folder.path(), "", &format!("{OPEN}{offer}"), extra), folder)
}

/// A visitor who followed the link: the click's id and the cookie.
fn visitor(relay: &Relay) -> (String, String) {
    let answer = browse(relay, "/c/8599");
    let cookie = header(&answer, "set-cookie").unwrap();
    let pair = cookie.split(';').next().unwrap().to_owned();
    (parameter(&location(&answer), "cid").unwrap(), pair)
}

/// A browser with this cookie shows a pixel.
fn show(relay: &Relay, target: &str, cookie: &str) -> Answer {
    let headers = format!("User-Agent: {BROWSER}\r\nCookie: {cookie}\r\n");
    visit(relay, "GET", target.as_bytes(), &headers)
}

fn conversions(relay: &Relay) -> Vec<Value> {
    relay.api("/api/v1/conversions?source=pixel")["items"].as_array().unwrap().clone()
}

fn the_conversion(relay: &Relay) -> Value {
    let all = conversions(relay);
    assert_eq!(all.len(), 1, "{all:?}");
    relay.api(&format!("/api/v1/conversions/{}", all[0]["id"].as_str().unwrap()))
}

#[test]
fn a_pixel_converts_the_click_that_it_names() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    let answer =
        browse(&relay, &format!("/pixel.gif?offer=565&event=Purchase&click_id={click}&transaction_id=T1"));
    assert_eq!((answer.status, header(&answer, "content-type").as_deref()), (200, Some("image/gif")));
    assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(&answer, "x-pixel-result").as_deref(), Some("SUCCESS"));
    let trace = the_conversion(&relay);
    assert_eq!(trace["event"], "Purchase", "{trace}");
    assert_eq!(trace["transaction_id"], "T1");
    assert_eq!(trace["click"]["click_id"], click, "{trace}");
}

#[test]
fn without_a_click_id_the_visitors_cookie_finds_the_click() {
    let (relay, _folder) = relay("");
    let (click, cookie) = visitor(&relay);
    let answer = show(&relay, "/pixel.gif?offer=565&transaction_id=T1", &cookie);
    assert_eq!(header(&answer, "x-pixel-result").as_deref(), Some("SUCCESS"));
    assert_eq!(the_conversion(&relay)["click"]["click_id"], click);
}

#[test]
fn an_offer_may_be_called_as_a_placeholder_is() {
    let (relay, _folder) = relay(
        "\n[[offer]]\nid = \"lead\"\nreport_by = [\"pixel\"]\nurl = \"https://shop.example/?c={click_id}\"\ncurrency = \"USD\"\n",
    );
    for query in ["offer=lead&transaction_id=T1", "offer=%20lead%E2%80%8B&transaction_id=T2"] {
        let answer = browse(&relay, &format!("/pixel.gif?{query}"));
        let result = header(&answer, "x-pixel-result").unwrap();
        assert!(result.starts_with("SUCCESS"), "{query}: {result}");
    }
    assert_eq!(conversions(&relay).len(), 2);
}

#[test]
fn a_server_that_names_no_click_hears_why_it_does_not_count() {
    let (relay, _folder) = relay("");
    for (query, why) in [
        ("o=565&t=T1&f=pb", "missing_parameter: `r`"),
        ("o=565&t=T1&f=pb&r=REPLACE", "invalid_value: `r` was received as `REPLACE`"),
    ] {
        let answer = browse(&relay, &format!("/p.ashx?{query}"));
        assert!(answer.text().contains(why) && !answer.text().contains("SUCCESS"), "{}", answer.text());
    }
    assert_eq!(conversions(&relay), [] as [Value; 0]);
    assert_eq!(relay.api("/api/v1/postbacks?status=quarantined")["items"].as_array().unwrap().len(), 2);
}

#[test]
fn nothing_is_guessed_from_an_address() {
    let (relay, _folder) = relay("");
    visitor(&relay);
    browse(&relay, "/pixel.gif?offer=565&transaction_id=T1");
    assert_eq!(the_conversion(&relay)["click"], Value::Null);
}

#[test]
fn without_a_transaction_id_one_conversion_counts_for_each_click_offer_and_event() {
    let (relay, _folder) = relay("");
    let (click, cookie) = visitor(&relay);
    let first = show(&relay, "/pixel.gif?offer=565&event=Purchase", &cookie);
    assert_eq!(header(&first, "x-pixel-result").as_deref(), Some("SUCCESS"));
    // The page shown again, and its server reporting the same click.
    for again in [
        show(&relay, "/pixel.gif?offer=565&event=Purchase", &cookie),
        browse(&relay, &format!("/pixel.gif?offer=565&event=Purchase&click_id={click}")),
    ] {
        let result = header(&again, "x-pixel-result").unwrap();
        assert!(result.starts_with("SUCCESS: reported before"), "{result}");
    }
    assert_eq!(conversions(&relay).len(), 1);
    show(&relay, "/pixel.gif?offer=565&event=Lead", &cookie);
    assert_eq!(conversions(&relay).len(), 2, "another event of the same click");
    visit(&relay, "GET", b"/c/8599", &format!("User-Agent: {BROWSER}\r\nCookie: {cookie}\r\n"));
    show(&relay, "/pixel.gif?offer=565&event=Purchase", &cookie);
    assert_eq!(conversions(&relay).len(), 3, "the same event of a new click");
}

#[test]
fn a_sale_without_a_transaction_id_is_no_repeat_of_its_clicks_lead() {
    let (relay, _folder) = relay("accept_pixel_value = true");
    let again = |said: &str| said.starts_with("SUCCESS: reported before");
    for lead in ["value=0", "event=Lead"] {
        let (click, _) = visitor(&relay);
        let receive = |query: &str| {
            let target = format!("/pixel.gif?offer=565&click_id={click}&{query}");
            header(&browse(&relay, &target), "x-pixel-result").unwrap()
        };
        let before = conversions(&relay).len();
        assert_eq!(receive(lead), "SUCCESS");
        assert!(again(&receive(lead)));
        assert_eq!(receive("value=10"), "SUCCESS");
        for repeat in ["value=12", "event=Purchase", lead, "value=0"] {
            assert!(again(&receive(repeat)), "{repeat}: {}", receive(repeat));
        }
        let new: Vec<Value> = conversions(&relay).drain(..).rev().skip(before).collect();
        let events: Vec<&Value> = new.iter().map(|one| &one["event"]).collect();
        assert_eq!(events, ["Lead", "Purchase"]);
        assert!(new.iter().all(|one| one["status"] == "approved"), "{new:?}");
    }
}

#[test]
fn a_transaction_id_reports_two_sales_of_one_click_apart_and_one_reported_twice_together() {
    let (relay, _folder) = relay("");
    let (click, cookie) = visitor(&relay);
    for transaction in ["T1", "T2", "T1"] {
        show(&relay, &format!("/pixel.gif?offer=565&transaction_id={transaction}"), &cookie);
    }
    browse(&relay, &format!("/p.ashx?o=565&t=T2&r={click}&f=pb"));
    assert_eq!(conversions(&relay).len(), 2);
}

#[test]
fn a_transaction_reported_again_with_another_value_is_the_first_one() {
    let (relay, _folder) = relay("accept_pixel_value = true");
    let (click, _) = visitor(&relay);
    let receive = |query: &str| {
        let target = format!("/pixel.gif?offer=565&click_id={click}&{query}");
        header(&browse(&relay, &target), "x-pixel-result").unwrap()
    };
    assert_eq!(receive("transaction_id=T1&value=10"), "SUCCESS");
    for again in ["transaction_id=T1&value=0", "transaction_id=T1&value=99", "value=10", "value=0"] {
        assert!(receive(again).starts_with("SUCCESS: reported before"), "{again}: {}", receive(again));
    }
    assert_eq!(conversions(&relay).len(), 1);
    // A lead of the same click is another event, by whatever it is sent.
    assert_eq!(receive("transaction_id=L1&value=0"), "SUCCESS");
    assert!(receive("transaction_id=L2&event=Lead").starts_with("SUCCESS: second_sale_of_click: "));
}

#[test]
fn a_sale_reported_without_its_click_is_matched_when_a_repeat_names_the_click() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    browse(&relay, "/pixel.gif?offer=565&transaction_id=T1");
    assert_eq!(the_conversion(&relay)["click"], Value::Null);
    let receive = |click: &str| browse(&relay, &format!("/p.ashx?o=565&t=T1&r={click}&f=pb")).text();
    assert!(receive("nobodys").starts_with("SUCCESS: reported before"));
    assert_eq!(receive(&click), "SUCCESS\n");
    let (other, _) = visitor(&relay);
    assert!(receive(&other).starts_with("SUCCESS: reported before"));
    let conversion = the_conversion(&relay);
    assert_eq!(conversion["click"]["click_id"], click, "{conversion}");
    assert_eq!(conversion["campaign_ref"]["affiliate"], "200", "{conversion}");
    assert_eq!(conversion["history"].as_array().unwrap().len(), 1, "{conversion}");
}

#[test]
fn a_browsers_word_for_the_price_counts_only_where_the_offer_says_so() {
    let (closed, _folder) = relay("revenue = \"12.00\"");
    browse(&closed, "/pixel.gif?offer=565&value=999.00&currency=EUR&transaction_id=T1");
    let conversion = the_conversion(&closed);
    assert_eq!(conversion["value"]["amount"], "12.00", "{conversion}");
    assert_eq!(conversion["value"]["currency"], "USD");
    drop(closed);
    let (open, _folder) = relay("revenue = \"12.00\"\naccept_pixel_value = true");
    browse(&open, "/pixel.gif?offer=565&value=999.00&currency=EUR&transaction_id=T1");
    let conversion = the_conversion(&open);
    assert_eq!(
        (&conversion["value"]["amount"], &conversion["value"]["currency"]),
        (&"999.00".into(), &"EUR".into())
    );
    let (click, _) = visitor(&open);
    let answer = browse(&open, &format!("/p.ashx?o=565&t=T2&r={click}&p=3.50&f=pb"));
    assert_eq!(answer.text(), "SUCCESS\n");
    let newest = conversions(&open)[0].clone();
    assert_eq!(
        (&newest["revenue"]["amount"], &newest["revenue"]["currency"]),
        (&"3.50".into(), &"USD".into())
    );
}

#[test]
fn a_sale_whose_price_is_nothing_at_first_counts_also_where_another_price_follows() {
    let (relay, _folder) = relay("accept_pixel_value = true");
    // The payout is what a sale without a price is worth.
    for (values, counted) in [("value=&value=12", json!("12")), ("value=null&value=12", json!("7.00"))] {
        let (click, _) = visitor(&relay);
        let query = format!("click_id={click}&event=Purchase&{values}");
        let answer = browse(&relay, &format!("/pixel.gif?offer=565&{query}"));
        assert_eq!(header(&answer, "x-pixel-result").as_deref(), Some("SUCCESS"), "{values}");
        assert_eq!(conversions(&relay)[0]["value"]["amount"], counted, "{values}");
    }
}

#[test]
fn an_id_of_a_pixel_takes_at_most_256_bytes_however_few_its_characters_are() {
    let (relay, _folder) = relay("");
    for (character, most) in [("a", 252), ("%C3%A9", 126), ("%F0%9F%92%B0", 63)] {
        let (click, _) = visitor(&relay);
        let receive = |count: usize| {
            let id = format!("4711{}", character.repeat(count));
            let target = format!("/pixel.gif?offer=565&click_id={click}&transaction_id={id}");
            header(&browse(&relay, &target), "x-pixel-result").unwrap()
        };
        assert_eq!(receive(most), "SUCCESS", "{character}");
        let refused = receive(most + 1);
        assert!(refused.contains("longer than 256 bytes"), "{refused}");
    }
}

#[test]
fn what_is_wrong_is_kept_and_said() {
    let (relay, _folder) = relay("accept_pixel_value = true");
    let (click, _) = visitor(&relay);
    for (query, expected) in [
        ("o=565&p=7,50", "invalid_value: `p` was received as `7,50`"),
        ("o=565&p=-1", "below_zero: `p` was received as `-1`"),
        ("o=565&e=%7Bevent%7D", "unexpanded_macro: `e`"),
        ("o=999", "unknown_offer: `o` was received as `999`"),
        ("", "missing_parameter: `o`"),
        ("o=565&o=566", "different_values: `o`"),
    ] {
        let answer = browse(&relay, &format!("/p.ashx?{query}&r={click}&f=pb"));
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(expected), "{query}: {}", answer.text());
        assert!(!answer.text().contains("SUCCESS"), "{query}: {}", answer.text());
    }
    assert_eq!(conversions(&relay).len(), 0);
    let kept = relay.api("/api/v1/postbacks?source=pixel");
    let kept = kept["items"].as_array().unwrap();
    assert_eq!(kept.len(), 6, "{kept:?}");
    assert!(kept.iter().all(|record| record["status"] == "quarantined"), "{kept:?}");
}

#[test]
fn a_placeholder_is_no_id() {
    let (relay, _folder) = relay("");
    let (click, cookie) = visitor(&relay);
    for query in ["transaction_id=REPLACE", "transaction_id=%23tid%23&click_id=REPLACE", "transaction_id="] {
        show(&relay, &format!("/pixel.gif?offer=565&{query}"), &cookie);
    }
    assert_eq!(the_conversion(&relay)["click"]["click_id"], click);
}

#[test]
fn a_click_of_another_offer_converts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let other = "[[offer]]\nid = \"566\"\nreport_by = [\"server\"]\nurl = \"https://b.example/?c={click_id}\"\ncurrency = \"USD\"\n";
    let relay = relay_with(folder.path(), "", "", other);
    let (click, _) = visitor(&relay);
    let answer = browse(&relay, &format!("/p.ashx?o=566&r={click}&f=pb"));
    assert!(answer.text().contains("is of the offer 565, not of 566"), "{}", answer.text());
    assert_eq!(conversions(&relay).len(), 0);
}

#[test]
fn each_form_says_success_where_its_reader_looks() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    for (form, kind, body) in [
        ("&f=js", "text/javascript; charset=utf-8", "/* SUCCESS */"),
        ("&f=img", "image/gif", "GIF89a"),
        ("&f=pb", "text/plain; charset=utf-8", "SUCCESS"),
        ("", "text/html; charset=utf-8", "SUCCESS"),
    ] {
        let answer = browse(&relay, &format!("/p.ashx?o=565&r={click}&t=T{}{form}", kind.len()));
        assert_eq!(header(&answer, "content-type").as_deref(), Some(kind));
        assert!(answer.text().contains(body), "{form}: {}", answer.text());
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
    }
    let (click, _) = visitor(&relay);
    let script = browse(&relay, &format!("/pixel.js?offer=565&transaction_id=TJ&click_id={click}"));
    assert_eq!(script.text(), "/* SUCCESS */\n");
}

#[test]
fn a_pixel_that_finds_no_click_succeeds_and_says_no_click_and_what_to_do_in_every_form() {
    let (relay, _folder) = relay("");
    let (_, cookie) = visitor(&relay);
    let said = |text: &str| {
        for part in ["SUCCESS", "no_click", "postback URL", "click id"] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
    };
    // Neither a click id nor a cookie; a click id that is not recorded; a macro that was left.
    for (n, id) in ["", "&click_id=never-recorded", "&click_id=%7Bclick_id%7D"].into_iter().enumerate() {
        let image = browse(&relay, &format!("/pixel.gif?offer=565&transaction_id=I{n}{id}"));
        assert_eq!((image.status, header(&image, "content-type").as_deref()), (200, Some("image/gif")));
        let result = header(&image, "x-pixel-result").unwrap();
        said(&result);
        assert_eq!(result.contains("not recorded"), n == 1, "{result}");
        assert_eq!(result.contains("cookies"), n != 1, "{result}");
        let script = browse(&relay, &format!("/pixel.js?offer=565&transaction_id=S{n}{id}")).text();
        assert!(script.starts_with("/* SUCCESS: no_click: ") && script.ends_with(" */\n"), "{script}");
        said(&script);
    }
    for (n, form) in ["&f=js", "&f=pb&r=never-recorded", "&f=pb&r=another-one", ""].into_iter().enumerate() {
        said(&browse(&relay, &format!("/p.ashx?o=565&t=P{n}{form}")).text());
    }
    said(&header(&browse(&relay, "/p.ashx?o=565&t=PI&f=img"), "x-pixel-result").unwrap());
    let again = header(&browse(&relay, "/pixel.gif?offer=565&transaction_id=I0"), "x-pixel-result").unwrap();
    assert!(again.starts_with("SUCCESS: reported before, counted once; no_click: "), "{again}");
    let (other, _) = visitor(&relay);
    for target in [
        format!("/pixel.gif?offer=565&transaction_id=C1&click_id={other}"),
        "/pixel.gif?offer=565&transaction_id=C2".to_owned(),
    ] {
        let found = header(&show(&relay, &target, &cookie), "x-pixel-result");
        assert_eq!(found.as_deref(), Some("SUCCESS"), "{target}");
    }
}

#[test]
fn the_conversion_says_no_click_until_a_repeat_brings_the_click() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    browse(&relay, "/pixel.gif?offer=565&transaction_id=T1");
    let remark = the_conversion(&relay)["remarks"][0].clone();
    assert_eq!(
        (&remark["reason_code"], &remark["field"]),
        (&"no_click".into(), &"click_id".into()),
        "{remark}"
    );
    assert!(remark["hint"].as_str().unwrap().contains("postback URL"), "{remark}");
    browse(&relay, &format!("/p.ashx?o=565&t=T1&r={click}&f=pb"));
    assert_eq!(the_conversion(&relay)["remarks"], serde_json::json!([]));
}

#[test]
fn no_text_of_a_request_becomes_code_of_the_page() {
    let (relay, _folder) = relay("accept_pixel_value = true");
    let script = browse(&relay, "/pixel.js?offer=*/alert(1)/*");
    assert_eq!(script.text().matches("*/").count(), 1, "{}", script.text());
    let frame = browse(&relay, "/p.ashx?o=565&p=%3Cscript%3E");
    assert!(!frame.text().contains("<script>"), "{}", frame.text());
}

#[test]
fn a_server_that_reports_a_conversion_is_not_taken_for_the_customer() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    browse(&relay, &format!("/p.ashx?o=565&t=T1&r={click}&f=pb"));
    let conversion = the_conversion(&relay)["traits"].clone();
    assert!(!conversion.to_string().contains("Mozilla"), "{conversion}");
}

#[test]
fn one_address_reports_as_many_a_second_as_the_limit_says() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", OPEN, "[pixel]\nmax_per_second_per_ip = 2\n");
    let mut connection = crate::support::relay::Connection::open(relay.address).unwrap();
    let statuses: Vec<u16> = (0..30)
        .map(|n| connection.get(&format!("/pixel.gif?offer=565&transaction_id=T{n}")).unwrap().status)
        .collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(statuses[..2], [200, 200]);
}

#[test]
fn only_a_get_reports_a_conversion() {
    let (relay, _folder) = relay("");
    for method in ["HEAD", "POST"] {
        assert_eq!(visit(&relay, method, b"/pixel.gif?offer=565", "Content-Length: 0\r\n").status, 405);
    }
    assert_eq!(conversions(&relay).len(), 0);
}

#[test]
fn a_record_of_a_pixel_holds_its_request_and_no_cookie() {
    let (relay, _folder) = relay("");
    let (_, cookie) = visitor(&relay);
    show(&relay, "/pixel.gif?offer=565&transaction_id=T1&api_key=secret-1", &cookie);
    let postbacks = relay.api("/api/v1/postbacks?source=pixel").to_string();
    let id = relay.api("/api/v1/postbacks?source=pixel")["items"][0]["id"].clone();
    let record = relay.api(&format!("/api/v1/postbacks/{}", id.to_string().trim_matches('"'))).to_string();
    for text in [postbacks, record] {
        assert!(!text.contains("secret-1") && !text.contains(cookie.split('=').nth(1).unwrap()), "{text}");
        assert!(text.contains("/pixel.gif?offer=565&transaction_id=T1&api_key=***"), "{text}");
    }
}

#[test]
fn a_pixel_is_stopped_only_by_what_it_reads() {
    let (relay, _folder) = relay("");
    let (click, _) = visitor(&relay);
    let junk: String = (0..300).map(|n| format!("&j{n}=1")).collect();
    let taken = format!(
        "/pixel.gif?utm_source=a&utm_source=b&x=%FF{junk}&offer=565&click_id={click}&transaction_id=T1&order_id=1&order_id=2"
    );
    assert_eq!(header(&browse(&relay, &taken), "x-pixel-result").as_deref(), Some("SUCCESS"));
    let record = relay.api("/api/v1/postbacks?source=pixel")["items"][0].clone();
    let hint = record["hint"].as_str().unwrap();
    assert!(hint.contains("`utm_source`") && hint.contains("`order_id`"), "{hint}");
    for (query, code) in [
        (format!("offer=565&click_id={click}&click_id=other&transaction_id=T2"), "different_values"),
        (format!("offer=565&click_id={click}&transaction_id=%FF"), "unreadable_bytes"),
    ] {
        browse(&relay, &format!("/pixel.gif?{query}"));
        let record = relay.api("/api/v1/postbacks?source=pixel")["items"][0].clone();
        assert_eq!(
            (&record["status"], &record["reason_code"]),
            (&Value::from("quarantined"), &Value::from(code)),
            "{record}"
        );
    }
}
