//! Every page and every answer of the API with every right: none shows a secret that opens more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::access_fixture::{ADVERTISER, NETWORK, READER, tokens};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{CAMPAIGN, KEY, Relay, Setup, wait_until};

const OLD_KEY: &str = "key-that-is-being-changed-8844";
const META: &str = "EAAB-access-token-8845";
const HOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TRACKER: &str = "key-of-the-affiliates-tracker-8846";

/// What opens something that none of the rights gives; the source's keys apart, which `network` sees.
const SECRETS: [&str; 6] = [NETWORK, READER, ADVERTISER, META, HOOK, TRACKER];

fn serve(folder: &Path, platform: &Platform) -> Relay {
    let address = platform.address;
    let data = folder.join("data");
    let text = format!(
        r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://t.example.com"
fallback_url = "https://example.com/"
[store]
path = "{}"
{}
[tag]
origins = ["https://shop.example"]
[[source]]
id = "cake-test"
template = "cake"
key = ["{KEY}", "{OLD_KEY}"]
currency = "USD"
unmatched = "forward"
[[destination]]
id = "meta-main"
template = "meta"
endpoint = "http://{address}"
allow_private_network = true
[destination.settings]
pixel_id = "1234567890"
access_token = "{META}"
[destination.only]
source = ["cake-test", "cake-api", "pixel"]
[[destination]]
id = "hook"
template = "webhook"
allow_private_network = true
[destination.settings]
url = "http://{address}/hook"
secret = "{HOOK}"
[destination.only]
source = ["cake-test", "cake-api", "pixel"]
{CAMPAIGN}
[campaign.postback]
url = {{ env = "TRACKER_URL" }}
allow_private_network = true
"#,
        data.display(),
        tokens()
    );
    let setup = Setup::of(folder);
    let tracker = format!("http://{address}/{TRACKER}/pb?key={TRACKER}&cid=#s2#");
    setup.env("TRACKER_URL", tracker).run(&text).expect("serve says where it listens")
}

/// Something of every kind: clicks, sales delivered and dead, quarantined and refused postbacks, a list.
fn fill(relay: &Relay) {
    let ops = format!("Authorization: Bearer {NETWORK}\r\n");
    relay.send("GET", "/c/8599?s1=a", "User-Agent: Mozilla/5.0 (X11) Firefox/130\r\n", "");
    let click = r#"{"click_id":"c1","landing_url":"https://s.example/?fbclid=x","ip":"203.0.113.1","user_agent":"UA"}"#;
    assert_eq!(relay.send("POST", "/api/v1/clicks", &ops, click).status, 200);
    assert_eq!(relay.send("POST", "/api/v1/suppression/fraud", &ops, "10.0.0.0/8").status, 200);
    for path in [
        format!("/{KEY}/collect/cake-test?s2=c1&tid=A-1&price=7"),
        format!("/{OLD_KEY}/collect/cake-test?s2=c1&tid=A-2&price=8&api_key={NETWORK}"),
        format!("/{KEY}/collect/cake-test?s2=c1&tid=A-3&price=x"),
        format!("/{KEY}-wrong/collect/cake-test?s2=c1&tid=A-4"),
        format!("/api/2/conversion.json?api_key={NETWORK}&click_id=c1&offer_id=565&unique_id=B-1"),
        format!("/api/2/conversion.json?api_key={ADVERTISER}&click_id=REPLACE&offer_id=565"),
        "/pixel.gif?offer=565&transaction_id=P-1".to_owned(),
    ] {
        relay.send("GET", &path, "", "");
    }
    let settled = || {
        let deliveries = relay.send("GET", "/api/v1/deliveries?limit=1000", &ops, "").json();
        let items = deliveries["items"].as_array().unwrap();
        !items.is_empty() && items.iter().all(|one| one["state"] != "waiting")
    };
    assert!(
        wait_until(Duration::from_secs(20), settled),
        "{:#}",
        relay.send("GET", "/api/v1/deliveries", &ops, "").json()
    );
}

/// Signs in; the cookie's header line.
fn cookie(relay: &Relay, token: &str) -> String {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = relay.send("POST", "/sign-in", form, &format!("token={token}"));
    let set = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    format!("Cookie: {}\r\n", set.split(';').next().unwrap())
}

fn unescaped(html: &str) -> String {
    html.replace("&#x3D;", "=").replace("&quot;", "\"").replace("&amp;", "&").replace("&#x2F;", "/")
}

/// Every page that is reached from the first one, by its path.
fn pages(relay: &Relay, cookie: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut next = VecDeque::from(["/".to_owned(), "/conversions".to_owned()]);
    while let Some(path) = next.pop_front() {
        if found.contains_key(&path) || found.len() >= 300 {
            continue;
        }
        let text = unescaped(&relay.send("GET", &path, cookie, "").text());
        let links = text.split("href=\"/").skip(1).filter_map(|rest| rest.split('"').next());
        next.extend(links.map(|link| format!("/{link}")));
        found.insert(path, text);
    }
    found
}

