//! Rights and keys from outside: the built `serve`, real sockets, and what it leaves on the disk.

use std::fs;
use std::path::Path;

use http::Method;
use postbridge::web::auth::RequiredRight;
use postbridge::web::routes::{Permission, RouteRow, table};
use serde_json::{Value, json};

use crate::support::access_fixture::{ADVERTISER, NETWORK, READER, WRONG, header, tokens};
use crate::support::relay::{Answer, Relay, Setup, ask};
use crate::support::sample_paths::sample;
use crate::support::signed_in::{FORM, cookie, csrf};

fn serve(folder: &Path) -> Relay {
    let text = format!(
        r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1"
[store]
path = "{}"
{}
[[offer]]
id = "565"
name = "Example offer"
advertiser = "31"
url = "https://advertiser.example/lp?cid={{click_id}}"
currency = "USD"
payout = "7.00"
"#,
        folder.join("data").display(),
        tokens()
    );
    let setup = Setup::of(folder);
    setup.env("RUST_LOG", "trace").run(&text).expect("serve says where it listens")
}

fn send(relay: &Relay, method: &str, target: &str, token: &str, body: &str) -> Answer {
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    relay.send(method, target, &authorization, body)
}

fn network_api(relay: &Relay, target: &str) -> Value {
    let answer = send(relay, "GET", &format!("/api/2/{target}"), "", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn click(relay: &Relay, id: &str) {
    let reported = send(relay, "POST", "/api/v1/clicks", NETWORK, &json!({"click_id": id}).to_string());
    assert_eq!(reported.status, 200, "{}", reported.text());
}

/// Whether the token of one right may do what another right is needed for.
fn may(token: &str, need: RequiredRight) -> bool {
    match need {
        RequiredRight::Look => token == NETWORK || token == READER,
        RequiredRight::Change => token == NETWORK,
    }
}

/// What one with a right is answered: what may be looked at is there, and what may not be is refused.
fn assert_let_in(answer: &Answer, is_let_in: bool, (method, row, token): (&Method, &RouteRow, &str)) {
    let is_whole = method == Method::GET && !row.path.contains('{');
    let fits = match (is_let_in, is_whole) {
        (true, true) => answer.status == 200,
        // No such id is kept, or nothing was sent.
        (true, false) => {
            !matches!(answer.status, 401 | 403 | 405) && !header(answer, "location").starts_with("/sign-in")
        }
        (false, _) => answer.status == 403,
    };
    assert!(fits, "{method} {} with {token}: {} {}", row.path, answer.status, answer.text());
}

#[test]
fn every_row_of_the_api_takes_who_has_its_right_and_no_one_else() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    for row in table::ROUTES {
        let Permission::Token(need) = row.permission else { continue };
        for method in row.methods {
            let path = sample(row.path);
            assert_eq!(send(&relay, method.as_str(), &path, "", "").status, 401, "{method} {path}");
            for token in [NETWORK, READER, ADVERTISER] {
                let answer = send(&relay, method.as_str(), &path, token, "");
                assert_let_in(&answer, may(token, need), (method, row, token));
            }
        }
    }
}

#[test]
fn every_row_of_the_pages_takes_who_has_its_right_and_no_one_else() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    let sessions = [NETWORK, READER].map(|token| {
        let cookie = cookie(&relay, token);
        let page = relay.send("GET", "/clock", &cookie, "").text();
        (token, format!("{cookie}{FORM}"), format!("csrf={}", csrf(&page)))
    });
    for row in table::ROUTES {
        let Permission::Session(need) = row.permission else { continue };
        for method in row.methods {
            let path = sample(row.path);
            let stranger = relay.send(method.as_str(), &path, FORM, "");
            let is_sent_to_sign_in = header(&stranger, "location").starts_with("/sign-in");
            assert!(is_sent_to_sign_in || stranger.status == 403, "{method} {path}: {}", stranger.head);
            for (token, headers, csrf) in &sessions {
                let answer = relay.send(method.as_str(), &path, headers, csrf);
                assert_let_in(&answer, may(token, need), (method, row, token));
            }
        }
    }
}

#[test]
fn each_right_opens_just_its_part_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    click(&relay, "c1");
    let recorded =
        network_api(&relay, &format!("conversion.json?api_key={ADVERTISER}&click_id=c1&offer_id=565"));
    assert_eq!(recorded["request_status"], "Success", "{recorded}");
    let listed = send(&relay, "GET", "/api/v1/conversions", READER, "").json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let status = format!("/api/v1/conversions/{id}/status");
    let wish = r#"{"status":"rejected","note":"returned"}"#;
    for (method, target, body, allowed) in
        [("POST", "/api/v1/clicks", "{}", [200, 403, 403]), ("POST", status.as_str(), wish, [200, 403, 403])]
    {
        for (token, wanted) in [NETWORK, READER, ADVERTISER].into_iter().zip(allowed) {
            let answer = send(&relay, method, target, token, body);
            assert_eq!(answer.status, wanted, "{method} {target} with {token}: {}", answer.text());
        }
    }
    // What is larger than others may send is refused by its head.
    let large = "198.51.100.7\n".repeat(6_000);
    for (token, wanted) in [(NETWORK, 200), (READER, 403), (ADVERTISER, 403), ("", 401)] {
        let answer = send(&relay, "POST", "/api/v1/suppression/large?kind=ip", token, &large);
        assert_eq!(answer.status, wanted, "a large import with `{token}`: {}", answer.text());
    }
    let refused = send(&relay, "POST", "/api/v1/clicks", READER, "{}").json();
    assert_eq!(refused["error"]["code"], "forbidden");
    assert_eq!(refused["error"]["hint"], "use a token with `rights = [\"network\"]`");
}

