//! The whole way by HTTP: a wrong secret, a reload with the right one, and the postback counts.

use crate::support::relay::{KEY, Setup, ask};

const TEMPLATE: &str = r#"
name = "signing"
macro = "{{}}"
postback = ["cid", "amount", "tid"]
[map]
click_id = "cid"
value = "amount"
transaction_id = "tid"
[event]
by_value = { positive = "Purchase", zero = "Lead" }
[verify]
kind = "token"
parameter = "token"
"#;

#[test]
fn a_postback_that_a_wrong_secret_refused_counts_after_a_restart_with_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let templates = folder.path().join("mine");
    std::fs::create_dir_all(templates.join("sources")).unwrap();
    std::fs::write(templates.join("sources/signing.toml"), TEMPLATE).unwrap();
    let setup = |secret: &str| {
        let extra = format!(
            "[templates]\npath = \"{}\"\n[[source]]\nid = \"signed\"\ntemplate = \"signing\"\nkey = \"{KEY}\"\n\
             currency = \"USD\"\nsecret = \"{secret}\"\n",
            templates.display()
        );
        Setup { extra, ..Setup::of(folder.path()) }
    };
    let relay = setup("a-wrong-secret-4711").start();
    let presented = "presented-secret-0815";
    let body = format!("cid=c1&amount=7.00&tid=t1&token={presented}");
    let request = format!(
        "POST /{KEY}/collect/signed HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let refused = ask(relay.address, request.as_bytes()).unwrap();
    assert_eq!(refused.status, 200);
    assert_eq!(refused.json()["reason_code"], "wrong_signature", "{}", refused.text());
    let kept = relay.api("/api/v1/postbacks")["items"][0].clone();
    let id = kept["id"].as_str().unwrap().to_owned();
    let raw = relay.api(&format!("/api/v1/postbacks/{id}"));
    assert!(raw.to_string().contains("token=***") && !raw.to_string().contains(presented), "{raw}");
    relay.kill();

    let relay = setup(presented).start();
    let again = relay.post(&format!("/api/v1/postbacks/{id}/retry"), "");
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["status"], "accepted", "{}", again.text());
    assert_eq!(ask(relay.address, request.as_bytes()).unwrap().json()["status"], "duplicate");
    let log = std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(!log.contains(presented) && !log.contains("a-wrong-secret-4711"), "{log}");
}

#[test]
fn a_token_that_the_network_sends_twice_is_kept_nowhere_whatever_source_the_request_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let story = std::path::Path::new("fixtures/sources/hotmart/a-sale-with-the-token");
    let read = |name: &str| std::fs::read_to_string(story.join(name)).unwrap();
    let (header, body) = (read("headers.txt"), read("body.json"));
    let presented = header.trim().split_once(": ").unwrap().1.to_owned();
    assert!(body.contains(&presented), "the network repeats it");
    let extra = format!(
        "[[source]]\nid = \"hotmart\"\ntemplate = \"hotmart\"\nkey = \"{KEY}\"\nsecret = \"{presented}\"\n\
         [[source]]\nid = \"wrong\"\ntemplate = \"hotmart\"\nkey = \"{KEY}\"\nsecret = \"another-one-0815\"\n"
    );
    let relay = Setup { extra, ..Setup::of(folder.path()) }.start();
    for (path, header, outcome) in [
        (format!("/{KEY}/collect/hotmart"), header.trim(), "accepted"),
        (format!("/{KEY}/collect/hotmart"), "X-Other: 1", "missing_signature"),
        (format!("/{KEY}/collect/wrong"), header.trim(), "wrong_signature"),
        // Taken out of the configuration, or never in it; and a key that opens nothing.
        (format!("/{KEY}/collect/hotmart-before"), header.trim(), "unknown_source"),
        (format!("/{KEY}/collect/hotmart-before"), "X-Other: 1", "unknown_source"),
        ("/another-key/collect/hotmart".to_owned(), header.trim(), "bad_key"),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {header}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = ask(relay.address, request.as_bytes()).unwrap();
        assert!(answer.text().contains(outcome), "{path}: {}", answer.text());
    }
    let kept = relay.api("/api/v1/postbacks?limit=50");
    let items = kept["items"].as_array().unwrap();
    assert_eq!(items.len(), 6);
    for item in items {
        let raw = relay.api(&format!("/api/v1/postbacks/{}", item["id"].as_str().unwrap())).to_string();
        assert!(!raw.contains(&presented), "{raw}");
    }
}
