//! Proxies in front that no one declared, or that name no one: what their visitors may do, and who is warned.

use std::fs;
use std::time::Duration;

use crate::support::access_fixture::{WRONG, bearer, get, header, log, pixel, setup, sign_in};
use crate::support::relay::{Connection, KEY, Relay, TOKEN, ask, wait_until};

fn tag(headers: &str, number: usize) -> String {
    let body =
        format!(r#"{{"event":"Purchase","transaction_id":"G{number}","url":"https://shop.example/"}}"#);
    format!(
        "POST /t/event HTTP/1.1\r\nHost: test\r\nOrigin: https://shop.example\r\nContent-Type: text/plain\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// How many of sixty requests at once are answered 429.
fn turned_away(relay: &Relay, request: impl Fn(usize) -> String + Sync) -> usize {
    let address = relay.address;
    let one = |number: usize| ask(address, request(number).as_bytes()).unwrap().status == 429;
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> =
            (0..6).map(|n| scope.spawn(move || (0..10).filter(|m| one(n * 10 + m)).count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn buyers_behind_an_undeclared_proxy_are_not_taken_for_one_and_the_operator_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path(), "");
    let relay = setup.start();
    assert!(turned_away(&relay, |number| pixel("", number)) > 0, "one address has its limit");
    let is_let_in = || ask(relay.address, pixel("", 0).as_bytes()).unwrap().status != 429;
    assert!(wait_until(Duration::from_secs(5), is_let_in), "the next second begins anew");
    for name in ["X-Forwarded-For", "X-Real-IP"] {
        let headers = |number: usize| format!("{name}: 198.51.100.{number}\r\n");
        assert_eq!(turned_away(&relay, |number| pixel(&headers(number), number)), 0, "{name}");
        assert_eq!(turned_away(&relay, |number| tag(&headers(number), number)), 0, "{name}");
    }
    let forwarded = |number: usize| format!("Forwarded: for=198.51.100.{number}\r\n");
    assert_eq!(turned_away(&relay, |number| pixel(&forwarded(number), 100 + number)), 0);
    let cookie = signed_in(&relay, &forwarded(2));
    let page = ask(relay.address, get("/conversions", &cookie).as_bytes()).unwrap().text();
    let page = page.replace("&#x3D;", "=").replace("&quot;", "\"");
    assert!(
        page.contains("A proxy at <code>127.0.0.1</code> forwards requests and is not declared"),
        "{page}"
    );
    assert!(page.contains("<code>trusted_proxies = [\"127.0.0.1\"]</code>"), "{page}");
    let warned = |log: &str| log.lines().filter(|line| line.contains("a proxy that is not declared")).count();
    assert_eq!(warned(&log(folder.path())), 1, "{}", log(folder.path()));
    assert!(log(folder.path()).contains("trusted_proxies = [\"127.0.0.1\"]"));
    let kept = relay.api("/api/v1/postbacks?source=pixel&limit=1000");
    let peers: Vec<_> =
        kept["items"].as_array().unwrap().iter().map(|one| one["raw"]["peer"].clone()).collect();
    assert!(peers.iter().all(|peer| peer == "127.0.0.1"), "what it says is not believed: {peers:?}");

    let path = folder.path().join("postbridge.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n")).unwrap();
    relay.signal(1);
    let gone = || {
        let page = ask(relay.address, get("/conversions", &cookie).as_bytes()).unwrap();
        page.status == 200 && !page.text().contains("is not declared")
    };
    assert!(wait_until(Duration::from_secs(10), gone), "declared, it is not named any more");
    let one = |number| pixel("X-Forwarded-For: 198.51.100.1\r\n", 200 + number);
    assert!(turned_away(&relay, one) > 0, "now each visitor has a limit of its own");
}

/// Signs in, and answers the header line with the cookie.
fn signed_in(relay: &Relay, headers: &str) -> String {
    let entered = ask(relay.address, sign_in(TOKEN, headers).as_bytes()).unwrap();
    assert_eq!(entered.status, 303, "{}", entered.text());
    format!("Cookie: {}\r\n", header(&entered, "set-cookie").split(';').next().unwrap())
}

#[test]
fn no_one_guesses_on_through_an_undeclared_proxy_and_who_is_signed_in_there_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let through = |number: usize| format!("X-Forwarded-For: 198.51.100.{number}\r\n");
    let cookie = signed_in(&relay, &through(1));
    let wrong = |number| ask(relay.address, sign_in(WRONG, &through(number)).as_bytes()).unwrap().status;
    for number in 0..100 {
        assert_eq!(wrong(number), 403, "{number}: they have a hundred together");
    }
    for number in 0..20 {
        assert_eq!(wrong(number), 429);
    }
    let api =
        |token: &str| get("/api/v1/conversions", &format!("{}Authorization: Bearer {token}\r\n", through(7)));
    for request in [sign_in(TOKEN, &through(3)), api(TOKEN), api(WRONG)] {
        let answer = ask(relay.address, request.as_bytes()).unwrap();
        assert_eq!(answer.status, 429, "a right one is not looked at, or it could be guessed: {request}");
    }
    // Who is signed in sees pages and may sign in anew; a cookie that is none exempts no one.
    let headers = format!("{}{cookie}", through(1));
    assert_eq!(ask(relay.address, get("/sources", &headers).as_bytes()).unwrap().status, 200);
    // Nor are the conversions of advertisers lost.
    for (key, status) in [(TOKEN, 200), (WRONG, 429)] {
        let request = get(&format!("/api/2/conversions.json?api_key={key}"), &through(8));
        assert_eq!(ask(relay.address, request.as_bytes()).unwrap().status, status, "{request}");
    }
    let none = format!("{}Cookie: postbridge=none\r\n", through(1));
    assert_eq!(ask(relay.address, sign_in(TOKEN, &none).as_bytes()).unwrap().status, 429);
    assert_eq!(ask(relay.address, sign_in(TOKEN, &headers).as_bytes()).unwrap().status, 303);
    // Nor are those concerned who do not come through it.
    assert_eq!(ask(relay.address, bearer("/api/v1/conversions", TOKEN).as_bytes()).unwrap().status, 200);
}

#[test]
fn an_undeclared_proxy_is_named_whatever_it_forwards() {
    let metrics = get("/metrics", "X-Real-IP: 198.51.100.1\r\n");
    let through = "X-Forwarded-For: 198.51.100.1\r\n";
    for request in [
        get(&format!("/{KEY}/collect/cake-test?s2=c1&tid=t1&price=7"), through),
        get("/wrong-key/collect/cake-test?tid=1", through),
        get("/api/2/conversion.json?offer_id=565&click_id=c1", through),
        get(&format!("/api/2/conversions.json?api_key={WRONG}"), "Forwarded: for=198.51.100.1\r\n"),
        get("/c/8599", through),
        get("/nothing/here", through),
        metrics,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let relay = setup(folder.path(), "").start();
        ask(relay.address, request.as_bytes()).unwrap();
        let log = log(folder.path());
        assert!(log.contains("trusted_proxies = [\"127.0.0.1\"]"), "{request}\n{log}");
    }
}

#[test]
fn wrong_keys_of_networks_behind_an_undeclared_proxy_do_not_lock_one_another_out() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "").start();
    let tries = |request: &str| {
        let mut connection = Connection::open(relay.address).unwrap();
        (0..60)
            .filter(|_| {
                connection.get_with(request, "X-Forwarded-For: 198.51.100.1\r\n").unwrap().status == 429
            })
            .count()
    };
    for request in ["/wrong-key/collect/cake-test?tid=1", "/api/2/conversion.json?offer_id=565&click_id=c1"] {
        assert_eq!(tries(request), 0, "{request}");
    }
}

