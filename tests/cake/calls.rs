//! What a call of the CAKE-compatible API leaves behind, and which calls are one conversion.

use std::collections::BTreeSet;
use std::sync::Arc;

use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::history::{ActorRole, Cause};
use postbridge::domain::ids::Seq;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::status_reason::StatusReason;
use postbridge::store::contract::Store;
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::history::changed_fields;
use postbridge::store::contract::conformance::fixture::received::sale;

use crate::support::cake_fixture::{
    ADVERTISER_31, ADVERTISER_32, CakeFixture, NETWORK, READER, now, numbers,
};

const CLICK: &str = "click_id=abc123xyz789&offer_id=12345";

/// The number by which an advertiser knows a conversion.
fn theirs(number: u64) -> u64 {
    numbers().number(Seq::new(number).unwrap())
}

async fn kept(fixture: &CakeFixture, number: u64) -> Conversion {
    let which = ConversionRef::Number(Seq::new(number).unwrap());
    fixture.store.conversion_now(which).await.unwrap().expect("a conversion")
}

#[tokio::test]
async fn every_call_with_a_valid_key_leaves_one_record_that_says_what_became_of_it() {
    let fixture = CakeFixture::new().await;
    for (key, query) in [
        (NETWORK, "click_id=abc123xyz789&offer_id=12345&unique_id=A"),
        (NETWORK, "click_id=abc123xyz789&offer_id=12345&unique_id=A"),
        (NETWORK, "click_id=REPLACE&offer_id=12345"),
        (NETWORK, "click_id=unknown&offer_id=12345"),
        (NETWORK, "click_id=expired-click&offer_id=12345"),
        (ADVERTISER_32, "click_id=abc123xyz789&offer_id=12345"),
        (READER, "click_id=abc123xyz789&offer_id=12345"),
        (NETWORK, "click_id=a&click_id=b&offer_id=12345"),
    ] {
        fixture.record(key, query).await;
    }
    let words: Vec<String> = fixture.log().await.into_iter().map(|(word, _)| word).collect();
    let wanted = [
        "accepted",
        "duplicate",
        "quarantined",
        "quarantined",
        "accepted",
        "quarantined",
        "quarantined",
        "quarantined",
    ];
    assert_eq!(words, wanted);
}

#[tokio::test]
async fn the_key_is_masked_in_the_record_however_it_is_written() {
    let fixture = CakeFixture::new().await;
    for query in [
        format!("api_key={NETWORK}&{CLICK}"),
        format!("{CLICK}&api_key={NETWORK}"),
        format!("click_id=abc123xyz789&amp;api_key={NETWORK}&amp;offer_id=12345"),
        format!("%61pi%5Fkey={NETWORK}&{CLICK}"),
        format!("{CLICK}?api_key={NETWORK}"),
        format!("api_key=%4BEY-OF-THE-NETWORK-0123456789&{CLICK}"),
        // No key by these names, and so no call; what is kept of it is masked all the same.
        format!("API_KEY={NETWORK}&{CLICK}"),
        format!("api_key={NETWORK}&api_key=WRONG&{CLICK}"),
        format!("api%255Fkey={NETWORK}&{CLICK}"),
        format!("api_key%3D{NETWORK}%26{CLICK}"),
        format!("click_id%3Dx%26api%255Fkey%3D{NETWORK}"),
    ] {
        fixture.ask("GET", &format!("/api/2/conversion.json?{query}"), "").await;
    }
    let body = format!("{{\"api\\u005fkey\":\"{NETWORK}\",\"conversion_id\":1,\"API_KEY\":\"{NETWORK}\"}}");
    fixture.ask("POST", "/api/2/update_conversion.json", &body).await;
    fixture
        .ask("POST", "/api/2/update_conversion.json", &format!("api_key={NETWORK}x&conversion_id=1"))
        .await;
    let log = fixture.log().await;
    assert_eq!(log.iter().filter(|(word, _)| word == "accepted").count(), 6, "{log:#?}");
    for (_, line) in &log {
        assert!(!line.contains("OF-THE-NETWORK"), "{line}");
        assert!(line.contains("***"), "{line}");
    }
    let page = postbridge::store::contract::lookup::PageRequest { cursor: None, limit: 100 };
    let kept = fixture.store.postbacks(Default::default(), page).await.unwrap();
    assert!(kept.items.iter().all(|one| !format!("{one:?}").contains("OF-THE-NETWORK")));
    for body in kept.items.iter().map(|one| one.raw.as_ref().unwrap().body.as_slice()) {
        assert!(!String::from_utf8_lossy(body).contains("OF-THE-NETWORK"));
    }
}

