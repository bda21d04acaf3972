//! Who may see the pages: tokens, one-time links, sessions, and forms that no one can forge.

use http::{Method, StatusCode};
use postbridge::domain::rights::Rights;
use postbridge::domain::time::HOUR_MS;
use postbridge::web::auth::Tokens;
use postbridge::web::guesses::MOST_WRONG;
use postbridge::web::pages::session::{IDLE_MS, LINK_MS, SESSION_MS};

use crate::support::pages_fixture::{Answered, PagesFixture, TOKEN, noon};

const PLACES: [&str; 7] = [
    "/conversions",
    "/conversions/00",
    "/quarantine",
    "/dead-letters",
    "/irreversible",
    "/sources",
    "/destinations",
];

#[tokio::test]
async fn every_page_leads_a_stranger_to_the_sign_in_and_back() {
    let fixture = PagesFixture::new();
    for place in PLACES {
        let answer = fixture.get(place).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{place}");
        assert!(answer.header("location").starts_with("/sign-in"), "{place}");
        assert!(answer.text.is_empty());
    }
    let answer = fixture.get("/dead-letters?destination=meta-main").await;
    assert_eq!(answer.header("location"), "/sign-in?next=%2Fdead-letters%3Fdestination%3Dmeta-main");
    let form = fixture.get(answer.header("location")).await;
    form.shows("name=\"token\"").shows("value=\"/dead-letters?destination&#x3D;meta-main\"");
    let fields = [("token", TOKEN), ("next", "/dead-letters?destination=meta-main")];
    let entered = fixture.post_only("/sign-in", &fields).await;
    assert_eq!(entered.header("location"), "/dead-letters?destination=meta-main");
    fixture.keep_cookie(&entered);
    assert_eq!(fixture.get("/dead-letters?destination=meta-main").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_token_opens_nothing() {
    let fixture = PagesFixture::new();
    for token in ["wrong", "a-token-for-tests-012345678"] {
        let answer = fixture.post_only("/sign-in", &[("token", token)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("set-cookie"), "");
        answer.shows("none of the configured tokens");
    }
    for token in ["", " "] {
        let answer = fixture.post_only("/sign-in", &[("token", token)]).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
        answer.shows("No token was entered");
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_only_and_secure_where_the_connection_is() {
    let mut fixture = PagesFixture::new();
    let plain = fixture.post_only("/sign-in", &[("token", TOKEN)]).await;
    let cookie = plain.header("set-cookie").to_owned();
    assert!(cookie.starts_with("postbridge=") && cookie.ends_with("; HttpOnly; SameSite=Lax"), "{cookie}");
    assert!(cookie.contains("Path=/; Max-Age=43200"), "{cookie}");

    fixture.is_https = true;
    let secure = fixture.post_only("/sign-in", &[("token", TOKEN)]).await;
    let cookie = secure.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-postbridge=") && cookie.ends_with("SameSite=Lax; Secure"), "{cookie}");
    fixture.keep_cookie(&plain);
    assert_eq!(
        fixture.get("/sources").await.status,
        StatusCode::SEE_OTHER,
        "a cookie of http does not count"
    );
    fixture.keep_cookie(&secure);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::OK);
    fixture.is_https = false;
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER, "nor one of https over http");
}

/// Tries to sign in from this address.
async fn tried(fixture: &PagesFixture, token: &str, client: &str) -> Answered {
    fixture.ask(Method::POST, "/sign-in", format!("token={token}"), client).await.unwrap()
}

/// Presents all the wrong tokens that one address may.
async fn used_up(fixture: &PagesFixture, client: &str) {
    for _ in 0..MOST_WRONG {
        assert_eq!(tried(fixture, "guess", client).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn an_address_waits_after_ten_wrong_tokens_and_no_other_does() {
    let fixture = PagesFixture::new();
    used_up(&fixture, "192.0.2.1").await;
    let late = tried(&fixture, TOKEN, "192.0.2.1").await;
    assert_eq!(late.status, StatusCode::TOO_MANY_REQUESTS, "even the right token waits");
    assert_eq!((late.header("retry-after"), late.header("set-cookie")), ("60", ""));
    late.shows("Too many wrong tokens from this address. Wait 60 seconds");
    assert_eq!(tried(&fixture, TOKEN, "192.0.2.2").await.status, StatusCode::SEE_OTHER, "another is free");

    for n in 0..1000 {
        let refused = tried(&fixture, "guess", &format!("198.18.{}.{}", n / 200, n % 200)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "there is no limit over all");
    }
    assert_eq!(tried(&fixture, TOKEN, "192.0.2.3").await.status, StatusCode::SEE_OTHER);
    assert_eq!(tried(&fixture, TOKEN, "198.18.0.1").await.status, StatusCode::SEE_OTHER);
    fixture.clock.set(noon().plus_millis(60_000));
    let later = tried(&fixture, TOKEN, "192.0.2.1").await;
    assert_eq!(later.status, StatusCode::SEE_OTHER, "a minute later it is free");
}

#[tokio::test]
async fn only_wrong_tokens_count() {
    let fixture = PagesFixture::new();
    for _ in 0..3 * MOST_WRONG {
        assert_eq!(tried(&fixture, TOKEN, "192.0.2.1").await.status, StatusCode::SEE_OTHER);
        assert_eq!(tried(&fixture, "", "192.0.2.2").await.status, StatusCode::FORBIDDEN);
        for path in ["/sign-in", "/sign-in?once=guess", "/conversions"] {
            fixture.ask(Method::GET, path, String::new(), "192.0.2.2").await.unwrap();
        }
    }
    assert_eq!(tried(&fixture, TOKEN, "192.0.2.2").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_one_time_link_opens_also_where_the_address_waits() {
    let fixture = PagesFixture::new();
    used_up(&fixture, "192.0.2.1").await;
    let link = fixture.sessions.link(&fixture.clock);
    let entered = fixture.ask(Method::GET, &link, String::new(), "192.0.2.1").await.unwrap();
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_is_signed_in_at_an_address_is_not_locked_out_by_others_there() {
    let mut fixture = PagesFixture::new();
    tried(&fixture, TOKEN, "192.0.2.1").await;
    used_up(&fixture, "192.0.2.1").await;
    assert_eq!(tried(&fixture, "guess", "192.0.2.1").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(tried(&fixture, TOKEN, "192.0.2.1").await.status, StatusCode::SEE_OTHER);

    // A session that has ended, or whose token is none any more, exempts no one.
    fixture.clock.run(IDLE_MS);
    used_up(&fixture, "192.0.2.1").await;
    assert_eq!(tried(&fixture, TOKEN, "192.0.2.1").await.status, StatusCode::TOO_MANY_REQUESTS);
    tried(&fixture, TOKEN, "192.0.2.4").await;
    fixture.pages.tokens = Tokens::new([("new", "another", Rights::everything())]);
    used_up(&fixture, "192.0.2.4").await;
    assert_eq!(tried(&fixture, "another", "192.0.2.4").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn one_subscriber_of_ipv6_is_one_address() {
    let fixture = PagesFixture::new();
    for n in 0..MOST_WRONG {
        tried(&fixture, "guess", &format!("2001:db8:1:2:{n:x}::1")).await;
    }
    assert_eq!(tried(&fixture, TOKEN, "2001:db8:1:2:ffff::9").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(tried(&fixture, TOKEN, "2001:db8:1:3::9").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_after_two_idle_ones_and_by_signing_out() {
    let fixture = PagesFixture::busy().await;
    for hours in 1..=11 {
        fixture.clock.run(HOUR_MS);
        assert_eq!(fixture.get("/sources").await.status, StatusCode::OK, "{hours}");
    }
    fixture.clock.run(SESSION_MS - 11 * HOUR_MS - 1);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::OK);
    fixture.clock.run(1);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER);

    fixture.forget_cookie();
    fixture.sign_in().await;
    fixture.clock.run(IDLE_MS);
    assert_eq!(
        fixture.get("/sources").await.status,
        StatusCode::SEE_OTHER,
        "no page was opened for two hours"
    );

    fixture.forget_cookie();
    fixture.sign_in().await;
    let out = fixture.post("/sign-out", &[]).await;
    assert_eq!(out.header("location"), "/sign-in");
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER, "the id itself is void");
}

#[tokio::test]
async fn a_clock_that_is_set_ends_no_session_and_keeps_none_nor_a_link() {
    let fixture = PagesFixture::busy().await;
    for days in [500, -500, 0] {
        fixture.clock.set(noon().plus_hours(24 * days));
        assert_eq!(fixture.get("/sources").await.status, StatusCode::OK, "{days}");
    }
    let links = [fixture.sessions.link(&fixture.clock), fixture.sessions.link(&fixture.clock)];
    fixture.clock.set(noon().plus_hours(24 * 500));
    assert_eq!(fixture.get(&links[0]).await.status, StatusCode::SEE_OTHER);
    fixture.clock.run(LINK_MS);
    fixture.clock.set(noon());
    assert_eq!(fixture.get(&links[1]).await.status, StatusCode::FORBIDDEN, "its ten minutes are over");
    fixture.clock.run(IDLE_MS - LINK_MS);
    fixture.clock.set(noon().plus_hours(-24));
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER, "its two hours are over");
}

#[tokio::test]
async fn a_new_sign_in_ends_the_session_that_the_browser_presents_and_no_other() {
    let fixture = PagesFixture::new();
    let enter = async || fixture.post_only("/sign-in", &[("token", TOKEN)]).await;
    let elsewhere = enter().await;
    let first = enter().await;
    fixture.keep_cookie(&first);
    let second = enter().await;
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER, "the first one ended");
    for session in [&second, &elsewhere] {
        fixture.keep_cookie(session);
        assert_eq!(fixture.get("/sources").await.status, StatusCode::OK);
    }
    let link = fixture.sessions.link(&fixture.clock);
    let linked = fixture.get(&link).await;
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER, "so does a link's sign-in");
    fixture.keep_cookie(&linked);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::OK);
    let refused = fixture.post_only("/sign-in", &[("token", "wrong")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::OK, "one that fails ends nothing");
}

#[tokio::test]
async fn a_session_outlives_a_reload_but_not_the_token_that_opened_it() {
    let mut fixture = PagesFixture::new();
    fixture.keep_cookie(&fixture.post_only("/sign-in", &[("token", TOKEN)]).await);
    fixture.pages.tokens =
        Tokens::new([("new", "another", Rights::everything()), ("ops", TOKEN, Rights::everything())]);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::OK);
    fixture.pages.tokens = Tokens::new([("ops", "another", Rights::everything())]);
    assert_eq!(fixture.get("/sources").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_signs_in_once_and_for_ten_minutes() {
    let fixture = PagesFixture::new();
    let link = fixture.sessions.link(&fixture.clock);
    let looked = fixture.ask(Method::HEAD, &link, String::new(), "192.0.2.1").await.unwrap();
    assert_eq!(
        (looked.status, looked.header("set-cookie")),
        (StatusCode::OK, ""),
        "only looking uses nothing up"
    );
    let first = fixture.get(&format!("{link}&next=%2Fquarantine")).await;
    assert_eq!((first.status, first.header("location")), (StatusCode::SEE_OTHER, "/quarantine"));
    let second = fixture.get(&link).await;
    assert_eq!((second.status, second.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    second.shows("was used already");

    let stale = fixture.sessions.link(&fixture.clock);
    fixture.clock.run(LINK_MS);
    let late = fixture.get(&stale).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    late.shows("ten minutes of this sign-in link are over").hides("was used already");
    fixture.get("/sign-in?once=of-another-start").await.shows("since Postbridge started");
    assert_eq!(fixture.get("/sign-in?once=").await.status, StatusCode::OK, "an empty one is no link");
}

#[tokio::test]
async fn signing_in_leads_only_to_pages_of_our_own() {
    let fixture = PagesFixture::new();
    for elsewhere in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/conversions\r\nX: y",
        "/livez",
        "/sign-in",
        "javascript:alert(1)",
    ] {
        let entered = fixture.post_only("/sign-in", &[("token", TOKEN), ("next", elsewhere)]).await;
        assert_eq!(entered.header("location"), "/conversions", "{elsewhere:?}");
        fixture.clock.set(fixture.clock.now().plus_millis(60_000));
    }
}

#[tokio::test]
async fn without_tokens_the_pages_say_how_to_set_one() {
    let mut fixture = PagesFixture::new();
    fixture.pages.tokens = Tokens::default();
    for place in PLACES.into_iter().chain(["/sign-in"]) {
        let answer = fixture.get(place).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
        answer.shows("No token is configured").shows("POSTBRIDGE_TOKEN");
    }
    let tried = fixture.post_only("/sign-in", &[("token", "")]).await;
    assert_eq!(tried.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_does_nothing() {
    let fixture = PagesFixture::busy().await;
    let sale = fixture.path_of("A-1001").await;
    let id = sale.trim_start_matches("/conversions/").to_owned();
    let retry = format!("/deliveries/{id}~meta-main~first/retry");
    for path in [retry.as_str(), "/postbacks/3/reprocess", "/sources", "/sign-out"] {
        for csrf in ["", "0000"] {
            let answer = fixture.post_only(path, &[("csrf", csrf), ("pasted", "tid=1")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            answer.shows("nothing was done");
        }
    }
    fixture.get(&sale).await.shows("dead</span>");
    fixture.forget_cookie();
    let answer = fixture.post(&retry, &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "the token alone is no session");
}

#[tokio::test]
async fn a_path_takes_only_its_methods() {
    let fixture = PagesFixture::busy().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/conversions", "GET, HEAD"),
        (Method::POST, "/quarantine", "GET, HEAD"),
        (Method::GET, "/sign-out", "POST"),
        (Method::GET, "/postbacks/1/reprocess", "POST"),
    ] {
        let answer = fixture.ask(method, path, String::new(), "192.0.2.9").await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, allowed));
    }
    for path in ["/conversion", "/conversions/1/2", "/pages-00.css", "/api/v1/conversions", "/?a=1&c=2"] {
        assert!(fixture.ask(Method::GET, path, String::new(), "192.0.2.9").await.is_none(), "{path}");
    }
    assert_eq!(
        fixture.get("/?a=1").await.header("location"),
        "/conversions",
        "`a` alone is no tracking link"
    );
}
