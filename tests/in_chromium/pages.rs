//! The pages in a real browser, without a line of JavaScript: they load, are styled, and say what they must.
//!
//! `POSTBRIDGE_SCREENSHOTS=<folder>` keeps the screenshots there, to be looked at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use postbridge::http1::target::RawHead;
use postbridge::http1::{Handler, Refusal};
use postbridge::web::listen::{ListenSettings, serve};
use postbridge::web::pages::{BrowserRequest, Pages};
use postbridge::web::per_address::LimitKey;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::browser::program;
use crate::support::network_pages_fixture::SECOND;
use crate::support::pages_fixture::PagesFixture;

/// The pages behind the wire, with every path that was asked for.
struct Router {
    pages: Pages,
    asked: Mutex<Vec<String>>,
}

impl Handler for Router {
    async fn handle(
        &self,
        request: Request<Incoming>,
        _: RawHead,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        self.asked.lock().push(path.clone());
        let request = BrowserRequest {
            method: parts.method,
            path,
            query: parts.uri.query().unwrap_or_default().as_bytes().to_vec(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
            limit_key: LimitKey::of(peer.ip()),
            is_https: false,
        };
        let nothing = || {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        };
        self.pages.answer(request).await.unwrap_or_else(nothing)
    }

    async fn refused(&self, refusal: Refusal, _: SocketAddr) {
        panic!("the browser's request was refused: {refusal:?}");
    }
}

/// A look at one page.
#[derive(Clone, Copy)]
struct Look {
    name: &'static str,
    width: u32,
    height: u32,
    dark: bool,
}

/// What the browser made of it: the document, and what it complained of.
struct Seen {
    dom: String,
    complaints: String,
}

/// Opens a URL in a fresh profile, leaves a screenshot and answers the document.
fn open(browser: &str, url: &str, look: Look, folder: &Path) -> Seen {
    let profile = tempfile::tempdir().unwrap();
    let picture = folder.join(format!("{}.png", look.name));
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--hide-scrollbars", "--enable-logging=stderr", "--timeout=20000", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--window-size={},{}", look.width, look.height));
    command.arg(format!("--blink-settings=preferredColorScheme={}", if look.dark { 0 } else { 1 }));
    command.arg(format!("--screenshot={}", picture.display()));
    let output = command.arg(url).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{browser} failed on {}: {stderr}", look.name);
    let png = std::fs::read(&picture)
        .unwrap_or_else(|error| panic!("no screenshot of {}: {error}: {stderr}", look.name));
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((side(16), side(20)), (look.width, look.height), "{}", look.name);
    assert!(png.len() > 8_000, "{} is blank: {} bytes", look.name, png.len());
    Seen { dom: String::from_utf8(output.stdout).unwrap(), complaints: stderr }
}