#[tokio::test]
async fn many_wrong_keys_from_one_address_are_reported_to_wait_and_leave_few_records() {
    let fixture = CakeFixture::new().await;
    let mut reported = Vec::new();
    for _ in 0..40 {
        reported.push(fixture.record("WRONG", CLICK).await.status);
    }
    assert_eq!((reported[0], reported[9], reported[10], reported[39]), (401, 401, 429, 429));
    let log = fixture.log().await;
    assert!((1..=12).contains(&log.len()), "{}", log.len());
    assert!(log.iter().all(|(word, line)| word == "refused" && !line.contains("WRONG")), "{log:?}");
    assert_eq!(fixture.record(NETWORK, CLICK).await.status, 429, "no key of the address is looked at");
    fixture.clock.set(fixture.clock.now().plus_millis(60_000));
    assert_eq!(fixture.record(NETWORK, CLICK).await.status, 200);
}

#[tokio::test]
async fn right_keys_and_calls_without_a_key_do_not_count_as_wrong_ones() {
    let fixture = CakeFixture::new().await;
    for _ in 0..15 {
        assert_eq!(fixture.record(NETWORK, CLICK).await.status, 200);
        assert_eq!(fixture.ask("GET", &format!("/api/2/conversion.json?{CLICK}"), "").await.status, 401);
    }
    assert_eq!(fixture.record(NETWORK, CLICK).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_unique_ids_at_once_are_one_conversion_and_one_answer() {
    let fixture = Arc::new(CakeFixture::new().await);
    let calls = (0..24).map(|amount| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            fixture.record(NETWORK, &format!("{CLICK}&unique_id=SAME&payout={amount}")).await.text
        })
    });
    let mut answers = BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        answers.insert(call.await.unwrap());
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(fixture.history(NETWORK, "").await.json["total_rows"], 1);
}

#[tokio::test]
async fn pages_of_rows_cover_every_conversion_once_and_the_total_stays_true() {
    let fixture = CakeFixture::new().await;
    for number in 0..37 {
        let query =
            format!("{CLICK}&unique_id=U{number}&conversion_date=2024-01-01T10:{:02}:00Z", number % 5);
        assert_eq!(fixture.record(NETWORK, &query).await.json["request_status"], "Success");
    }
    let whole = fixture.history(NETWORK, "row_limit=500").await.ids();
    let mut paged = Vec::new();
    for start in (1..=37).step_by(5) {
        let page = fixture.history(NETWORK, &format!("row_limit=5&start_at_row={start}")).await;
        assert_eq!(page.json["total_rows"], 37);
        paged.extend(page.ids());
    }
    assert_eq!(paged, whole);
    assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), 37);
    assert_eq!(fixture.history(NETWORK, "").await.ids().len(), 37, "100 rows are the default");
}

#[tokio::test]
async fn what_the_caller_reports_is_kept_with_the_conversion() {
    let fixture = CakeFixture::new().await;
    let reported = "unique_id=U-1&order_id=ORD&adv1=a&adv2=b%20c&adv3=&adv4=%C3%A9&adv5=%23x%23";
    fixture.record(NETWORK, &format!("{CLICK}&{reported}")).await;
    let kept = kept(&fixture, 1).await;
    let pairs: Vec<(&str, &str)> = kept.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("order_id", "ORD"), ("adv1", "a"), ("adv2", "b c"), ("adv4", "é")]);
    assert_eq!(kept.transaction_id.as_deref(), Some("U-1"));
    assert_eq!(kept.event.as_str(), "Purchase");
    let page = postbridge::store::contract::lookup::PageRequest { cursor: None, limit: 1 };
    let record = fixture.store.postbacks(Default::default(), page).await.unwrap().items.remove(0);
    let [ReportNote::LeftOut(problem)] = record.notes.as_slice() else { panic!("{:?}", record.notes) };
    assert_eq!((problem.code(), problem.field.as_str()), (RejectionCode::UnexpandedMacro, "adv5"));
    assert_eq!(problem.value.as_deref(), Some("#x#"));
}

