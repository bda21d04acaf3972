//! What `/metrics` shows of a relay that has just begun: every number explained, every counter at 0.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postbridge::web::health::MetricsPage;

use crate::support::relay::{Setup, TOKEN, ask};

fn metrics() -> String {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let accepted = relay.postback("cake-test", b"s2=c1&tid=t1&price=7");
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    let answer = ask(relay.address, request.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[test]
fn every_number_of_metrics_says_what_it_is() {
    let text = metrics();
    let named = |head: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(head));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let (typed, explained) = (named("# TYPE "), named("# HELP "));
    assert!(typed.len() >= 12, "{text}");
    let bare: Vec<_> = typed.difference(&explained).collect();
    assert!(bare.is_empty(), "{bare:?} have no HELP in\n{text}");
}

#[test]
fn the_first_death_raises_a_counter_that_was_at_0() {
    let text = metrics();
    for line in [
        "postbridge_dead_total{destination=\"meta-main\",reason_code=\"platform_rejected\"} 0",
        "postbridge_dead_total{destination=\"meta-main\",reason_code=\"gave_up\"} 0",
        "postbridge_skipped_total{destination=\"meta-main\",reason_code=\"payload_incomplete\"} 0",
        "postbridge_attempts_total{destination=\"meta-main\",reason_code=\"delivered\"} 0",
        "postbridge_attempts_total{destination=\"meta-main\",reason_code=\"no_answer\"} 0",
        "postbridge_parked{destination=\"meta-main\"} 0",
        "postbridge_breaker_open{destination=\"meta-main\"} 0",
        "postbridge_on_hold{destination=\"meta-main\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_first_quarantined_postback_of_a_source_and_the_first_wrong_key_raise_counters_that_were_at_0() {
    let text = metrics();
    let quarantined = ["cake-test", "cake-api", "pixel", "tag"]
        .map(|source| format!("postbridge_postbacks_total{{source=\"{source}\",verdict=\"quarantined\"}} 0"));
    let refused = ["bad_key", "unknown_source"]
        .map(|code| format!("postbridge_refused_total{{reason_code=\"{code}\"}} 0"));
    for line in quarantined.iter().chain(&refused) {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn metrics_that_cannot_be_rendered_are_a_500_and_the_next_scrape_is_tried() {
    let page = MetricsPage::new(Arc::new(|| Box::pin(async { panic!("a bug") })));
    for _ in 0..2 {
        assert_eq!(page.answer().await.status(), 500);
    }
}

#[tokio::test]
async fn one_scrape_at_a_time_is_rendered() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let page = MetricsPage::new(Arc::new(move || {
        let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
        Box::pin(async move {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // As long as it takes the others to begin, if they may.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            String::new()
        })
    }));
    let scrapes = (0..8).map(|_| page.clone()).map(|page| tokio::spawn(async move { page.answer().await }));
    for scrape in scrapes.collect::<Vec<_>>() {
        assert_eq!(scrape.await.unwrap().status(), 200);
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
