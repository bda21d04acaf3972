//! Links in a real browser: pages that a direct link leads to, and links that AutoTag knows by their shape.

use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::tag_fixture::{RECORDER, TagFixture, sent};

fn click_id(page: &mut Page) -> String {
    page.until("!!(window.postbridge && postbridge.clickId && postbridge.clickId())");
    page.text("postbridge.clickId()")
}

/// The click that the page has just sent.
fn sent_click(page: &mut Page) -> Value {
    let all = sent(page);
    let click = all.iter().rev().find(|reported| reported["path"] == "/t/click");
    click.unwrap()["body"].clone()
}

#[test]
fn a_direct_link_is_read_as_the_network_reads_it() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    fixture.put("/plain", &format!("{RECORDER}{}<h1>Direct</h1>", fixture.tag("")));
    fixture.put("/named", &format!("{RECORDER}{}<h1>Direct</h1>", fixture.tag("data-campaign=\"1\"")));
    let all = json!({"a": "200", "c": "761", "s1": "one two", "s2": "2", "s3": "c", "s4": "+", "s5": "é"});
    for (path, query, params) in [
        ("/plain", "a=200&c=761&s1=one+two&s2=2&s3=c&s4=%2B&s5=%C3%A9&s6=six&x=y", all.clone()),
        ("/named", "A=200&C=761&S1=one%20two&S2=2&S3=c&S4=%2b&S5=%c3%a9&sub1=x", all.clone()),
        (
            "/plain",
            "fbclid=F_1&a=200&amp;c=761&amp;s1=x",
            json!({"fbclid": "F_1", "a": "200", "c": "761", "s1": "x"}),
        ),
        ("/named", "x=1?a=200&c=761&s1=why?&s1=second", json!({"a": "200", "c": "761", "s1": "why?"})),
        ("/plain", "a=&a=200&s1=&c=761", json!({"a": "200", "c": "761"})),
    ] {
        page.open(&fixture.shop(&format!("{path}?{query}")));
        let id = click_id(&mut page);
        let message = sent_click(&mut page);
        assert_eq!((&message["click_id"], &message["params"]), (&json!(id), &params), "{query}");
        let campaign = if path == "/named" { json!("1") } else { Value::Null };
        assert_eq!(message["campaign"], campaign, "what is written on the script is sent too");
        let kept = fixture.click(&id);
        assert_eq!(kept["sub_ids"]["s1"], params.get("s1").cloned().unwrap_or_default(), "{kept}");
        assert_eq!(kept["params"].get("a"), None, "{kept}");
        let campaign_ref = &kept["campaign_ref"];
        assert_eq!(
            (&campaign_ref["campaign"], &campaign_ref["affiliate"], &campaign_ref["creative"]),
            (&json!("8599"), &json!("200"), &json!("761")),
            "before what is written on the script: {kept}"
        );
        // The next visitor.
        page.value("localStorage.clear(); document.cookie = 'pb_cid=; path=/; domain=shop.test; max-age=0'");
    }
}

#[test]
fn another_direct_link_is_another_click_and_a_part_of_one_is_none() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    fixture.put("/lp", &format!("{RECORDER}{}<h1>Direct</h1>", fixture.tag("")));
    let mut open = |query: &str| {
        page.open(&fixture.shop(&format!("/lp?{query}")));
        click_id(&mut page)
    };
    let first = open("a=200&c=761&s1=x");
    for same in [
        "",
        "a=200&c=761&s1=x",
        "A=200&C=761&S1=x&y=z",
        "a=7",
        "c=7&s1=y",
        "s1=z",
        "a=200&c=&s1=z",
        "utm_source=x",
        "next=https://elsewhere.test/?a=201&c=762",
    ] {
        assert_eq!(open(same), first, "{same}");
    }
    let second = open("a=200&c=762&s1=x");
    let third = open("a=200&c=762&s1=y");
    let fourth = open("a=201&c=762&s1=y");
    let mut all = vec![first, second, third, fourth];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4);
}

#[test]
fn the_sub_ids_of_a_long_address_are_whole() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    fixture.put("/lp", &format!("{RECORDER}{}<h1>Direct</h1>", fixture.tag("")));
    let (filler, s1) = ("x".repeat(2100), "y".repeat(100));
    page.open(&fixture.shop(&format!("/lp?long={filler}&a=200&c=761&s1={s1}")));
    let id = click_id(&mut page);
    assert_eq!(fixture.click(&id)["sub_ids"], json!({"s1": s1}));
}