#[tokio::test]
async fn platforms_are_reported_the_amount_else_the_revenue_else_the_payout() {
    let fixture = CakeFixture::new().await;
    for (query, value) in [
        ("click_id=abc123xyz789&offer_id=12345&amount=80.00&revenue=12.00&payout=5.00", "80.00 USD"),
        ("click_id=abc123xyz789&offer_id=12345&revenue=12.00&payout=5.00", "12.00 USD"),
        ("click_id=abc123xyz789&offer_id=12345&payout=5.00", "10.00 USD"),
        ("click_id=percent-click&offer_id=565&payout=5.00", "5.00 EUR"),
    ] {
        let id = fixture.record(NETWORK, query).await.json["conversion_id"].as_u64().unwrap();
        assert_eq!(kept(&fixture, id).await.value.unwrap().to_string(), value, "{query}");
    }
    let free = fixture.record(NETWORK, "click_id=abc123xyz789&offer_id=12345&amount=0").await;
    let lead = kept(&fixture, free.json["conversion_id"].as_u64().unwrap()).await;
    assert_eq!(lead.event.as_str(), "Lead", "0 is not missing");
}

#[tokio::test]
async fn a_change_is_kept_with_its_note_and_the_name_of_the_key() {
    let fixture = CakeFixture::new().await;
    fixture.record(NETWORK, CLICK).await;
    let id = theirs(1);
    let body = format!(
        r#"{{"api_key":"{ADVERTISER_31}","conversion_id":{id},"status":"rejected","note":" Duplicate order "}}"#
    );
    assert_eq!(fixture.ask("POST", "/api/2/update_conversion.json", &body).await.status, 200);
    let change = kept(&fixture, 1).await.history.remove(0);
    let cause = Cause::Person {
        name: "acme".to_owned(),
        role: ActorRole::Advertiser,
        note: Some("Duplicate order".to_owned()),
    };
    assert_eq!((&change.cause, change.at), (&cause, now()));
    assert_eq!(changed_fields(&change), [["status", "approved", "rejected"]]);
}

#[tokio::test]
async fn tracking_answers_what_the_offers_page_shows_and_leaves_no_record() {
    let fixture = CakeFixture::new().await;
    let ask = async |key: &str| {
        fixture.ask("GET", &format!("/api/2/tracking.json?api_key={key}&offer_id=12345"), "").await
    };
    let (network, advertiser) = (ask(NETWORK).await, ask(ADVERTISER_31).await);
    assert_eq!(network.text, advertiser.text);
    let word = |name: &str| network.json[name].as_str().unwrap().to_owned();
    assert!(
        word("postback_url")
            .ends_with("/api/2/conversion.json?api_key=API_KEY&offer_id=12345&click_id=REPLACE")
    );
    assert!(
        word("image_pixel").starts_with("<img src=\"")
            && word("image_pixel").contains("/pixel.gif?offer=12345")
    );
    assert!(word("javascript_pixel").contains("/pixel.js?offer=12345&transaction_id=ORDER_ID"));
    // The key in the answer would be read by the one who sees the page it is pasted into.
    assert!(!network.text.contains(NETWORK));
    assert_eq!(ask(READER).await.text, network.text);
    let (other, unknown) = (
        ask(ADVERTISER_32).await,
        fixture.ask("GET", &format!("/api/2/tracking.json?api_key={ADVERTISER_32}&offer_id=12346"), "").await,
    );
    assert_eq!(other.text.replace("12345", "12346"), unknown.text, "another's looks as what does not exist");
    assert_eq!(fixture.log().await, []);
}

