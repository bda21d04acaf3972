//! Tokens, proxies and headers from outside: the built `serve` and real sockets, some of other addresses.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::support::access_fixture::{WRONG, ask_from, bearer, get, header, log, pixel, setup, sign_in};
use crate::support::platform::Platform;
use crate::support::relay::{Answer, KEY, TOKEN, ask, parse};

#[test]
fn no_token_and_a_wrong_one_get_different_answers() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    for path in ["/api/v1/conversions", "/metrics", "/api/v1/nothing-here"] {
        let mut messages = Vec::new();
        for (headers, challenge) in [
            (String::new(), "Bearer realm=\"postbridge\""),
            (format!("Authorization: Basic {TOKEN}\r\n"), "Bearer realm=\"postbridge\""),
            (
                format!("Authorization: Bearer {WRONG}\r\n"),
                "Bearer realm=\"postbridge\", error=\"invalid_token\"",
            ),
        ] {
            let answer = ask(relay.address, get(path, &headers).as_bytes()).unwrap();
            assert_eq!(
                (answer.status, header(&answer, "www-authenticate")),
                (401, challenge),
                "{path} {headers}"
            );
            let error = answer.json()["error"].clone();
            assert!(!error.to_string().contains(WRONG), "{error}");
            messages.push(error["message"].as_str().unwrap().to_owned());
        }
        messages.dedup();
        assert_eq!(messages.len(), 3, "{messages:?}");
    }
}

#[test]
fn wrong_tokens_are_limited_by_address_on_every_route_together() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let (one, two) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let routes = [
        bearer("/api/v1/conversions", WRONG),
        bearer("/metrics", WRONG),
        get(
            &format!("/api/2/conversions.json?api_key={WRONG}&start_date=2026-01-01&end_date=2026-01-02"),
            "",
        ),
        sign_in(WRONG, ""),
    ];
    for (number, request) in routes.iter().cycle().take(10).enumerate() {
        let status = ask_from(one, relay.address, request).status;
        assert!(matches!(status, 401 | 403), "{number}: {status}");
    }
    let right = [
        bearer("/api/v1/conversions", TOKEN),
        bearer("/metrics", TOKEN),
        get(
            &format!("/api/2/conversions.json?api_key={TOKEN}&start_date=2026-01-01&end_date=2026-01-02"),
            "",
        ),
        sign_in(TOKEN, ""),
    ];
    for request in right.iter().chain(&routes) {
        let answer = ask_from(one, relay.address, request);
        assert_eq!(answer.status, 429, "{request}\n{}", answer.text());
        let seconds: u64 = header(&answer, "retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    for request in &right {
        assert!(matches!(ask_from(two, relay.address, request).status, 200 | 303), "{request}");
    }
    // Pages without a token, and postbacks, are not concerned.
    assert_eq!(ask_from(one, relay.address, &get("/sign-in", "")).status, 200);
    let postback = get(&format!("/{KEY}/collect/cake-test?s2=c1&tid=t1&price=7"), "");
    assert_eq!(ask_from(one, relay.address, &postback).status, 200);

    let metrics = ask_from(two, relay.address, &bearer("/metrics", TOKEN)).text();
    for line in [
        "postbridge_failed_sign_ins_total{area=\"pages\",reason_code=\"wrong_token\"} 2",
        "postbridge_failed_sign_ins_total{area=\"api_v1\",reason_code=\"wrong_token\"} 3",
        "postbridge_failed_sign_ins_total{area=\"api_2\",reason_code=\"too_many\"} 2",
        "postbridge_failed_sign_ins_total{area=\"metrics\",reason_code=\"lacks_right\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// An import with this token, framing and body.
fn import(token: &str, framing: &str, body: &str) -> String {
    format!(
        "POST /api/v1/suppression/fraud HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n{framing}\r\nConnection: close\r\n\r\n{body}"
    )
}

const TOO_LARGE: &str = "Content-Length: 900000\r\nExpect: 100-continue";
const CHUNKED: &str = "Transfer-Encoding: chunked";

#[test]
fn an_import_that_is_too_large_does_not_say_whether_its_token_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let from = |request: &str| ask_from([127, 0, 0, 4], relay.address, request);
    for number in 0..10 {
        // By its length, and by a chunk.
        let answer = match number % 2 {
            0 => from(&import(WRONG, TOO_LARGE, "")),
            _ => from(&import(WRONG, CHUNKED, "fffff\r\n")),
        };
        assert_eq!(answer.status, 401, "{number}: {}", answer.text());
        assert!(header(&answer, "www-authenticate").contains("invalid_token"), "{}", answer.head);
    }
    for request in [import(TOKEN, TOO_LARGE, ""), import(TOKEN, CHUNKED, "fffff\r\n")] {
        let answer = from(&request);
        assert_eq!(answer.status, 429, "it is not looked at");
        assert!(header(&answer, "retry-after").parse::<u32>().unwrap() > 0, "{}", answer.head);
    }
    assert_eq!(from(&bearer("/api/v1/conversions", TOKEN)).status, 429);
}

#[test]
fn a_wrong_token_of_an_import_counts_once_however_its_body_is_framed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let small = "5\r\na@b.c\r\n0\r\n\r\n";
    let from = |request: &str| ask_from([127, 0, 0, 6], relay.address, request);
    for _ in 0..3 {
        assert_eq!(from(&import(WRONG, CHUNKED, small)).status, 401);
        assert_eq!(from(&import(WRONG, "Content-Length: 5", "a@b.c")).status, 401);
        assert_eq!(from(&import(WRONG, TOO_LARGE, "")).status, 401);
    }
    let right = from(&bearer("/api/v1/conversions", TOKEN));
    assert_eq!(right.status, 200, "nine wrong ones are not too many: {}", right.text());
    let import = from(&import(TOKEN, CHUNKED, "6\r\nip,1\n\r\n0\r\n\r\n"));
    assert_ne!(import.status, 401, "{}", import.text());
}

