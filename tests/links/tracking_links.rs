//! Tracking links through a built `serve`: the click is kept, then its visitor is sent on, byte for byte.

use postbridge::domain::ids::VisitorId;
use postbridge::ingest::landing::CarriedPairs;
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::url::{LANDING_NAMES, MacroUrl};
use postbridge::web::visitor::{CookieRule, Transport};
use proptest::prelude::*;

use crate::support::link_fixture::{
    BROWSER, browse, header, location, parameter, relay_with, visit, with_offer,
};
use crate::support::relay::{Relay, ask};

/// A relay with an offer, and the folder it lives in.
fn relay(offer: &str) -> (Relay, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (relay_with(folder.path(), "", offer, ""), folder)
}

#[test]
fn a_link_sends_its_visitor_to_the_offer_with_the_id_of_a_click_that_is_kept() {
    let (relay, _folder) = relay("");
    let answer = visit(
        &relay,
        "GET",
        b"/c/8599?s1=one&fbclid=F1&other=x",
        &format!(
            "User-Agent: {BROWSER}\r\nReferer: https://blog.example/post\r\nCookie: _fbp=fb.1.2.3; secret=no\r\n"
        ),
    );
    let target = location(&answer);
    assert!(target.starts_with("https://advertiser.example/lp?cid="), "{target}");
    assert_eq!(parameter(&target, "s1").as_deref(), Some("one"));
    assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(&answer, "referrer-policy").as_deref(), Some("strict-origin-when-cross-origin"));

    let id = parameter(&target, "cid").unwrap();
    let accepted = relay.postback("cake-test", format!("s2={id}&tid=t1&price=7").as_bytes()).json();
    assert_eq!(accepted["attribution"], "matched", "{accepted}");
    let trace = relay.api(&format!("/api/v1/conversions/{}", accepted["conversion_id"].as_str().unwrap()));
    let click = &trace["click"];
    assert_eq!(click["landing_url"], target, "{click}");
    assert_eq!(click["referrer"], "https://blog.example/post");
    assert_eq!(click["user_agent"], BROWSER);
    assert_eq!(click["params"]["fbclid"], "F1");
    assert_eq!(click["cookies"]["_fbp"], "fb.1.2.3");
    assert!(click["cookies"].get("secret").is_none(), "{click}");
    assert!(click["params"].get("other").is_none(), "{click}");
}

#[test]
fn a_click_is_on_the_disk_before_its_visitor_is_sent_on() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "", "");
    let ids: Vec<String> =
        (0..20).map(|_| parameter(&location(&browse(&relay, "/c/8599")), "cid").unwrap()).collect();
    relay.kill();
    let relay = relay_with(folder.path(), "", "", "");
    for id in ids {
        let answer = relay.postback("cake-test", format!("s2={id}&tid={id}&price=7").as_bytes()).json();
        assert_eq!(answer["attribution"], "matched", "{answer}");
    }
}

#[test]
fn no_one_is_sent_on_before_the_disk_has_the_click() {
    let folder = tempfile::tempdir().unwrap();
    let setup = with_offer(folder.path(), "", "", "");
    // Written and not yet synced: a visitor who is on his way now is lost with the power.
    let relay = setup.env("POSTBRIDGE_CRASH_AT", "commit.after_write:1").start();
    let answer = ask(relay.address, b"GET /c/8599 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn a_link_in_the_shape_of_affiliate_and_creative_finds_its_campaign() {
    let (relay, _folder) = relay("");
    let target = location(&browse(&relay, "/?a=200&c=761&s1=x"));
    assert_eq!(parameter(&target, "s1").as_deref(), Some("x"));
    assert_eq!(browse(&relay, "/?a=200&c=999").status, 404);
    assert_eq!(browse(&relay, "/?a=201&c=761").status, 404);
    for shouted in ["/?A=200&C=761&S1=x", "/?a=200&amp;C=761&s1=x", "/?x=1?A=200&C=761&s1=x"] {
        assert_eq!(parameter(&location(&browse(&relay, shouted)), "s1").as_deref(), Some("x"), "{shouted}");
    }
    assert_eq!(browse(&relay, "/click.gif?Campaign=8599").status, 200);
    assert_eq!(browse(&relay, "/click.gif?A=200&C=761").status, 200);
    // With one of them alone it is no tracking link but the first page.
    assert_ne!(browse(&relay, "/?a=200").status, 302);
}

#[test]
fn an_unknown_campaign_goes_to_the_fallback_and_without_one_to_a_page() {
    let (bare, _folder) = relay("");
    let answer = browse(&bare, "/c/nope?url=https://evil.example/");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("leads nowhere"), "{}", answer.text());
    drop(bare);
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "fallback_url = \"https://example.com/\"\n", "", "");
    assert_eq!(location(&browse(&relay, "/c/nope")), "https://example.com/");
    assert_eq!(location(&browse(&relay, "/c/")), "https://example.com/");
    assert_eq!(location(&browse(&relay, "/c/8599/more")), "https://example.com/");
}

