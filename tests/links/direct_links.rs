//! Direct links: the landing page's own address names affiliate and creative, to the click pixel and the tag.

use serde_json::{Value, json};

use crate::support::link_fixture::{BROWSER, browse, header, relay_with, visit};
use crate::support::relay::{Answer, Relay, ask};
use crate::support::tag_fixture::{TagFixture, message};

const MORE: &str = r#"
[[creative]]
id = "761"
offer = "565"

[[creative]]
id = "762"
offer = "565"
url = "https://summer.example/lp?cid={click_id}"

[[affiliate]]
id = "201"

[[campaign]]
id = "8600"
offer = "565"
affiliate = "201"
creative = ["761", "762"]
"#;

/// The click pixel on a page.
fn pixel(relay: &Relay, image: &str, page: &str) -> Answer {
    let headers = format!("User-Agent: {BROWSER}\r\nReferer: {page}\r\n");
    visit(relay, "GET", image.as_bytes(), &headers)
}

/// The newest click.
fn newest(relay: &Relay) -> Value {
    relay.api("/api/v1/clicks?limit=1")["items"][0].clone()
}

fn pixel_relay() -> (Relay, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (relay_with(folder.path(), "", "", MORE), folder)
}

#[test]
fn the_click_pixel_reads_affiliate_creative_and_sub_ids_from_the_pages_address() {
    let (relay, _folder) = pixel_relay();
    for (image, page, campaign, creative, sub) in [
        ("/click.gif", "https://advertiser.example/lp?a=201&c=762&s1=one", "8600", "762", "one"),
        ("/click.gif", "https://advertiser.example/lp?x=1&C=761&A=200&S1=two#top", "8599", "761", "two"),
        (
            "/click.gif?campaign=8599&s1=image",
            "https://a.example/?a=201&c=761&s1=three",
            "8600",
            "761",
            "three",
        ),
        ("/click.gif?a=200&c=761", "https://a.example/?s1=four&amp;a=201&amp;c=762", "8600", "762", "four"),
    ] {
        let answer = pixel(&relay, image, page);
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        assert!(header(&answer, "set-cookie").unwrap().starts_with("pbv="));
        let click = newest(&relay);
        assert_eq!(click["landing_url"], page, "{click}");
        let placed = &click["campaign_ref"];
        assert_eq!(
            (&placed["campaign"], &placed["creative"]),
            (&json!(campaign), &json!(creative)),
            "{page}"
        );
        assert_eq!((&click["sub_ids"]["s1"], &click["origin"]), (&json!(sub), &json!("pixel")), "{page}");
    }
}

#[test]
fn where_the_address_names_no_campaign_the_images_own_counts() {
    let (relay, _folder) = pixel_relay();
    for (image, page, campaign, creative) in [
        ("/click.gif?campaign=8600", "https://a.example/?a=999&c=761", "8600", "761"),
        ("/click.gif?campaign=8600&c=762", "https://a.example/lp", "8600", "762"),
        ("/click.gif?campaign=8600", "https://a.example/lp?c=762", "8600", "762"),
        ("/click.gif?campaign=8600", "https://a.example/lp?a=&c=", "8600", "761"),
        ("/click.gif?A=201&C=762", "https://a.example/lp?a=201", "8600", "762"),
        ("/click.gif?c=762", "https://a.example/lp?a=201", "8600", "762"),
    ] {
        let answer = pixel(&relay, image, page);
        assert_eq!(answer.status, 200, "{image} on {page}: {}", answer.text());
        let placed = newest(&relay)["campaign_ref"].clone();
        assert_eq!(
            (&placed["campaign"], &placed["creative"]),
            (&json!(campaign), &json!(creative)),
            "{image}"
        );
    }
    let before = newest(&relay);
    for (image, page) in [
        ("/click.gif", "https://a.example/lp?campaign=8600"),
        ("/click.gif", "https://a.example/lp?a=201&c=999"),
        ("/click.gif", "https://a.example/lp#?a=201&c=761"),
        ("/click.gif", "https://a.example/"),
    ] {
        let answer = pixel(&relay, image, page);
        assert_eq!(answer.status, 404, "{page}");
        assert!(answer.text().contains("unsafe-url"), "{}", answer.text());
    }
    assert_eq!(browse(&relay, "/click.gif").status, 404);
    assert_eq!(newest(&relay), before);
}

/// A click as the tag sends it, with more in it.
fn tagged(fixture: &TagFixture, id: &str, more: Value) -> Value {
    let body = message(id, more).to_string();
    let text = format!(
        "POST /t/click HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: {}\r\nContent-Type: text/plain\r\n\
         User-Agent: {BROWSER}\r\nContent-Length: {}\r\n\r\n{body}",
        fixture.shop(""),
        body.len()
    );
    let answer = ask(fixture.relay.address, text.as_bytes()).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
    fixture.click(id)
}

#[test]
fn the_tag_reads_affiliate_creative_and_sub_ids_from_the_pages_address() {
    let fixture = TagFixture::with(MORE);
    for (number, (more, campaign, creative)) in [
        (json!({"landing_url": "https://a.example/lp?a=201&c=762&s1=x"}), "8600", "762"),
        (json!({"landing_url": "https://a.example/lp?C=761&utm_source=q&A=200&S1=x#a=201"}), "8599", "761"),
        // What is written on the script is every visitor's.
        (json!({"campaign": "8599", "landing_url": "https://a.example/?a=201&c=762&s1=x"}), "8600", "762"),
        (json!({"campaign": "8599", "landing_url": "https://a.example/?pb_campaign=8599&a=201&c=762&s1=x"}), "8599", "761"),
        (json!({"campaign": "8600", "landing_url": "https://a.example/?a=201&c=999&s1=x"}), "8600", "761"),
        (json!({"campaign": "8600", "landing_url": "https://a.example/?c=762&s1=x"}), "8600", "762"),
        // A long address is cut; what the tag picked from it is not.
        (json!({"params": {"a": "201", "c": "762", "s1": "x"}, "landing_url": "https://a.example/lp"}), "8600", "762"),
    ]
    .into_iter()
    .enumerate()
    {
        let click = tagged(&fixture, &format!("direct-{number}"), more);
        let placed = &click["campaign_ref"];
        assert_eq!((&placed["campaign"], &placed["creative"]), (&json!(campaign), &json!(creative)), "{click}");
        assert_eq!((&placed["offer"], &click["sub_ids"]["s1"]), (&json!("565"), &json!("x")), "{click}");
        assert!(click["params"].get("a").is_none() && click["params"].get("c").is_none(), "{click}");
    }
}

#[test]
fn an_address_that_names_no_campaign_leaves_the_click_without_one() {
    let fixture = TagFixture::with(MORE);
    for (number, query) in
        ["a=201", "c=761", "a=999&c=761", "a=201&c=<b>", "a=201&c=761%00", "a=&c=", "%FF=1&a=%FF&c=761"]
            .iter()
            .enumerate()
    {
        let more = json!({"landing_url": format!("https://a.example/lp?{query}")});
        let click = tagged(&fixture, &format!("none-{number}"), more);
        assert_eq!(click["campaign_ref"], Value::Null, "{query}");
    }
}
