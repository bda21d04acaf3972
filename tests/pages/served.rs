//! The pages of the network's side as a relay serves them by its configuration.

use base64::Engine;
use sha2::{Digest, Sha384};

use crate::support::relay::{CAMPAIGN, Setup, ask};
use crate::support::signed_in::SignedIn;

const POSTBACK: &str = r#"
[campaign.postback]
url = "https://aff.example/pb?cid=#s2#&payout=#price#"
"#;
const TAG: &str = r#"
[tag]
origins = ["https://shop.example"]
"#;

fn browser(folder: &std::path::Path) -> SignedIn {
    let mut setup = Setup::cake_to_meta(folder, "127.0.0.1:9".parse().unwrap());
    setup.extra.push_str(&[CAMPAIGN, POSTBACK, TAG].concat());
    SignedIn::of(setup.start())
}

/// What is between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).expect(before).1.split_once(after).expect(after).0
}

#[test]
fn the_pages_show_the_configured_offers_campaigns_and_postbacks() {
    let folder = tempfile::tempdir().unwrap();
    let browser = browser(folder.path());
    let offer = browser.get("/offers/565");
    assert!(
        offer.contains(
            "http://127.0.0.1/api/2/conversion.json?api_key=API_KEY&offer_id=565&click_id=REPLACE<"
        )
    );
    assert!(offer.contains("http://127.0.0.1/c/8599<"));
    let campaigns = browser.get("/campaigns");
    assert!(campaigns.contains("http://127.0.0.1/?a=200&c=761<"), "{campaigns}");
    assert!(campaigns.contains("https://aff.example/pb?cid=#s2#&payout=#price#<"), "{campaigns}");
    assert!(browser.get("/destinations").contains("campaign:8599"));
}

#[test]
fn the_snippet_names_a_script_that_is_served_and_has_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let browser = browser(folder.path());
    let page = browser.get("/tag");
    let path = between(&page, "src=\"http://127.0.0.1/tag.", "\"");
    let path = if path == "js" {
        between(page.split_once("/tag.js").unwrap().1, "src=\"http://127.0.0.1/tag.", "\"")
    } else {
        path
    };
    let request = format!("GET /tag.{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let script = ask(browser.relay.address, request.as_bytes()).unwrap();
    assert_eq!(script.status, 200);
    let hash = base64::prelude::BASE64_STANDARD.encode(Sha384::digest(&script.body));
    assert!(page.contains(&format!("integrity=\"sha384-{hash}\"")), "{page}");
}

#[test]
fn a_click_on_the_link_is_on_the_pages_with_its_campaign() {
    let folder = tempfile::tempdir().unwrap();
    let browser = browser(folder.path());
    let link = b"GET /c/8599?s1=news HTTP/1.1\r\nHost: test\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\nConnection: close\r\n\r\n";
    let sent = ask(browser.relay.address, link).unwrap();
    assert_eq!(sent.status, 302);
    let id = between(&sent.head, "https://advertiser.example/lp?cid=", "&s1=news\r\n");
    let click = browser.get(&format!("/clicks/{id}"));
    for wanted in ["Example Media", "news", "Someone clicked", "desktop"] {
        assert!(click.contains(wanted), "`{wanted}` is not in {click}");
    }
    assert!(browser.get("/clicks?campaign=8599").contains(id));
    assert!(browser.get("/offers/565").contains("<dt>Billable clicks today</dt><dd>1</dd>"));
}