#[test]
fn parameters_that_the_offer_passes_go_on_and_what_its_url_has_wins() {
    let (relay, _folder) = relay("pass = [\"utm_*\", \"gclid\", \"s1\", \"cid\"]");
    let target = location(&browse(&relay, "/c/8599?utm_source=a&utm_term=b&gclid=G&s1=own&cid=forged&x=no"));
    assert!(target.ends_with("&s1=own&utm_source=a&utm_term=b&gclid=G"), "{target}");
    assert_ne!(parameter(&target, "cid").as_deref(), Some("forged"));
}

#[test]
fn bytes_that_are_not_utf_8_are_handed_on_as_they_are() {
    let (relay, _folder) = relay("pass = [\"utm_*\"]");
    let target = location(&visit(&relay, "GET", b"/c/8599?utm_city=K%F6ln&utm_raw=\xe9&s1=%E9", ""));
    assert!(target.ends_with("&utm_city=K%F6ln&utm_raw=%E9"), "{target}");
}

#[test]
fn what_a_link_carries_reaches_the_target_encoded_exactly_once() {
    let (relay, _folder) = relay("pass = [\"utm_*\"]");
    for (raw, encoded) in [
        ("a+b", "a%20b"),
        ("a%20b", "a%20b"),
        ("a%2Bb", "a%2Bb"),
        ("a%2520b", "a%2520b"),
        ("100%25", "100%25"),
        ("100%", "100%25"),
        ("a%26b%3Dc", "a%26b%3Dc"),
        ("a%23b", "a%23b"),
        ("a&amp;utm_y=2", "a"),
        ("caf%C3%A9", "caf%C3%A9"),
        ("%0d%0aSet-Cookie:%20x", "%0D%0ASet-Cookie%3A%20x"),
        ("https://evil.example/?x=1", "https%3A%2F%2Fevil.example%2F%3Fx%3D1"),
    ] {
        let target = location(&browse(&relay, &format!("/c/8599?s1={raw}&utm_x={raw}")));
        assert!(target.starts_with("https://advertiser.example/lp?cid="), "{target}");
        let (_, query) = target.split_once("&s1=").unwrap();
        let (s1, rest) = query.split_once("&utm_").unwrap();
        assert_eq!(s1, encoded, "{raw}: {target}");
        assert!(rest.contains(&format!("x={encoded}")), "{raw}: {target}");
    }
}

#[test]
fn the_visitor_is_known_again_by_a_first_party_cookie() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "click_cookie_days = 45", "");
    let first = header(&browse(&relay, "/c/8599"), "set-cookie").unwrap();
    let (pair, attributes) = first.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=3888000; SameSite=Lax; HttpOnly");
    let again = visit(&relay, "GET", b"/c/8599", &format!("Cookie: other=1; {pair}\r\n"));
    assert_eq!(header(&again, "set-cookie").unwrap(), first);
    let forged = visit(&relay, "GET", b"/c/8599", "Cookie: pbv=<script>\r\n");
    assert!(!header(&forged, "set-cookie").unwrap().contains("script"));
}