#[tokio::test]
async fn an_expired_click_earns_nothing_and_says_so_in_the_conversion() {
    let fixture = CakeFixture::new().await;
    let reported = fixture.record(NETWORK, "click_id=expired-click&offer_id=12345").await;
    let unknown = fixture.record(NETWORK, "click_id=unknown-click&offer_id=12345").await;
    assert_eq!(reported.text.replace("expired-click", "unknown-click"), unknown.text, "the same error");
    let kept = kept(&fixture, 1).await;
    assert_eq!((kept.status.as_str(), kept.attribution.state().as_str()), ("scrubbed", "expired"));
    assert!(matches!(kept.reason, Some(StatusReason::ClickExpired { session_hours: Some(720), .. })));
}

#[tokio::test]
async fn an_advertisers_key_reaches_no_other_advertisers_offer_by_any_endpoint() {
    let fixture = CakeFixture::new().await;
    let sold = fixture.record(ADVERTISER_32, "click_id=click-of-another&offer_id=777").await;
    let id = sold.json["conversion_id"].as_u64().unwrap();
    let alike = |other: &str, unknown: &str, (from, to): (&str, &str)| {
        assert_eq!(other.replace(from, to), unknown, "what is another's looks as what does not exist");
    };
    let offer = |id: u64| format!("click_id=click-of-another&offer_id={id}");
    let other = fixture.record(ADVERTISER_31, &offer(777)).await;
    alike(&other.text, &fixture.record(ADVERTISER_31, &offer(778)).await.text, ("777", "778"));
    let click = |id: &str| format!("click_id={id}&offer_id=12345");
    let other = fixture.record(ADVERTISER_31, &click("click-of-another")).await;
    let unknown = fixture.record(ADVERTISER_31, &click("click-of-nobody")).await;
    alike(&other.text, &unknown.text, ("click-of-another", "click-of-nobody"));
    for query in ["", "offer_id=777", "offer_id=778", "advertiser_id=32", "affiliate_id=67890"] {
        let listed = fixture.history(ADVERTISER_31, query).await;
        assert_eq!(listed.text, r#"{"request_status":"Success","total_rows":0,"conversions":[]}"#, "{query}");
    }
    let other = fixture.update(ADVERTISER_31, id, "rejected").await;
    let unknown = fixture.update(ADVERTISER_31, 4711, "rejected").await;
    alike(&other.text, &unknown.text, (&format!("conversion {id}"), "conversion 4711"));
    let ours = numbers().seq(id).unwrap();
    assert_eq!(kept(&fixture, ours.get()).await.status.as_str(), "approved");
    assert_eq!(fixture.history(ADVERTISER_32, "").await.ids(), [id]);
}

#[tokio::test]
async fn an_advertisers_numbers_say_nothing_about_how_much_the_network_takes_in() {
    let (busy, quiet) = (CakeFixture::new().await, CakeFixture::new().await);
    let mine = async |fixture: &CakeFixture, n: u64| {
        let reported = fixture.record(ADVERTISER_31, &format!("{CLICK}&unique_id=U{n}")).await;
        reported.json["conversion_id"].as_u64().unwrap()
    };
    let first = mine(&busy, 0).await;
    assert_eq!(first, mine(&quiet, 0).await);
    let mut numbers = vec![first];
    for n in 1..30 {
        // Between two of its own there are more and more of another's.
        for other in 0..n {
            let query = format!("click_id=click-of-another&offer_id=777&unique_id=O{n}-{other}");
            says_success(&busy, ADVERTISER_32, &query).await;
        }
        numbers.push(mine(&busy, n).await);
    }
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_ne!(numbers, sorted, "not even which was first");
    let steps: BTreeSet<u64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step > 100_000), "no two are near each other: {steps:?}");
    // What it is sent it can name, to list and to change.
    let listed = busy.history(ADVERTISER_31, "").await;
    assert_eq!(listed.ids().into_iter().collect::<BTreeSet<_>>(), numbers.iter().copied().collect());
    for number in numbers {
        let reported = busy.update(ADVERTISER_31, number, "rejected").await;
        assert_eq!(reported.json["conversion"]["conversion_id"], number, "{}", reported.text);
    }
    // The network's numbers are its own, and an advertiser cannot use them.
    assert_eq!(busy.update(ADVERTISER_31, 1, "approved").await.json["request_status"], "Error");
    assert_eq!(busy.update(NETWORK, 1, "approved").await.json["conversion"]["conversion_id"], 1);
    assert_eq!(busy.history(NETWORK, "").await.ids()[0], 1);
    assert_eq!(busy.history(READER, "").await.ids()[0], 1);
}