#[test]
fn a_value_that_is_too_long_does_not_cost_the_click() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    fixture.put("/lp", &format!("{RECORDER}{}<h1>Long</h1>", fixture.tag("")));
    let long = "x".repeat(6000);
    page.open(&fixture.shop("/lp?gclid=none"));
    page.value(&format!("document.cookie = '_fbp={}; path=/'", &long[..3000]));
    page.open(&fixture.shop(&format!("/lp?fbclid={long}&gclid=G_1&ttclid={}", &long[..2048])));
    let id = click_id(&mut page);
    let kept = fixture.click(&id);
    assert_eq!(kept["params"], json!({"gclid": "G_1", "ttclid": &long[..2048]}));
    assert_eq!(kept["cookies"], json!({}));
}

/// A page of links, each with the text by which the test knows it.
fn page_of(fixture: &TagFixture, links: &[(&str, String)]) -> String {
    let links = links.iter().map(|(id, href)| format!("<a id=\"{id}\" href=\"{href}\">{id}</a>\n"));
    format!("{RECORDER}{}<h1>Links</h1>{}", fixture.tag(""), links.collect::<String>())
}

#[test]
fn autotag_knows_a_networks_links_by_their_shape_and_leaves_what_only_looks_like_them() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    let shaped = [
        ("plain", "https://track.elsewhere.test/?a=200&amp;c=761"),
        ("swapped", "https://elsewhere.test/?c=761&amp;x=y&amp;a=200#part"),
        ("capitals", "https://elsewhere.test/rd/go?A=200&amp;C=761&amp;s1=mine"),
        ("escaped", "https://elsewhere.test/?%61=200&amp;c=761"),
        ("empty", "https://elsewhere.test/?a=200&amp;c=761&amp;s2="),
    ];
    let others = [
        ("own-host", "/search?a=200&amp;c=761".to_owned()),
        ("own-host-whole", fixture.shop("/search?a=200&amp;c=761")),
        ("own-host-elsewhere", "https://www.shop.test:81/?a=200&amp;c=761".to_owned()),
        ("letters", "https://elsewhere.test/?a=red&amp;c=761".to_owned()),
        ("letters-within", "https://elsewhere.test/?a=200&amp;c=761b".to_owned()),
        ("signed", "https://elsewhere.test/?a=-200&amp;c=7.5".to_owned()),
        ("blank", "https://elsewhere.test/?a=200&amp;c=".to_owned()),
        ("only-a", "https://elsewhere.test/?a=200".to_owned()),
        ("only-c", "https://elsewhere.test/?c=761&amp;s1=x".to_owned()),
        ("longer-names", "https://elsewhere.test/?aa=200&amp;cc=761".to_owned()),
        ("url-within", "https://elsewhere.test/go?to=https://shop.test/?a=200&amp;c=761".to_owned()),
        ("fragment", "https://elsewhere.test/#?a=200&amp;c=761".to_owned()),
        ("mail", "mailto:a@elsewhere.test?a=200&amp;c=761".to_owned()),
    ];
    let kept = ("mine", "https://elsewhere.test/?a=200&amp;c=761&amp;S2=mine".to_owned());
    let mut links: Vec<(&str, String)> = shaped.iter().map(|(id, href)| (*id, (*href).to_owned())).collect();
    links.extend(others.iter().cloned());
    links.push(kept.clone());
    fixture.put("/lp", &page_of(&fixture, &links));
    page.open(&fixture.shop("/lp"));
    let id = click_id(&mut page);
    page.until("document.getElementById('plain').search.includes('s2=')");
    let mut href = |id: &str| page.text(&format!("document.getElementById('{id}').getAttribute('href')"));
    assert_eq!(href("plain"), format!("https://track.elsewhere.test/?a=200&c=761&s2={id}"));
    assert_eq!(href("swapped"), format!("https://elsewhere.test/?c=761&x=y&a=200&s2={id}#part"));
    assert_eq!(href("capitals"), format!("https://elsewhere.test/rd/go?A=200&C=761&s1=mine&s2={id}"));
    assert_eq!(href("escaped"), format!("https://elsewhere.test/?%61=200&c=761&s2={id}"));
    assert_eq!(href("empty"), format!("https://elsewhere.test/?a=200&c=761&s2={id}"));
    for (id, written) in others.iter().chain([&kept]) {
        assert_eq!(href(id), written.replace("&amp;", "&"), "{id}");
    }

    // What is known as an offer's link is reported as one, what only looks like it is not.
    let before = sent(&mut page).len();
    for (link, more) in [("letters", 0), ("own-host", 0), ("mine", 1), ("plain", 2)] {
        page.value(&format!(
            "document.getElementById('{link}').addEventListener('click', event => event.preventDefault())"
        ));
        page.value(&format!("document.getElementById('{link}').click()"));
        let reported = sent(&mut page);
        assert_eq!(reported.len(), before + more, "{link}: {reported:?}");
    }
    assert_eq!(sent(&mut page).pop().unwrap()["body"]["name"], "OutboundClick");
}
