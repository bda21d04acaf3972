//! `preview` of a webhook: a body, its headers, and whether its signature would be taken.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::command_line::{err, folder, json_of, out, postbridge};

const TOPIC: &str = "X-Shopify-Topic: orders/paid";
const SIGNED: &str = "x-shopify-hmac-sha256: YsY0WPDS7ekmH9weXlQ+QawM51RZYVi54urDV+gQ0IQ=";

/// A folder with the body of a story, as it is sent, and a source of its template.
fn shop(template: &str, story: &str, source: &str) -> TempDir {
    let config = format!(
        "[server]\npublic_url = \"https://t.example.com\"\n[[source]]\nid = \"shop\"\ntemplate = \"{template}\"\n\
         key = \"a-key-of-the-path-7\"\n{source}"
    );
    let folder = folder(&config);
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sources");
    let body = fs::read(stories.join(template).join(story).join("body.json")).unwrap();
    fs::write(folder.path().join("body.json"), body.strip_suffix(b"\n").unwrap_or(&body)).unwrap();
    folder
}

fn signed_order(source: &str) -> TempDir {
    shop("shopify", "a-sale-that-is-signed", source)
}

/// The document for a body of that file and these headers.
fn previewed(folder: &TempDir, headers: &[&str]) -> Value {
    let headers = headers.iter().flat_map(|header| ["--header", header]);
    let arguments: Vec<&str> =
        ["preview", "--json", "--body", "body.json"].into_iter().chain(headers).collect();
    json_of(&postbridge(folder.path(), &arguments))
}

fn signature(document: &Value) -> (&str, Option<&str>) {
    let signature = &document["postback"]["signature"];
    (signature["state"].as_str().unwrap_or("none"), signature["reason_code"].as_str())
}

#[test]
fn a_webhook_is_previewed_with_its_body_and_its_headers() {
    let folder = signed_order("secret = \"shpss_7a1c\"\n");
    let document = previewed(&folder, &[TOPIC, SIGNED]);
    assert_eq!(document["postback"]["status"], "accepted", "{document:#}");
    let conversion = &document["conversion"];
    assert_eq!(conversion["value"], json!({"amount": "63.20", "currency": "USD"}), "{document:#}");
    assert_eq!(conversion["click_id"], "jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t");
    let signature = &document["postback"]["signature"];
    assert_eq!((&signature["kind"], &signature["mode"]), (&json!("hmac"), &json!("enforce")));
    assert_eq!((&signature["state"], &signature["name"]), (&json!("taken"), &json!("x-shopify-hmac-sha256")));
    let words = out(&postbridge(
        folder.path(),
        &["preview", "--body", "body.json", "--header", TOPIC, "--header", SIGNED],
    ));
    assert!(words.contains("hmac, in the header `x-shopify-hmac-sha256`: it is taken\n"), "{words}");
    assert!(!words.contains("shpss_7a1c"), "{words}");
}

#[test]
fn a_signature_that_would_be_refused_is_said_by_the_sources_secret_and_mode() {
    let other = signed_order("secret = \"another-secret\"\n");
    let document = previewed(&other, &[TOPIC, SIGNED]);
    assert_eq!(signature(&document), ("refused", Some("wrong_signature")));
    assert_eq!(document["conversion"]["transaction_id"], "5940139491234", "the preview goes on");
    let arguments = ["preview", "--body", "body.json", "--header", TOPIC, "--header", SIGNED];
    let words = out(&postbridge(other.path(), &arguments));
    assert!(words.contains("\naccepted, but for its signature\n"), "{words}");
    assert!(words.contains("refused, and the postback is quarantined\n"), "{words}");
    assert_eq!(words.matches("wrong_signature").count(), 1, "{words}");
    let unsigned = previewed(&other, &[TOPIC]);
    assert_eq!(signature(&unsigned), ("refused", Some("missing_signature")));
    let observing = signed_order("secret = \"another-secret\"\nverify = \"observe\"\n");
    assert_eq!(signature(&previewed(&observing, &[TOPIC, SIGNED])), ("refused", Some("wrong_signature")));
    let words = out(&postbridge(observing.path(), &arguments));
    assert!(words.contains("\naccepted\n") && words.contains("the source only observes\n"), "{words}");
    let off = signed_order("verify = \"off\"\n");
    assert_eq!(signature(&previewed(&off, &[TOPIC, SIGNED])), ("none", None));
    let changing = signed_order("secret = [\"another-secret\", \"shpss_7a1c\"]\n");
    assert_eq!(signature(&previewed(&changing, &[TOPIC, SIGNED])), ("taken", None));
}