/// The first page as someone sees it who is signed in through what `headers` say.
fn first_page(relay: &Relay, headers: &str) -> String {
    let cookie = signed_in(relay, headers);
    let page = ask(relay.address, get("/conversions", &format!("{headers}{cookie}")).as_bytes()).unwrap();
    page.text().replace("&#x3D;", "=").replace("&quot;", "\"")
}

#[test]
fn buyers_behind_an_undeclared_balancer_in_front_of_the_declared_proxy_are_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "trusted_proxies = [\"127.0.0.1\"]\n").start();
    for balancer in ["10.9.0.7", "fd00::7"] {
        let headers = |number: usize| format!("X-Forwarded-For: 198.51.100.{number}, {balancer}\r\n");
        assert_eq!(turned_away(&relay, |number| pixel(&headers(number), number)), 0, "{balancer}");
        assert_eq!(turned_away(&relay, |number| tag(&headers(number), number)), 0, "{balancer}");
        let line = format!("trusted_proxies = [\"127.0.0.1\", \"{balancer}\"]");
        let log = log(folder.path());
        assert_eq!(log.matches(&line).count(), 1, "{log}");
        let page = first_page(&relay, &headers(1));
        assert!(page.contains(&format!("A proxy at <code>{balancer}</code> forwards requests")), "{page}");
        assert!(page.contains(&format!("<code>{line}</code>")), "{page}");
    }
    // One that forwards nothing is a program of one's own, and one.
    let own = |number: usize| pixel("X-Forwarded-For: 10.9.0.8\r\n", 300 + number);
    assert!(turned_away(&relay, own) > 0);
    assert!(!log(folder.path()).contains("10.9.0.8"));
}

#[test]
fn buyers_behind_a_declared_proxy_that_names_no_one_are_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let relay = setup(folder.path(), "trusted_proxies = [\"127.0.0.1\"]\n").start();
    // What its own machine asks for says nothing of it.
    for request in [
        bearer("/api/v1/conversions", TOKEN),
        bearer("/metrics", TOKEN),
        get("/sign-in", ""),
        get("/livez", ""),
    ] {
        ask(relay.address, request.as_bytes()).unwrap();
    }
    assert!(!log(folder.path()).contains("without X-Forwarded-For"), "{}", log(folder.path()));
    for headers in ["", "X-Real-IP: 198.51.100.1\r\n"] {
        assert_eq!(turned_away(&relay, |number| pixel(headers, number)), 0, "{headers}");
        assert_eq!(turned_away(&relay, |number| tag(headers, number)), 0, "{headers}");
    }
    let log = log(folder.path());
    let line = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    let page = first_page(&relay, "");
    assert!(page.contains("The declared proxy at <code>127.0.0.1</code> sends requests without"), "{page}");
    assert!(page.contains(&format!("<code>{line}</code>")), "{page}");
}
