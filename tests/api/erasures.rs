//! Erasing a person's data by the API and on the command line: the whole story on a relay that runs, is killed and starts again.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::command_line::{err, json_of, out, postbridge};
use crate::support::platform::Platform;
use crate::support::relay::{Relay, Setup, wait_until};

const EMAIL: &str = "jane.doe@example.com";

/// A click and a sale of someone with this address, which is delivered.
fn sale(relay: &Relay, platform: &Platform, (click, email, transaction): (&str, &str, &str)) {
    let known = platform.received().len();
    let body = json!({
        "click_id": click, "landing_url": "https://shop.example/?fbclid=IwAR0abc", "ip": "203.0.113.7",
        "user_agent": format!("Mozilla/5.0 ({click})"), "customer": {"email": email},
    });
    assert_eq!(relay.post("/api/v1/clicks", &body.to_string()).status, 200);
    let query = format!("s2={click}&tid={transaction}&price=7&email={}", email.replace('@', "%40"));
    assert_eq!(relay.postback("cake-test", query.as_bytes()).status, 200);
    assert!(wait_until(Duration::from_secs(20), || platform.received().len() > known), "nothing was sent");
}

/// The work that is begun, once it has ended; or why none is.
fn erase(relay: &Relay, wish: &Value) -> (u16, Value) {
    let answer = relay.post("/api/v1/erasures", &wish.to_string());
    if answer.status != 202 {
        return (answer.status, answer.json());
    }
    let id = answer.json()["work"]["id"].clone();
    let work = || relay.api("/api/v1/erasures/work")["work"].clone();
    assert!(wait_until(Duration::from_secs(20), || work()["state"] != "looking"), "{:#}", work());
    assert_eq!(work()["id"], id);
    (202, work())
}

fn done(relay: &Relay, id: u64) -> Value {
    let path = format!("/api/v1/erasures/{id}");
    assert!(
        wait_until(Duration::from_secs(20), || relay.api(&path)["state"] == "done"),
        "{:#}",
        relay.api(&path)
    );
    relay.api(&path)
}

fn conversion(relay: &Relay, transaction: &str) -> Value {
    let list = relay.api(&format!("/api/v1/conversions?transaction_id={transaction}"));
    let id =
        list["items"][0]["id"].as_str().or(list["items"][0]["conversion_id"].as_str()).unwrap().to_owned();
    relay.api(&format!("/api/v1/conversions/{id}"))
}

/// No log line, and nothing that the API shows, names the person.
fn assert_unnamed(relay: &Relay, shown: &[Value]) {
    for one in shown {
        assert!(!one.to_string().to_lowercase().contains("jane"), "{one:#}");
    }
    for list in ["conversions", "postbacks", "deliveries", "clicks", "erasures"] {
        let text = relay.api(&format!("/api/v1/{list}")).to_string().to_lowercase();
        assert!(!text.contains("jane"), "{list}: {text}");
    }
}