/// Every answer of the API, by its path.
fn answers(relay: &Relay, token: &str) -> BTreeMap<String, String> {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut found = BTreeMap::new();
    let mut keep = |path: String| {
        let answer = relay.send("GET", &path, &bearer, "");
        found.insert(path, answer.text());
        answer
    };
    for list in ["conversions", "postbacks", "deliveries", "clicks", "destinations", "suppression"] {
        let answer = keep(format!("/api/v1/{list}"));
        let ids = serde_json::from_slice::<Value>(&answer.body).unwrap()["items"].clone();
        for item in ids.as_array().into_iter().flatten() {
            let id = [&item["id"], &item["click_id"], &item["list"]].into_iter().find_map(Value::as_str);
            id.into_iter().for_each(|id| drop(keep(format!("/api/v1/{list}/{id}"))));
        }
    }
    keep("/metrics".to_owned());
    for (path, query) in [
        ("conversions.json", "&start_date=2020-01-01&end_date=2030-01-01"),
        ("tracking.json", "&offer_id=565"),
        ("conversion.json", "&click_id=none&offer_id=565"),
        ("tracking.json", "&offer_id=565&api_key=x"),
    ] {
        keep(format!("/api/2/{path}?api_key={token}{query}"));
    }
    found
}

#[test]
fn no_page_and_no_answer_shows_a_secret_that_opens_more_than_the_right_gives() {
    let folder = tempfile::tempdir().unwrap();
    // Platforms that repeat what opens them.
    let platform = Platform::start(|received| {
        let secret = match received.target.as_str() {
            path if path.starts_with("/hook") => HOOK,
            path if path.contains("/pb") => TRACKER,
            _ => META,
        };
        Act::status(400, &format!("{{\"error\":{{\"message\":\"{secret} is refused\"}}}}"))
    });
    let relay = serve(folder.path(), &platform);
    fill(&relay);
    for (token, sees_keys) in [(NETWORK, true), (READER, false)] {
        let cookie = cookie(&relay, token);
        let shown = pages(&relay, &cookie);
        let kinds: BTreeSet<&str> = shown.keys().filter_map(|path| path.split(['/', '?']).nth(1)).collect();
        for kind in
            ["conversions", "clicks", "quarantine", "sources", "destinations", "offers", "campaigns", "tag"]
        {
            assert!(kinds.contains(kind), "the walk did not see {kind}: {kinds:?}");
        }
        assert!(shown.keys().any(|path| path.starts_with("/conversions/")), "{kinds:?}");
        let csrf =
            shown["/sources"].split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap();
        let form = format!("{cookie}Content-Type: application/x-www-form-urlencoded\r\n");
        let preview = relay.send(
            "POST",
            "/sources",
            &form,
            &format!("csrf={csrf}&source=cake-test&pasted=s2%3Dc1%26tid%3D9%26price%3D7"),
        );
        assert!(preview.status == 200 && preview.text().contains("1234567890"), "{}", preview.text());
        let answers = answers(&relay, token);
        assert!(answers.len() > 20, "{:?}", answers.keys());
        let all = shown.iter().chain(&answers).map(|(path, text)| (path.as_str(), text.as_str()));
        let preview = unescaped(&preview.text());
        for (path, text) in all.chain([("the preview", preview.as_str())]) {
            for secret in SECRETS {
                assert!(!text.contains(secret), "{path} shows {secret} to {token}:\n{text}");
            }
            let may_show = sees_keys && matches!(path, "/sources" | "the preview");
            assert!(may_show || !text.contains(KEY), "{path} shows the key to {token}:\n{text}");
            assert!(!text.contains(OLD_KEY), "{path} shows the other key to {token}:\n{text}");
            assert!(!text.contains("once="), "{path} shows a sign-in link to {token}:\n{text}");
        }
        assert_eq!(shown["/sources"].contains(KEY), sees_keys);
        assert!(shown["/sources"].contains("/collect/cake-test?"), "the URL itself is shown to {token}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(relay.send("POST", "/sign-in", form, &format!("token={ADVERTISER}")).status, 403);
    for (path, text) in answers(&relay, ADVERTISER) {
        for secret in SECRETS.into_iter().chain([KEY, OLD_KEY]) {
            assert!(!text.contains(secret), "{path} shows {secret} to an advertiser:\n{text}");
        }
        assert!(path.starts_with("/api/2/") || text.contains("\"forbidden\""), "{path}: {text}");
    }
}