#[test]
fn on_https_the_cookie_reaches_pixels_on_other_sites() {
    let rule = CookieRule { transport: Transport::Https, max_age_days: 30 };
    let visitor = VisitorId::mint(1_795_000_000_000, [7; 16]);
    assert_eq!(
        rule.set(&visitor).unwrap(),
        format!("pbv={visitor}; Path=/; Max-Age=2592000; SameSite=None; Secure; HttpOnly").as_str()
    );
}

#[test]
fn a_head_is_answered_as_a_get_without_a_body() {
    let (relay, _folder) = relay("");
    let answer = visit(&relay, "HEAD", b"/c/8599?s1=x", "");
    assert_eq!(parameter(&location(&answer), "s1").as_deref(), Some("x"));
    assert!(answer.body.is_empty());
    assert_eq!(visit(&relay, "POST", b"/c/8599", "Content-Length: 0\r\n").status, 405);
}

#[test]
fn the_click_pixel_records_the_page_that_shows_it() {
    let (relay, _folder) = relay("");
    let page = "https://shop.example/lp?gclid=G1&utm_source=news";
    let answer = visit(
        &relay,
        "GET",
        b"/click.gif?campaign=8599&s1=left",
        &format!("User-Agent: {BROWSER}\r\nReferer: {page}\r\n"),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "content-type").as_deref(), Some("image/gif"));
    assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
    assert!(answer.body.starts_with(b"GIF89a"));
    assert!(header(&answer, "set-cookie").unwrap().starts_with("pbv="));
    assert_eq!(browse(&relay, "/click.gif?campaign=nope").status, 404);
}

#[test]
fn a_click_id_behind_a_second_question_mark_or_in_capitals_is_kept_with_the_click() {
    let (relay, _folder) = relay("");
    let page = "Referer: https://shop.example/lp?x=1?gclid=G1&FBCLID=F1\r\n";
    assert_eq!(visit(&relay, "GET", b"/click.gif?campaign=8599", page).status, 200);
    let newest = || relay.api("/api/v1/clicks?limit=1")["items"][0]["params"].clone();
    assert_eq!(newest(), serde_json::json!({"gclid": "G1", "fbclid": "F1"}));
    assert_eq!(browse(&relay, "/c/8599?s1=a?TTCLID=T1").status, 302);
    assert_eq!(newest(), serde_json::json!({"ttclid": "T1"}));
}

#[test]
fn no_text_of_a_link_reaches_the_host_it_leads_to() {
    let (relay, _folder) = relay("pass = [\"*\"]");
    for query in ["s1=@evil.example", "url=https://evil.example", "s1=..%2F..%2F", "%0d%0aLocation:%20x=1"] {
        let target = location(&browse(&relay, &format!("/c/8599?{query}")));
        let parsed = url::Url::parse(&target).unwrap();
        assert_eq!((parsed.host_str(), parsed.path()), (Some("advertiser.example"), "/lp"), "{target}");
    }
}

proptest! {
    #[test]
    fn any_value_reaches_the_target_encoded_exactly_once(value in prop::collection::vec(any::<u8>(), 1..60), text in "\\PC{1,30}") {
        let url = MacroUrl::compile("https://a.example/p?s1={s1}#top", &Grammar::braces(), LANDING_NAMES).unwrap();
        let encoded: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
        let query = format!("utm_x={encoded}");
        let carried = CarriedPairs::of_query(query.as_bytes());
        let passed = carried.passed(&["utm_*".to_owned()], &[]);
        let target = url.render_passing(&|_| Some(text.clone()), &passed);
        prop_assert!(target.is_ascii() && !target.contains(char::is_whitespace));
        let (_, query) = target.split_once('?').unwrap();
        let query = query.strip_suffix("#top").unwrap();
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let decoded = |raw: &str| percent_encoding::percent_decode_str(raw).collect::<Vec<u8>>();
        let (name, s1) = pairs.next().unwrap();
        prop_assert_eq!((name, decoded(s1)), ("s1", text.clone().into_bytes()));
        let (name, passed) = pairs.next().unwrap();
        prop_assert_eq!((name, decoded(passed)), ("utm_x", value));
        prop_assert_eq!(pairs.next(), None);
    }
}