/// A gzip that is small, and 80 KB when it is inflated.
fn inflates() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&b"a@b.example\n".repeat(7_000)).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_body_that_inflates_to_more_than_others_may_send_says_nothing_about_the_token_either() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let packed = inflates();
    let head = |path: &str, token: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            packed.len()
        )
    };
    let send = |path: &str, token: &str| {
        ask(relay.address, &[head(path, token).as_bytes(), &packed].concat()).unwrap().status
    };
    assert_eq!(send("/api/v1/suppression/fraud", TOKEN), 200);
    for path in ["/api/v1/suppression/fraud", "/api/v1/clicks"].into_iter().cycle().take(10) {
        assert_eq!(send(path, WRONG), 401, "{path}");
    }
    assert_eq!(send("/api/v1/suppression/fraud", WRONG), 429, "each was counted");
    assert_eq!(send("/api/v1/suppression/fraud", TOKEN), 429, "it is not looked at");
}

#[test]
fn sign_ins_refusals_and_changes_leave_lines_by_the_tokens_name_and_no_content() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = setup(folder.path(), "");
    setup.extra = setup.extra.replace("127.0.0.1:9", &platform.address.to_string());
    let relay = setup.start();
    assert_eq!(ask(relay.address, sign_in(TOKEN, "").as_bytes()).unwrap().status, 303);
    for _ in 0..5 {
        ask_from([127, 0, 0, 5], relay.address, &sign_in(WRONG, ""));
    }
    relay.postback("cake-test", b"s2=c1&tid=t1&price=7");
    let id = relay.api("/api/v1/conversions")["items"][0]["id"].as_str().unwrap().to_owned();
    let changed = relay.post(
        &format!("/api/v1/conversions/{id}/status"),
        r#"{"status":"rejected","note":"jo@example.com returned it"}"#,
    );
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(relay.post("/api/v1/suppression/fraud", "jo@example.com\n").status, 200);
    assert_eq!(relay.post("/api/v1/suppression/fraud", "\u{feff}\0").status, 400);
    let log = log(folder.path());
    let lines = |wanted: &str| log.lines().filter(|line| line.contains(wanted)).count();
    assert_eq!(lines("signed in to the pages"), 1, "{log}");
    assert_eq!(lines("refused: a wrong token was presented"), 1, "one a minute: {log}");
    assert_eq!(lines("conversion: status"), 1, "{log}");
    assert_eq!(lines("suppression list: entries"), 1, "what was refused changed nothing: {log}");
    let change = log.lines().find(|line| line.contains("conversion: status")).unwrap();
    assert!(change.contains(&id) && change.contains("token=\"test\""), "{change}");
    for secret in [TOKEN, WRONG, KEY, "jo@example.com", "127.0.0.5"] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
}

#[test]
fn what_is_not_a_public_asset_is_kept_by_no_one_and_its_type_is_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let tag = ask(relay.address, get("/tag.js", "").as_bytes()).unwrap();
    assert_eq!(header(&tag, "cache-control"), "public, max-age=3600");
    assert_eq!(header(&tag, "x-content-type-options"), "nosniff");
    for request in [
        get("/livez", ""),
        get("/readyz", ""),
        get("/metrics", ""),
        bearer("/metrics", TOKEN),
        bearer("/api/v1/conversions", TOKEN),
        bearer("/api/v1/conversions", WRONG),
        get("/api/2/conversions.json", ""),
        get("/nothing/here", ""),
        get("/sign-in", ""),
        get("/conversions", ""),
        get("/c/8599", ""),
        get("/c/none", ""),
        pixel("", 1),
        get("/pixel.js?offer=565", ""),
        get("/click.gif?campaign=8599", ""),
        get(&format!("/{KEY}/collect/cake-test?s2=c1&tid=t1&price=7"), ""),
        get("/wrong-key/collect/cake-test?tid=1", ""),
        get("/t/click", ""),
        "GET /a b HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(),
    ] {
        let answer = ask(relay.address, request.as_bytes()).unwrap();
        assert_eq!(header(&answer, "cache-control"), "no-store", "{request}{}", answer.head);
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{request}{}", answer.head);
        assert_eq!(header(&answer, "strict-transport-security"), "", "{request}{}", answer.head);
    }
}

