//! `postbridge send-test` at the stand-in of every platform: one test event that is taken, one that is refused in the
//! platform's own words, and none where a platform has no test mode.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::journeys::accounts::destination;
use crate::support::command_line::{err, out, postbridge};
use crate::support::known_events::settings_of;
use crate::support::platform::Act;
use crate::support::platform_answers::act_of_story;
use crate::support::relay::{Relay, Setup};
use crate::support::stand_in::StandIn;

/// How a platform is sent a test event.
struct TestWay {
    platform: &'static str,
    /// What of the request says that it is a test.
    way: &'static str,
    /// The story of what it answers in its test mode; `None`: as ever.
    taken: Option<&'static str>,
    /// The story of a refusal.
    refused: &'static str,
    /// Words of it.
    words: &'static str,
}

const fn test_way(
    (platform, way): (&'static str, &'static str),
    taken: Option<&'static str>,
    (refused, words): (&'static str, &'static str),
) -> TestWay {
    TestWay { platform, way, taken, refused, words }
}

/// Every platform with a test mode.
const WAYS: [TestWay; 10] = [
    test_way(
        ("ga4", "the debug address"),
        Some("replies/delivered/valid-by-the-debug-address"),
        ("replies/dead/invalid-by-the-debug-address", "NAME_INVALID"),
    ),
    test_way(
        ("google-data-manager", "validateOnly"),
        Some("replies/delivered/only-validated"),
        ("replies/park/token-refused", "invalid authentication credentials"),
    ),
    test_way(("meta", "test_event_code"), None, ("reply-park-token-expired", "Malformed access token")),
    test_way(("openai", "validate_only"), None, ("replies/park/key-invalid", "Incorrect API key provided")),
    test_way(("pinterest", "?test=true"), None, ("replies/park/token", "Authentication failed")),
    test_way(("reddit", "test_id"), None, ("replies/park/token-invalid", "UNAUTHORIZED")),
    test_way(("snapchat", "test_event_code"), None, ("replies/park/token", "Invalid token")),
    test_way(
        ("taboola", "a click id for tests"),
        None,
        ("replies/dead/click-id-that-cannot-be-read", "click-id"),
    ),
    test_way(("tiktok", "test_event_code"), None, ("replies/park/token-invalid", "Access token")),
    test_way(("webhook", "\"test\": true"), None, ("reply-park-unauthorized", "401")),
];

fn story(platform: &str, story: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations").join(platform).join(story)
}

/// One test event to this destination of a relay.
pub fn send_test(folder: &Path, relay: &Relay, arguments: &[&str]) -> Output {
    let server = format!("http://{}", relay.address);
    let all = ["send-test", "--server", &server].into_iter().chain(arguments.iter().copied());
    postbridge(folder, &all.collect::<Vec<_>>())
}

/// Whether a platform may use a test event for bidding or in reports, as its template says.
fn counts(platform: &str) -> String {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/destinations").join(platform);
    let text = std::fs::read_to_string(template.join("destination.toml")).unwrap();
    let toml: toml::Table = text.parse().unwrap();
    toml["test"]["counts"].as_str().unwrap().to_owned()
}

