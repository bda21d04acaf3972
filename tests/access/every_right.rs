//! Every page and every answer of the API with every right: none shows a secret that opens more.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use http::Method;
use postbridge::web::routes::{Endpoint, NetworkCall, PageCall, RouteRow, table};
use serde_json::Value;

use crate::support::access_fixture::{ADVERTISER, NETWORK, READER, tokens};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{CAMPAIGN, KEY, Relay, Setup, wait_until};
use crate::support::signed_in::{FORM, cookie, csrf};

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
    relay.send("POST", "/api/v1/clicks", &ops, r#"{"click_id":"hers","ip":"203.0.113.7"}"#);
    let erased = relay.send("POST", "/api/v1/erasures", &ops, r#"{"click_id":"hers","apply":true}"#);
    assert_eq!(erased.status, 202, "{}", erased.text());
    let is_kept = || relay.send("GET", "/api/v1/erasures/1", &ops, "").status == 200;
    assert!(wait_until(Duration::from_secs(20), is_kept));
}

fn unescaped(html: &str) -> String {
    html.replace("&#x3D;", "=").replace("&quot;", "\"").replace("&amp;", "&").replace("&#x2F;", "/")
}

/// Every page of the table of routes, and every one that is reached from there, by its path.
fn pages(relay: &Relay, cookie: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let of_table = page_paths().filter(|path| !path.contains('{'));
    let mut next: VecDeque<String> = of_table.map(str::to_owned).collect();
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

/// The paths of all pages as the table of routes writes them.
fn page_paths() -> impl Iterator<Item = &'static str> {
    let shown = |row: &&RouteRow| row.page().is_some_and(|page| page != PageCall::Style) && is_looked_at(row);
    table::ROUTES.iter().filter(shown).map(|row| row.path)
}

fn is_looked_at(row: &RouteRow) -> bool {
    row.methods.contains(&Method::GET)
}

/// Every answer of the APIs and the metrics, by its path.
fn answers(relay: &Relay, token: &str) -> BTreeMap<String, String> {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for row in table::ROUTES.iter().filter(|row| is_looked_at(row)) {
        let paths: Vec<String> = match row.endpoint {
            Endpoint::Api(_) => match row.path.split_once("/{") {
                None => vec![row.path.to_owned()],
                Some((list, _)) => ids(&found[list]).map(|id| format!("{list}/{id}")).collect(),
            },
            Endpoint::NetworkApi(call) => {
                let path = |query: &&str| format!("{}?api_key={token}{query}", row.path);
                queries(call).iter().map(path).collect()
            }
            Endpoint::Metrics => vec![row.path.to_owned()],
            // What visitors and their browsers are answered, and [`pages`].
            Endpoint::Alive | Endpoint::Ready | Endpoint::Postback | Endpoint::Link => continue,
            Endpoint::ClickPixel | Endpoint::Pixel(_) | Endpoint::TagScript | Endpoint::Tag(_) => continue,
            Endpoint::Page(_) => continue,
        };
        for path in paths {
            let text = relay.send("GET", &path, &bearer, "").text();
            found.insert(path, text);
        }
    }
    found
}

/// The ids of what a list answered; none of a refusal.
fn ids(list: &str) -> impl Iterator<Item = String> {
    let items = serde_json::from_str::<Value>(list).unwrap()["items"].take();
    let items: Vec<Value> = items.as_array().cloned().unwrap_or_default();
    items.into_iter().map(|item| {
        let id = [&item["id"], &item["click_id"], &item["list"]].into_iter().find_map(Value::as_str);
        id.expect("an id").to_owned()
    })
}

/// What a call of the network's API is asked.
fn queries(call: NetworkCall) -> &'static [&'static str] {
    match call {
        NetworkCall::Record => &["&click_id=none&offer_id=565"],
        NetworkCall::List => &["&start_date=2020-01-01&end_date=2030-01-01"],
        NetworkCall::Tracking => &["&offer_id=565", "&offer_id=565&api_key=x"],
        // It takes a POST.
        NetworkCall::Update => &[],
    }
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
        for path in page_paths() {
            let beginning = path.split('{').next().unwrap();
            assert!(shown.keys().any(|seen| seen.starts_with(beginning)), "the walk did not see {path}");
        }
        let csrf = csrf(&shown["/sources"]);
        let form = format!("{cookie}{FORM}");
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
    assert_eq!(relay.send("POST", "/sign-in", FORM, &format!("token={ADVERTISER}")).status, 403);
    for (path, text) in answers(&relay, ADVERTISER) {
        for secret in SECRETS.into_iter().chain([KEY, OLD_KEY]) {
            assert!(!text.contains(secret), "{path} shows {secret} to an advertiser:\n{text}");
        }
        assert!(path.starts_with("/api/2/") || text.contains("\"forbidden\""), "{path}: {text}");
    }
}