#[test]
fn hsts_and_the_secure_cookie_follow_the_connection_and_not_the_public_url() {
    let by_https = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
    let by_http = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: http\r\n";
    for (trusted, headers, is_https) in [
        ("", "", false),
        ("", by_https, false),
        ("trusted_proxies = [\"127.0.0.1\"]\n", by_https, true),
        ("trusted_proxies = [\"127.0.0.1\"]\n", by_http, false),
        ("trusted_proxies = [\"127.0.0.1\"]\n", "", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = format!("public_url = \"https://t.example.com\"\n{trusted}");
        let relay = setup(folder.path(), &server).start();
        let entered = ask(relay.address, sign_in(TOKEN, headers).as_bytes()).unwrap();
        assert_eq!(entered.status, 303);
        let cookie = header(&entered, "set-cookie");
        assert_eq!(cookie.starts_with("__Host-postbridge="), is_https, "{cookie}");
        assert_eq!(cookie.ends_with("; Secure"), is_https, "{cookie}");
        let hsts = if is_https { "max-age=31536000" } else { "" };
        assert_eq!(header(&entered, "strict-transport-security"), hsts);
        let cookie = format!("{headers}Cookie: {}\r\n", cookie.split(';').next().unwrap());
        let page = ask(relay.address, get("/sources", &cookie).as_bytes()).unwrap();
        assert_eq!(page.status, 200, "who signed in is in, whatever the public URL says");
        let postback = get(&format!("/{KEY}/collect/cake-test?s2=c1&tid=t1&price=7"), headers);
        let postback = ask(relay.address, postback.as_bytes()).unwrap();
        assert_eq!(header(&postback, "strict-transport-security"), hsts);
    }
}

/// As [`ask`], for what takes long where nothing is optimised.
fn ask_patiently(address: SocketAddr, request: &str) -> Answer {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    parse(answer).unwrap()
}

/// A hundred thousand lines with ids of orders: a thousand different ones, so that little has to be written.
fn lines() -> String {
    (0..100_000).map(|n| format!("ORDER-2026-11-WITH-A-RATHER-LONG-NUMBER-{}\n", n % 1000)).collect()
}

#[test]
fn an_import_of_a_hundred_thousand_lines_fits_for_those_who_may_import() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let text = lines();
    assert!(text.len() > 4_000_000);
    let head = |line: &str, token: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            text.len()
        )
    };
    let reported = ask_patiently(
        relay.address,
        &(head("POST /api/v1/suppression/fraud%202026?kind=order_id", TOKEN) + &text),
    );
    assert_eq!(reported.status, 200);
    let counts = r#"{"list":"fraud 2026","added":1000,"already_there":99000,"refused":0,"#;
    assert!(reported.text().starts_with(counts), "{:.200}", reported.text());

    // By the form of the pages.
    let some: String = text.lines().take(10_000).map(|line| format!("{line}%0A")).collect();
    let entered = ask(relay.address, sign_in(TOKEN, "").as_bytes()).unwrap();
    let cookie = header(&entered, "set-cookie").split(';').next().unwrap().to_owned();
    let page = ask(relay.address, get("/suppression", &format!("Cookie: {cookie}\r\n")).as_bytes()).unwrap();
    let csrf =
        page.text().split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let form = |cookie: &str| {
        let body = format!("csrf={csrf}&list=by-page&kind=order_id&entries={some}");
        format!(
            "POST /suppression HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let imported = ask_patiently(relay.address, &form(&cookie));
    assert_eq!(imported.status, 200, "{}", imported.text());
    assert_eq!(relay.api("/api/v1/suppression")["items"][0]["entries"], 1_000);

    // No one else, and nowhere else.
    for (line, token, status) in [
        ("POST /api/v1/suppression/fraud", WRONG, 401),
        ("POST /api/v1/clicks", TOKEN, 413),
        ("POST /suppression", TOKEN, 413),
    ] {
        let answer = ask(relay.address, head(line, token).as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{line} {token}");
    }
    let stranger = form("postbridge=none");
    let stranger = stranger.split_inclusive("\r\n\r\n").next().unwrap();
    assert_eq!(ask(relay.address, stranger.as_bytes()).unwrap().status, 413);
}