#[test]
fn a_status_is_changed_by_the_api_with_note_and_actor() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    click(&relay, "c1");
    network_api(&relay, &format!("conversion.json?api_key={NETWORK}&click_id=c1&offer_id=565"));
    let listed = send(&relay, "GET", "/api/v1/conversions", NETWORK, "").json();
    let path = format!("/api/v1/conversions/{}/status", listed["items"][0]["id"].as_str().unwrap());
    let change = |body: &str| send(&relay, "POST", &path, NETWORK, body);
    let changed = change(r#"{"status":"scrubbed","note":" bot "}"#).json();
    assert_eq!(changed["status"], "scrubbed");
    assert_eq!(changed["history"][0]["cause"], json!({"person": "ops", "role": "network", "note": "bot"}));
    let again = change(r#"{"status":"scrubbed"}"#).json();
    assert_eq!(again["history"].as_array().unwrap().len(), 1, "it had it already");
    for body in ["", "[]", "{}", r#"{"status":"done"}"#, r#"{"status":"approved","why":"x"}"#] {
        assert_eq!(change(body).status, 400, "{body}");
    }
    let unknown = format!("/api/v1/conversions/{}/status", "0".repeat(32));
    let answer = send(&relay, "POST", &unknown, NETWORK, r#"{"status":"approved"}"#);
    assert_eq!(answer.status, 404);
    assert_eq!(send(&relay, "GET", &path, NETWORK, "").status, 405);
}

#[test]
fn a_call_that_was_reported_its_fault_is_not_reprocessed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    network_api(&relay, &format!("conversion.json?api_key={NETWORK}&click_id=REPLACE&offer_id=565"));
    let listed =
        send(&relay, "GET", "/api/v1/postbacks?status=quarantined&source=cake-api", NETWORK, "").json();
    let record = &listed["items"][0];
    assert_eq!(
        (&record["reason_code"], &record["value"]),
        (&"placeholder".into(), &"REPLACE".into()),
        "{record}"
    );
    let path = format!("/api/v1/postbacks/{}/retry", record["id"].as_str().unwrap());
    let refused = send(&relay, "POST", &path, NETWORK, "");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("its sender was informed of what is wrong"), "{}", refused.text());
}

/// Every byte under a folder.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { all_bytes(&path) } else { fs::read(&path).unwrap() });
    }
    bytes
}

#[test]
fn no_key_is_in_the_store_the_log_or_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let relay = serve(folder.path());
    click(&relay, "c1");
    let mut answers = String::new();
    for key in [NETWORK, READER, ADVERTISER, WRONG] {
        for target in [
            format!("conversion.json?api_key={key}&click_id=c1&offer_id=565&unique_id=a"),
            format!("conversion.json?api_key={key}&click_id=REPLACE&offer_id=565"),
            format!("conversion.json?api_key={key}&api_key=x&click_id=c1&offer_id=565"),
            format!("conversions.json?api_key={key}&start_date=x"),
            format!("nothing.json?api_key={key}"),
        ] {
            answers.push_str(&send(&relay, "GET", &format!("/api/2/{target}"), "", "").text());
        }
        let body = json!({"api_key": key, "conversion_id": 2, "status": "rejected"}).to_string();
        answers.push_str(&send(&relay, "POST", "/api/2/update_conversion.json", "", &body).text());
    }
    answers.push_str(&send(&relay, "GET", "/api/v1/postbacks?limit=1000", NETWORK, "").text());
    // A request that is broken below HTTP.
    let broken = format!("GET /api/2/conversion.json?api_key={NETWORK}&click_id=a b HTTP/9.9\r\n\r\n");
    answers.push_str(&ask(relay.address, broken.as_bytes()).map(|answer| answer.text()).unwrap_or_default());
    drop(relay);
    let left = [all_bytes(&folder.path().join("data")), fs::read(folder.path().join("serve.log")).unwrap()];
    for key in [NETWORK, READER, ADVERTISER, WRONG] {
        assert!(!answers.contains(key), "an answer holds {key}");
        for bytes in &left {
            assert!(
                !bytes.windows(key.len()).any(|window| window == key.as_bytes()),
                "{key} was left behind"
            );
        }
    }
}