#[test]
fn a_signature_is_not_looked_at_where_no_header_is_given() {
    let folder = signed_order("secret = \"shpss_7a1c\"\n");
    assert_eq!(signature(&previewed(&folder, &[])), ("not_shown", None));
    let words = out(&postbridge(folder.path(), &["preview", "--body", "body.json"]));
    assert!(
        words.contains("not looked at; give its header: --header 'x-shopify-hmac-sha256: …'\n"),
        "{words}"
    );
}

#[test]
fn a_body_that_was_signed_long_ago_or_is_encrypted_is_previewed_as_it_would_be_received_now() {
    let story = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/sources/stripe/a-sale-that-is-signed/headers.txt");
    let header = fs::read_to_string(story).unwrap();
    let stripe = shop("stripe", "a-sale-that-is-signed", "secret = \"whsec_7Qm\"\n");
    let old = previewed(&stripe, &[header.trim()]);
    assert_eq!(signature(&old), ("refused", Some("outside_time_window")), "{old:#}");
    let sealed = shop("clickbank-ins", "a-sale-that-is-encrypted", "secret = \"WALKINGINRAIN\"\n");
    let document = previewed(&sealed, &[]);
    assert_eq!(
        (signature(&document), &document["postback"]["status"]),
        (("taken", None), &json!("accepted"))
    );
    let other = shop("clickbank-ins", "a-sale-that-is-encrypted", "secret = \"ANOTHER\"\n");
    let document = previewed(&other, &[]);
    assert_eq!(signature(&document), ("refused", Some("cannot_decrypt")));
    assert_eq!(document["postback"]["reason_code"], "cannot_decrypt");
}

#[test]
fn a_token_is_compared_and_never_shown() {
    let secret = "a-token-of-this-test";
    let folder = shop("hotmart", "a-sale-with-the-token", &format!("secret = \"{secret}\"\n"));
    let header = format!("X-HOTMART-HOTTOK: {secret}");
    for (header, state) in [(header.as_str(), "taken"), ("X-HOTMART-HOTTOK: another", "refused")] {
        let document = previewed(&folder, &[header]);
        assert_eq!(signature(&document).0, state, "{document:#}");
        assert!(!document.to_string().contains(secret), "{document:#}");
    }
}

#[test]
fn a_body_is_read_from_the_standard_input_as_what_it_is_said_to_be() {
    let folder = shop("generic", "nested-json", "currency = \"USD\"\n");
    let piped = |kind: &str, body: &[u8]| {
        let mut running = Command::new(env!("CARGO_BIN_EXE_postbridge"))
            .args(["preview", "--json", "--body", "-", "--content-type", kind, "status=pending"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        running.stdin.take().unwrap().write_all(body).unwrap();
        running.wait_with_output().unwrap()
    };
    let form = json_of(&piped(
        "application/x-www-form-urlencoded; charset=windows-1252",
        b"transaction_id=T-1&value=7&city=K%F6ln",
    ));
    assert_eq!(form["conversion"]["status"], "pending", "{form:#}");
    assert_eq!(form["conversion"]["transaction_id"], "T-1");
    assert!(form.to_string().contains("K\u{f6}ln"), "{form:#}");
    assert_eq!(form["postback"]["signature"], Value::Null);
    let broken = json_of(&piped("application/json", b"{\"transaction_id\":"));
    assert_eq!(broken["postback"]["reason_code"], "broken_json");
    let bytes = json_of(&piped("application/octet-stream", b"\xff\xfe\x00{{{"));
    assert_eq!(bytes["postback"]["status"], "quarantined", "{bytes:#}");
    let large = piped("application/json", &vec![b' '; 262145]);
    assert_eq!(large.status.code(), Some(2));
    assert!(err(&large).contains("262144 bytes"), "{}", err(&large));
}

#[test]
fn what_is_no_request_is_a_mistake_with_its_fix() {
    let folder = signed_order("secret = \"shpss_7a1c\"\n");
    for (arguments, says) in [
        (&["--body", "none.json"][..], "none.json: the body cannot be read"),
        (&["--body", "body.json", "--header", "no header"], "a --header is not a header"),
        (&["--body", "body.json", "--header", "b\u{e4}d: x"], "a --header is not a header"),
        (&["--body", "body.json", "--header", "x: a\r\nb: c"], "a --header is not a header"),
        (&["--body", "body.json", "--header", "Content-Encoding: gzip"], "before it is compressed"),
        (
            &["--body", "body.json", "--header", "Content-Type: text/plain", "--content-type", "text/json"],
            "the content type is given twice",
        ),
        (&["--header", TOPIC], "<QUERY>"),
    ] {
        let done = postbridge(folder.path(), &[&["preview"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(err(&done).contains(says), "{}", err(&done));
        assert!(!err(&done).contains("a\r\nb: c"));
    }
}
