//! `postbridge send-test`: request, answer and verdict in words, and how the command ends.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::support::command_line::{err, json_of, out, postbridge};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, Setup};

/// A relay, and its configuration where the command finds it.
fn relay(folder: &Path, platform: &Platform) -> Relay {
    let mut setup = Setup::cake_to_meta(folder, platform.address);
    setup.extra.push_str("test_event_code = \"TEST12345\"\n");
    setup.extra.push_str(&format!(
        "[[destination]]\nid = \"hook\"\ntemplate = \"webhook\"\nallow_private_network = true\n[destination.settings]\n\
         url = \"http://{}/hook\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n[[postback]]\nid = \"all\"\n\
         url = \"http://{}/pb?c={{click_id}}\"\nmacro = \"{{}}\"\n",
        platform.address, platform.address
    ));
    setup.start()
}

fn send_test(folder: &Path, relay: &Relay, arguments: &[&str]) -> Output {
    let server = format!("http://{}", relay.address);
    let all: Vec<&str> =
        ["send-test", "--server", &server].into_iter().chain(arguments.iter().copied()).collect();
    postbridge(folder, &all)
}

#[test]
fn a_test_event_that_is_taken_is_shown_whole_and_ends_with_0() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    let sent = send_test(folder.path(), &relay, &["meta-main", "--event", "Lead", "--anyway"]);
    assert_eq!(sent.status.code(), Some(0), "{}", err(&sent));
    let said = out(&sent);
    assert!(
        said.starts_with("meta-main: delivered: the platform took the event in its test mode\n"),
        "{said}"
    );
    for wanted in
        ["  event            Lead\n", "authorization: Bearer ***", "TEST12345", "HTTP 200", "events_received"]
    {
        assert!(said.contains(wanted), "`{wanted}` is not in {said}");
    }
    assert!(!said.contains("meta-secret-token"), "{said}");
    let sent = send_test(folder.path(), &relay, &["hook", "--json", "--anyway"]);
    let document = json_of(&sent);
    assert_eq!((&document["outcome"], &document["template"]), (&json!("delivered"), &json!("webhook")));
    assert_eq!((&document["counts"], &document["note"]), (&json!("unknown"), &json!(null)));
    assert_eq!(platform.received()[1].json()["test"], json!(true));
}

#[test]
fn a_test_event_that_is_refused_says_why_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(|_| Act::status(401, r#"{"error":{"message":"expired","code":190}}"#));
    let relay = relay(folder.path(), &platform);
    let sent = send_test(folder.path(), &relay, &["meta-main", "--anyway"]);
    assert_eq!(sent.status.code(), Some(1), "{}", err(&sent));
    let said = out(&sent);
    assert!(said.starts_with("meta-main: the account is refused"), "{said}");
    for wanted in
        ["reason code      account_refused", "expired", "what the setup guide says", "Code 190", "HTTP 401"]
    {
        assert!(said.contains(wanted), "`{wanted}` is not in {said}");
    }
}

#[test]
fn a_test_event_that_may_count_is_sent_only_to_a_person_who_says_so() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    for (id, why) in
        [("meta-main", "uses a test event as it uses a sale"), ("hook", "it is not known whether")]
    {
        let refused = send_test(folder.path(), &relay, &[id]);
        assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
        assert!(err(&refused).contains(why) && err(&refused).contains("--anyway"), "{}", err(&refused));
    }
    assert_eq!(platform.count(), 0);
    let sent = send_test(folder.path(), &relay, &["meta-main", "--anyway"]);
    assert_eq!(sent.status.code(), Some(0), "{}", err(&sent));
    assert!(
        out(&sent).contains("  counts           the platform uses a test event as it uses a sale"),
        "{}",
        out(&sent)
    );
    assert_eq!(platform.count(), 1);
}

#[test]
fn what_a_test_cannot_show_is_said_with_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(|_| Act::ok(r#"{"validationMessages":[]}"#));
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str(&format!(
        "[[destination]]\nid = \"ga\"\ntemplate = \"ga4\"\nendpoint = \"http://{}\"\nallow_private_network = true\n\
         [destination.settings]\nmeasurement_id = \"G-ABC1234567\"\napi_secret = \"ga-secret-token\"\n",
        platform.address
    ));
    let relay = setup.start();
    let sent = send_test(folder.path(), &relay, &["ga"]);
    assert_eq!(sent.status.code(), Some(0), "{}{}", out(&sent), err(&sent));
    let said = out(&sent);
    for wanted in
        ["counts           the platform uses no test event", "of a test", "does not look at the secret"]
    {
        assert!(said.contains(wanted), "`{wanted}` is not in {said}");
    }
}

#[test]
fn the_catalogue_says_whether_a_test_event_counts() {
    let folder = tempfile::tempdir().unwrap();
    let show = |arguments: &[&str]| postbridge(folder.path(), &[&["templates", "show"], arguments].concat());
    assert!(
        out(&show(&["meta"])).contains("test mode          the platform uses a test event as it uses a sale")
    );
    assert!(out(&show(&["x"])).contains("test mode          none"));
    let words = out(&show(&["ga4"]));
    assert!(words.contains("the platform uses no test event") && words.contains("of a test"), "{words}");
    let of = |name: &str| json_of(&show(&[name, "--json"]))["destinations"][0].clone();
    let (ga4, x) = (of("ga4"), of("x"));
    assert_eq!((&ga4["has_test_mode"], &ga4["test_counts"]), (&json!(true), &json!("no")));
    assert!(ga4["test_note"].as_str().unwrap().contains("secret"), "{ga4:#}");
    assert_eq!(
        (&x["has_test_mode"], &x["test_counts"], &x["test_note"]),
        (&json!(false), &json!(null), &json!(null))
    );
}

#[test]
fn what_cannot_be_tested_says_why_and_ends_with_1() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = relay(folder.path(), &platform);
    for (id, said) in [("postback:all", "no test mode"), ("nowhere", "no destination with this id")] {
        let refused = send_test(folder.path(), &relay, &[id]);
        assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
        assert!(err(&refused).contains(said) && err(&refused).contains("hint: "), "{}", err(&refused));
    }
    assert_eq!(platform.count(), 0);
    let address = relay.address;
    drop(relay);
    let server = format!("http://{address}");
    let refused = postbridge(folder.path(), &["send-test", "--server", &server, "meta-main"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("no relay answers") && err(&refused).contains("postbridge serve"),
        "{}",
        err(&refused)
    );
}

#[test]
fn preview_names_what_each_value_is_made_of() {
    use crate::support::command_line::{CONFIG, QUERY, folder};
    let folder = folder(CONFIG);
    let arguments = ["preview", "--source", "cake-test", "--click", "click.json", "--json", QUERY];
    let document = json_of(&postbridge(folder.path(), &arguments));
    let origins = &document["requests"][0]["origins"];
    assert_eq!(origins["/data/0/user_data/em/0"], json!(["click.customer.email"]), "{document:#}");
    assert_eq!(origins["/data/0/custom_data/value"], json!(["value"]));
    assert_eq!(origins["/data/0/user_data/fbc"], json!(["click.time", "click.params.fbclid"]));
    assert_eq!(origins["/data/0/action_source"], json!([]));
}