#[test]
fn a_person_is_erased_while_the_relay_runs_and_stays_so_after_it_was_killed() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start();
    sale(&relay, &platform, ("c1", EMAIL, "t1"));
    sale(&relay, &platform, ("c2", "adam@example.com", "t2"));
    let (status, looked) = erase(&relay, &json!({"email": "Jane.Doe@Example.com"}));
    assert_eq!((status, &looked["state"]), (202, &json!("found")), "{looked:#}");
    let preview = looked["erasure"].clone();
    assert_eq!(
        (&preview["id"], &preview["state"], &preview["persons"]),
        (&json!(null), &json!("preview"), &json!(1))
    );
    let found = &preview["found"];
    assert_eq!(
        (&found["clicks"], &found["conversions"], &found["postbacks"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let sent = &preview["sent"][0];
    assert_eq!((&sent["destination"], &sent["event"]), (&json!("meta-main"), &json!("Purchase")));
    assert!(sent["fields"].as_array().unwrap().contains(&json!("email")), "{sent:#}");
    let nothing = json!({
        "rewritten_at": null, "index_renewed_at": null, "backups": [], "unreached": [], "files": [],
    });
    assert_eq!(preview["journal"], nothing);
    assert!(conversion(&relay, "t1").to_string().contains("jane.doe"), "a preview changes nothing");
    let apply = json!({"work": looked["id"], "apply": true});
    let (status, kept) = erase(&relay, &apply);
    assert_eq!(
        (status, &kept["state"], &kept["erasure"]["id"]),
        (202, &json!("kept"), &json!("1")),
        "{kept:#}"
    );
    assert_eq!(erase(&relay, &apply).0, 404, "once");
    let after = done(&relay, 1);
    assert_eq!(after["erased"]["conversions"], 1, "{after:#}");
    let left = conversion(&relay, "t1");
    let text = left.to_string();
    assert!(text.contains("\"reason_code\":\"erased\"") && text.contains("\"amount\":\"7\""), "{left:#}");
    assert_unnamed(&relay, &[preview, kept, after, left]);
    assert!(conversion(&relay, "t2").to_string().contains("adam@example.com"));
    relay.kill();
    let relay = setup.start();
    assert_unnamed(&relay, &[conversion(&relay, "t1")]);
    let repeat = relay.postback("cake-test", b"s2=c1&tid=t1&price=7").json();
    assert_eq!(repeat["status"], "duplicate", "{repeat:#}");
    assert_eq!(relay.get("/api/v1/erasures/2").status, 404);
}

#[test]
fn what_cannot_be_erased_is_refused_by_its_code_and_without_the_value() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    for (click, email) in [("c1", "eve@example.com"), ("c2", "adam@example.com")] {
        sale(&relay, &platform, (click, email, "constant"));
    }
    for (wish, status, code) in [
        (json!({"work": "7", "apply": true}), 404, "not_found"),
        (json!({"work": "1"}), 400, "bad_body"),
        (json!({"work": "1", "email": "jane@x.example", "apply": true}), 400, "bad_body"),
        (json!({"email": "jane"}), 400, "email_unreadable"),
        (json!({"phone": "0170 1234567"}), 400, "no_calling_code"),
        (json!({"email": "jane@x.example", "phone": "+491701234567"}), 400, "bad_body"),
        (json!({"apply": true}), 400, "bad_body"),
        (json!({"email": 7}), 400, "bad_body"),
        (json!({"mail": "jane@x.example"}), 400, "bad_body"),
        (json!(["jane@x.example"]), 400, "bad_body"),
    ] {
        let (answered, document) = erase(&relay, &wish);
        assert_eq!((answered, &document["error"]["code"]), (status, &json!(code)), "{wish}: {document:#}");
        assert!(
            !document.to_string().contains("jane") && !document.to_string().contains("1701234567"),
            "{document:#}"
        );
    }
    for (wish, code) in [
        (json!({"transaction_id": "constant", "apply": true}), "several_persons"),
        (json!({"email": "jane@nowhere.example", "apply": true}), "nothing_found"),
    ] {
        let (_, work) = erase(&relay, &wish);
        assert_eq!((&work["state"], &work["reason_code"]), (&json!("refused"), &json!(code)), "{work:#}");
        assert!(!work.to_string().contains("jane"), "{work:#}");
    }
    let (_, kept) = erase(&relay, &json!({"transaction_id": "constant", "apply": true, "confirm": true}));
    assert_eq!(kept["erasure"]["persons"], 2, "{kept:#}");
    assert_eq!(done(&relay, 1)["erased"]["conversions"], 2);
}

fn command(folder: &Path, relay: Option<&Relay>, arguments: &[&str]) -> std::process::Output {
    let server = relay.map(|relay| format!("http://{}", relay.address));
    let named = server.iter().flat_map(|server| ["--server", server.as_str()]);
    let all: Vec<&str> = ["erase"].into_iter().chain(named).chain(arguments.iter().copied()).collect();
    postbridge(folder, &all)
}

#[test]
fn the_command_asks_the_relay_that_runs_and_opens_the_folder_where_none_does() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    for (click, email, transaction) in
        [("c1", "eve@example.com", "t1"), ("c2", "adam@example.com", "t2"), ("c3", EMAIL, "t2")]
    {
        sale(&relay, &platform, (click, email, transaction));
    }
    let shown = command(folder.path(), Some(&relay), &["--email", "eve@example.com", "--dry-run"]);
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    assert!(out(&shown).starts_with("records with data of 1 person(s):\n"), "{}", out(&shown));
    assert!(out(&shown).contains("delivered to meta-main"), "{}", out(&shown));
    let erased = command(folder.path(), Some(&relay), &["--email", "eve@example.com", "--json"]);
    assert_eq!(
        (erased.status.code(), &json_of(&erased)["state"]),
        (Some(0), &json!("done")),
        "{}",
        err(&erased)
    );
    let nothing = command(folder.path(), Some(&relay), &["--email", "eve@example.com"]);
    assert_eq!(nothing.status.code(), Some(0), "{}", err(&nothing));
    assert_eq!(out(&nothing), "no record is kept of a person with this email\n");
    for arguments in [&["--email", "eve"][..], &["--email", "a@b.example", "--phone", "+1"], &[]] {
        let bad = command(folder.path(), Some(&relay), arguments);
        assert!(matches!(bad.status.code(), Some(1 | 2)), "{arguments:?}: {}", err(&bad));
    }
    relay.signal(libc::SIGTERM);
    assert!(relay.wait(Duration::from_secs(30)).is_some_and(|status| status.success()));
    let several = command(folder.path(), None, &["--transaction-id", "t2"]);
    assert_eq!(several.status.code(), Some(1), "{}", out(&several));
    assert!(err(&several).contains("2 persons"), "{}", err(&several));
    let both = command(folder.path(), None, &["--transaction-id", "t2", "--yes"]);
    assert_eq!(both.status.code(), Some(0), "{}", err(&both));
    assert!(out(&both).contains("erasure 2 is done"), "{}", out(&both));
}