#[tokio::test]
async fn an_advertiser_changes_nothing_of_an_offer_that_is_closed_to_the_api() {
    let offer = "[[offer]]\nid = \"920\"\nadvertiser = \"31\"\nurl = \"https://a.example/?c={click_id}\"\ncurrency = \"USD\"\nreport_by = [\"pixel\"]\n";
    let fixture = CakeFixture::with(offer).await;
    fixture.store.arrive(sale("T-1").of("920").arrival()).await.unwrap();
    let refused = fixture.update(ADVERTISER_31, theirs(1), "rejected").await;
    let message = refused.json["message"].as_str().unwrap();
    assert!(message.starts_with("endpoint_closed: ") && message.contains("\"api\", \"pixel\""), "{message}");
    assert_eq!(kept(&fixture, 1).await.status.as_str(), "approved");
    let by_network = fixture.update(NETWORK, 1, "rejected").await;
    assert_eq!(by_network.json["conversion"]["conversion_status"], "rejected", "{}", by_network.text);
}

async fn says_success(fixture: &CakeFixture, key: &str, query: &str) {
    assert_eq!(fixture.record(key, query).await.json["request_status"], "Success");
}

#[tokio::test]
async fn a_reading_key_sees_all_and_changes_nothing() {
    let fixture = CakeFixture::new().await;
    fixture.record(NETWORK, CLICK).await;
    fixture.record(NETWORK, "click_id=click-of-another&offer_id=777").await;
    assert_eq!(fixture.history(READER, "").await.ids(), [1, 2]);
    assert_eq!(fixture.update(READER, 1, "rejected").await.json["request_status"], "Error");
    assert_eq!(fixture.record(READER, CLICK).await.json["request_status"], "Error");
    assert_eq!(kept(&fixture, 1).await.history.len(), 0);
    assert_eq!(fixture.history(NETWORK, "").await.ids(), [1, 2]);
}

#[tokio::test]
async fn the_body_of_a_change_is_read_whatever_its_content_type_says() {
    let fixture = CakeFixture::new().await;
    fixture.record(NETWORK, CLICK).await;
    let body = format!(r#"{{"api_key":"{NETWORK}","conversion_id":1,"status":"rejected"}}"#);
    let form = format!("api_key={NETWORK}&conversion_id=1&status=approved");
    let update = "/api/2/update_conversion.json";
    for kind in [
        None,
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/vnd.api+json"),
        Some("application/octet-stream"),
    ] {
        let reported = fixture.ask_as("POST", update, (kind, &body)).await;
        assert_eq!(
            reported.json["conversion"]["conversion_status"], "rejected",
            "{kind:?}: {}",
            reported.text
        );
    }
    let form = fixture.ask_as("POST", update, (Some("application/x-www-form-urlencoded"), &form)).await;
    assert_eq!(form.json["conversion"]["conversion_status"], "approved");
}

#[tokio::test]
async fn a_store_that_fails_is_503_and_no_conversion() {
    let fixture = CakeFixture::new().await;
    fixture.record(NETWORK, CLICK).await;
    fixture.store.close().await.unwrap();
    for reported in [fixture.record(NETWORK, CLICK).await, fixture.update(NETWORK, 1, "rejected").await] {
        assert_eq!(
            (reported.status, reported.json["request_status"].as_str()),
            (503, Some("Error")),
            "{}",
            reported.text
        );
    }
}