/// Each page with what its document must hold.
fn places(sale: &str, seen: &str) -> Vec<(&'static str, String, Vec<&'static str>)> {
    let sources = vec!["the-key/collect/cake-test?s1=#s1#", "for=\"p-pasted\"", "2026-11-20 12:00:00"];
    vec![
        (
            "conversions",
            "/conversions".to_owned(),
            vec!["A-1001", "A-1000", "7.50 USD", "for=\"f-transaction\""],
        ),
        (
            "conversion",
            sale.to_owned(),
            vec!["caf<mark>\\xe9</mark>", "Retry now", "\"value\": 7.50", "Bearer ***"],
        ),
        ("quarantine", "/quarantine".to_owned(), vec!["Reprocess", "<code>R-1</code>"]),
        ("dead-letters", "/dead-letters".to_owned(), vec!["<code>order_id</code> is wrong", "Retry now"]),
        ("irreversible", "/irreversible".to_owned(), vec!["No destination counts a sale differently"]),
        ("sources", "/sources".to_owned(), sources),
        ("destinations", "/destinations".to_owned(), vec!["Parked since", "the token has expired"]),
        ("clicks", "/clicks".to_owned(), vec![SECOND, "marked", "for=\"f-marked\""]),
        ("click", format!("/clicks/{SECOND}"), vec!["is of the same visitor", "V-1", "Windows 10"]),
        ("visitor-sale", seen.to_owned(), vec!["last_touch", "for=\"s-status\"", "the offer's fixed payout"]),
        ("offers", "/offers".to_owned(), vec!["Lamps", "paused", "7.00 USD"]),
        ("offer", "/offers/565".to_owned(), vec!["click_id=REPLACE", "/pixel.gif?offer=565", "720 hours"]),
        ("campaigns", "/campaigns".to_owned(), vec!["/c/8599", "cid=#s2#", "80 %"]),
        (
            "generate-link",
            "/generate-link?affiliate=200&campaign=8599&creative=761".to_owned(),
            vec!["/c/8599", "spring?a=200&amp;c=761", "click.gif?campaign=8599", "for=\"g-creative\""],
        ),
        ("tag", "/tag".to_owned(), vec!["sha384-abcdef", "/click.gif?campaign=8599"]),
        ("lists", "/suppression".to_owned(), vec!["fraud / 2026", "for=\"e-entries\""]),
        ("list", "/suppression/fraud%20%2F%202026".to_owned(), vec!["e-mail (hashed)", "for=\"r-sure\""]),
        ("deliveries", "/deliveries?state=delivered".to_owned(), vec!["shop-hook", "for=\"f-state\""]),
    ]
}

fn check(seen: &Seen, name: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(seen.dom.contains(text), "`{text}` is not on {name}:\n{}", seen.dom);
    }
    assert!(!seen.dom.contains("<script"), "{name} has a script element");
    for complaint in ["Refused to", "violates the following Content Security Policy"] {
        assert!(!seen.complaints.contains(complaint), "{name}: {}", seen.complaints);
    }
}

fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("POSTBRIDGE_SCREENSHOTS") {
        Some(kept) => {
            std::fs::create_dir_all(&kept).unwrap();
            (PathBuf::from(kept), None)
        }
        None => {
            let folder = tempfile::tempdir().unwrap();
            (folder.path().to_path_buf(), Some(folder))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_work_in_chromium_at_a_desk_and_on_a_phone() {
    let Some(browser) = program() else {
        eprintln!("left out: no Chromium on this machine");
        return;
    };
    let fixture = PagesFixture::trading().await;
    let sale = fixture.path_of("A-1001").await;
    let pixel_sale = fixture.path_of("V-1").await;
    let site = Arc::new(Router { pages: fixture.pages.clone(), asked: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(serve(listener, ListenSettings::default(), Arc::clone(&site), stopping));
    let (folder, _temporary) = folder();

    let stranger = format!("http://{address}/quarantine");
    let desk = Look { name: "sign-in", width: 1280, height: 800, dark: false };
    let into = folder.clone();
    let seen = tokio::task::spawn_blocking(move || open(browser, &stranger, desk, &into)).await.unwrap();
    check(&seen, "sign-in", &["for=\"token\"", "type=\"password\"", "value=\"/quarantine\""]);

    for (name, path, wanted) in places(&sale, &pixel_sale) {
        let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let entrance = || format!("http://{address}{}&next={next}", fixture.sessions.link(&fixture.clock));
        let desk = Look { name, width: 1280, height: 1600, dark: false };
        let phone_name: &'static str = Box::leak(format!("{name}-phone-dark").into_boxed_str());
        let phone = Look { name: phone_name, width: 390, height: 1600, dark: true };
        let looks = [(entrance(), desk), (entrance(), phone)].map(|(url, look)| {
            let into = folder.clone();
            tokio::task::spawn_blocking(move || open(browser, &url, look, &into))
        });
        for look in looks {
            check(&look.await.unwrap(), name, &wanted);
        }
        // Both signed in by a link within the same minute: the next pair may too.
        fixture.clock.set(fixture.clock.now().plus_millis(60_000));
    }
    let styled = site.asked.lock().iter().filter(|path| path.starts_with("/pages-")).count();
    assert_eq!(styled, 1 + 2 * places(&sale, &pixel_sale).len(), "each look loads the stylesheet");
}
