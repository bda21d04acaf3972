//! A store that does not answer for a while ends nothing: who can wait asks again, a request is answered 503.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::header;
use http_body_util::BodyExt;
use jiff::tz::TimeZone;
use postbridge::clock::Clock;
use postbridge::domain::conversion::Dedup;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::ids::SourceId;
use postbridge::domain::postback::{RawRequest, Verdict};
use postbridge::domain::reporter::{Keyless, ParamSpelling, ReportRoute, Reporter};
use postbridge::domain::ruleset::Ruleset;
use postbridge::ingest::reopen::{self, ReportTerms};
use postbridge::ingest::submit::{Received, submit};
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Finding;
use postbridge::store::contract::conformance::fixture::offer::offer;
use postbridge::store::contract::conformance::fixture::received::{at, request, sale};
use postbridge::store::contract::conformance::fixture::work::first_page;
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{ConversionFilter, PostbackFilter};
use postbridge::web::answer::Answer;
use postbridge::web::health::ProcessHealth;
use serde_json::Value;
use tokio::sync::watch;

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, open_store, until};
use crate::support::lost_answers::FirstAnswerLost;
use crate::support::platform::{Act, Platform};
use crate::support::remote_store::RemoteStore;

async fn code_of(answer: Answer) -> String {
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_is_answered_503_by_what_the_store_said_and_only_a_broken_store_ends_the_process() {
    let health = ProcessHealth::default();
    let unavailable = StoreError::Unavailable { cause: "the connection is lost".to_owned() };
    assert_eq!(code_of(health.not_kept(&unavailable)).await, "store_unavailable");
    let corrupt = StoreError::Corrupt { key: "B1".to_owned(), cause: "too short".to_owned() };
    assert_eq!(code_of(health.not_kept(&corrupt)).await, "record_damaged");
    assert!(health.failed().now_or_never().is_none(), "the process goes on");
    let broken = StoreError::Broken { doing: "write", cause: "I/O error".to_owned() };
    assert_eq!(code_of(health.not_kept(&broken)).await, "not_durable");
    assert!(health.failed().now_or_never().is_some());
}

#[tokio::test]
async fn maintenance_asks_again_until_the_store_answers() {
    let remote = RemoteStore::of(open_store());
    remote.cut();
    let (stop, stopping) = watch::channel(false);
    let heartbeat = Arc::new(AtomicI64::new(0));
    let signals = MaintenanceSignals {
        space: Arc::default(),
        keep: RetentionDays { conversions_days: 9, postbacks_days: 9, clicks_days: 9, removed_hours: 72 },
        configured: Arc::new(HashSet::new),
        put_back: Arc::default(),
        stop: stopping,
        heartbeat: Arc::clone(&heartbeat),
    };
    let store: Arc<dyn Store> = remote.clone();
    let running = tokio::spawn(Maintenance::new(store, Clock::fixed(at(0)), signals).run());
    until("two ticks in vain", || remote.asked() >= 2).await;
    assert_ne!(heartbeat.load(Ordering::Relaxed), 0, "it is alive");
    remote.reconnect();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_arrival_whose_answer_was_lost_is_known_when_it_is_asked_for_again() {
    let mut each = sale("t1").forward();
    each.policy.dedup = Dedup::Each;
    let store = FirstAnswerLost::of(open_store());
    store.change_rules(each.rules()).await.unwrap();
    let arrival = each.arrival();
    let lost = store.arrive(arrival.clone()).await;
    assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    let receipt = store.arrive(arrival).await.unwrap();
    assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{receipt:?}");
    let kept = store.conversions(ConversionFilter::default(), first_page(9)).await.unwrap().items;
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn a_report_that_is_taken_once_its_route_is_open_is_counted_where_its_answer_was_lost() {
    let (kept, open) = (open_store(), offer("565"));
    let keyless = Keyless {
        route: ReportRoute::Server,
        spelling: ParamSpelling::Short,
        visitor: None,
        user_agent: None,
        hops: Vec::new(),
    };
    let mut closed = open.clone();
    closed.reports.by.clear();
    let rejection = closed.reports.closed(&closed.id, keyless.route, None).unwrap();
    let reporter = Some(Box::new(Reporter::Keyless(keyless)));
    let raw = RawRequest { reporter, ..request(b"GET /p.ashx?o=565&t=C-1&f=pb HTTP/1.1") };
    let received = Received { source: SourceId::parse("pixel").ok(), raw, received_at: at(5), mapping: None };
    submit(&*kept, received, Finding::Quarantined(rejection.into())).await.unwrap();

    let rules = Ruleset { offers: [(open.id.clone(), Arc::new(open))].into(), ..Ruleset::default() };
    let terms = ReportTerms { rules: Arc::new(rules), zone: TimeZone::UTC, trusted_proxies: Vec::new() };
    kept.change_rules(Arc::clone(&terms.rules)).await.unwrap();
    let store = FirstAnswerLost::of(Arc::clone(&kept));
    assert_eq!(reopen::all(&store, &terms, &Clock::fixed(at(9))).await.unwrap(), 1);
    let all = kept.postbacks(PostbackFilter::default(), first_page(9)).await.unwrap().items;
    assert_eq!(all.len(), 2, "as it was received, and as it counts: {all:?}");
}

#[tokio::test]
async fn an_attempt_whose_record_waits_for_the_store_is_made_once_and_kept() {
    let remote = RemoteStore::of(open_store());
    let cut = Arc::clone(&remote);
    let platform = Platform::start(move |_| {
        cut.cut();
        Act::ok(TAKEN)
    });
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::on(remote.clone(), &targets);
    let id = fixture.sale("t").await;
    let dispatch = fixture.dispatch(&targets);
    until("two tries to record", || remote.asked() >= 2).await;
    assert!(dispatch.faults().borrow().is_none(), "it is no fault");
    remote.reconnect();
    let state = async || remote.conversion(id).await.unwrap().unwrap().deliveries.remove(0).0.state;
    let recorded = async {
        while !matches!(state().await, DeliveryState::Delivered { .. }) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded).await.unwrap();
    assert_eq!(platform.count(), 1);
    dispatch.stop(Duration::from_secs(5)).await;
}