/// A test event where one may count all the same: not before a person says so.
fn send_anyway(folder: &Path, relay: &Relay, (id, counts): (&str, &str)) -> Output {
    if counts == "no" {
        return send_test(folder, relay, &[id]);
    }
    let unsent = send_test(folder, relay, &[id]);
    let said = err(&unsent);
    assert_eq!((unsent.status.code(), out(&unsent).as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("--anyway"), "{said}");
    send_test(folder, relay, &[id, "--anyway"])
}

/// The first line of what the command printed, without the destination.
fn verdict(said: &str) -> &str {
    said.lines().next().unwrap_or_default().split_once(": ").map_or("", |(_, verdict)| verdict)
}

/// The stand-ins of one destination for every platform.
fn stand_ins(catalog: &Catalog, answer: impl Fn(&TestWay) -> Option<Act>) -> Vec<StandIn> {
    let start = |name: &&str| {
        let way = WAYS.iter().find(|way| way.platform == *name);
        let settings = settings_of(&catalog.destination(name).unwrap());
        StandIn::start_for_tests(name, &settings, way.and_then(&answer))
    };
    catalog.destination_names().iter().map(start).collect()
}

#[test]
fn a_test_event_to_every_platform_is_taken_or_refused_in_its_words_and_nothing_of_it_is_kept() {
    let catalog = Catalog::load(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let good = stand_ins(&catalog, |way| way.taken.map(|taken| act_of_story(&story(way.platform, taken))));
    let bad = stand_ins(&catalog, |way| Some(act_of_story(&story(way.platform, way.refused))));
    let mut extra = String::new();
    for (kind, stand_ins) in [("good", &good), ("bad", &bad)] {
        for stand_in in stand_ins {
            let id = format!("{kind}-{}", stand_in.name);
            extra.push_str(&destination(&id, folder.path(), &catalog, (stand_in, 0), 1));
        }
    }
    let relay = Setup { extra, ..Setup::of(folder.path()) }.start();
    let mut table = BTreeMap::new();
    for name in catalog.destination_names() {
        let row = match WAYS.iter().find(|way| way.platform == name) {
            Some(way) => tested(folder.path(), &relay, way),
            None => untested(folder.path(), &relay, name),
        };
        table.insert(name, row);
    }
    for stand_in in good.iter().chain(&bad) {
        let (name, faults) = (&stand_in.name, stand_in.faults());
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        let has_test_mode = WAYS.iter().any(|way| way.platform == name);
        assert_eq!(stand_in.platform.count() > 0, has_test_mode, "{name}");
    }
    for list in ["conversions", "deliveries", "postbacks"] {
        let found = relay.api(&format!("/api/v1/{list}"));
        assert_eq!(found["items"], Value::Array(Vec::new()), "{list}");
    }
    for state in relay.api("/api/v1/destinations")["items"].as_array().unwrap() {
        let numbers = ["delivered", "queue", "in_flight"].map(|name| state[name].as_u64().unwrap());
        assert_eq!((numbers, &state["state"]), ([0; 3], &"untried".into()), "{state:#}");
    }
    println!("platform · test way · counts · taken · refused");
    table.iter().for_each(|(name, row)| println!("{name} · {row}"));
}

/// One that is taken and one that is refused.
fn tested(folder: &Path, relay: &Relay, way: &TestWay) -> String {
    let counts = counts(way.platform);
    let taken = send_anyway(folder, relay, (&format!("good-{}", way.platform), &counts));
    assert_eq!(taken.status.code(), Some(0), "{}{}", out(&taken), err(&taken));
    let taken = out(&taken);
    assert!(verdict(&taken).starts_with("delivered"), "{taken}");
    let refused = send_anyway(folder, relay, (&format!("bad-{}", way.platform), &counts));
    assert_eq!(refused.status.code(), Some(1), "{}{}", out(&refused), err(&refused));
    let refused = out(&refused);
    let expected = std::fs::read_to_string(story(way.platform, way.refused).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let is_account = expected["verdict"] == "park";
    let wanted = if is_account { "the account is refused" } else { "refused: a sale like it" };
    assert!(verdict(&refused).starts_with(wanted), "{refused}");
    for wanted in [expected["code"].as_str().unwrap(), way.words, "\n  hint "] {
        assert!(refused.contains(wanted), "`{wanted}` is not in {refused}");
    }
    let setup = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("templates/destinations")
            .join(way.platform)
            .join("setup.md"),
    );
    let guide = setup.unwrap();
    let said = guide.split_once("## When the token is refused").map(|(_, part)| part.trim_start());
    let first_line = said.and_then(|part| part.lines().next());
    // What an account's refusal means is shown as its guide has it.
    let is_shown = first_line.is_some_and(|line| refused.contains(line));
    assert_eq!(is_shown, is_account && first_line.is_some(), "{first_line:?}: {refused}");
    let reason =
        refused.lines().find_map(|line| line.trim_start().strip_prefix("reason  ")).unwrap_or_default();
    format!("{} · counts: {counts} · {} · {}; {}", way.way, verdict(&taken), verdict(&refused), reason.trim())
}

/// Where an event would count, none is sent.
fn untested(folder: &Path, relay: &Relay, name: &str) -> String {
    let refused = send_test(folder, relay, &[&format!("good-{name}")]);
    let said = err(&refused);
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("has no test mode") && said.contains("hint: "), "{said}");
    format!("none · – · – · {}", said.lines().next().unwrap_or_default())
}
