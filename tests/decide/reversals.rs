//! A reversal that arrives before its sale is reprocessed when the sale is received.

use std::time::Duration;

use postbridge::domain::code::CodedReason;
use postbridge::domain::ids::SourceId;
use postbridge::domain::postback::Verdict;
use postbridge::domain::rejection::RejectionCause;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::sale::{ReceivedValue, SaleProblem};
use postbridge::domain::status::Status;
use postbridge::ingest::postback::Network;
use postbridge::ingest::reprocess;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::work::first_page;
use postbridge::store::contract::lookup::PostbackFilter;
use tokio::sync::watch;

use crate::support::lost_answers::FirstAnswerLost;
use crate::support::pages_fixture::PagesFixture;
use crate::support::relay::{Setup, wait_until};

async fn step(fixture: &PagesFixture, configured: bool) -> usize {
    let network = |_: &SourceId| -> Option<Network> { configured.then(|| fixture.network.clone()) };
    reprocess::step(fixture.store.as_ref(), &network, &fixture.clock).await.unwrap()
}

#[tokio::test]
async fn a_reversal_takes_its_sale_back_when_that_is_received() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    let early = fixture.receive(b"s2=k1&tid=T-1001&price=-7.50").await;
    assert!(
        matches!(&early.verdict, Verdict::Quarantined(rejection) if rejection.code() == RejectionCode::UnknownTransaction)
    );
    assert_eq!(step(&fixture, true).await, 0);
    fixture.clock.set(fixture.clock.now().plus_millis(5_000));
    let sale = fixture.receive(b"s2=k1&tid=T-1001&price=7.50").await;
    assert_eq!(step(&fixture, true).await, 1);
    assert_eq!(step(&fixture, true).await, 0);
    let id = sale.verdict.conversion().unwrap();
    let conversion = fixture.store.conversion(id).await.unwrap().unwrap().conversion;
    assert_eq!(conversion.status, Status::Rejected);
    assert_eq!(conversion.history[0].at, fixture.clock.now(), "it counts from now");
    let all = fixture.store.postbacks(PostbackFilter::default(), first_page(9)).await.unwrap().items;
    assert_eq!((all.len(), all[0].again), (3, Some(early.postback)), "the record says which one it maps");
    fixture.get("/quarantine").await.hides("T-1001");
}

#[tokio::test]
async fn a_reversal_that_stays_quarantined_is_not_tried_in_a_circle() {
    let fixture = PagesFixture::new();
    let early = fixture.receive(b"s2=k9&tid=T-1001&price=-7.50").await;
    let Some(RejectionCause::Sale(SaleProblem::UnknownTransaction { received, .. })) =
        early.verdict.rejection().and_then(|rejection| rejection.causes().next())
    else {
        panic!("{early:?}")
    };
    let text = "-7.50".to_owned();
    assert_eq!(*received, Some(ReceivedValue { param: "price".to_owned(), text }), "as the sender wrote it");
    // A second sale is received before the reversal is looked at: no one can know which one it means.
    fixture.receive(b"s2=k1&tid=T-1001&price=7.50").await;
    fixture.receive(b"s2=k2&tid=T-1001&price=7.50").await;
    assert_eq!(step(&fixture, true).await, 1);
    assert_eq!(step(&fixture, true).await, 0);
    let last = &fixture.store.postbacks(PostbackFilter::default(), first_page(9)).await.unwrap().items[0];
    assert_eq!(last.again, Some(early.postback));
    let rejection = last.verdict.rejection().unwrap();
    assert_eq!(rejection.code(), RejectionCode::AmbiguousTransaction);
    let Some(RejectionCause::Sale(SaleProblem::AmbiguousTransaction { candidates, .. })) =
        rejection.causes().next()
    else {
        panic!("{rejection:?}")
    };
    assert_eq!(candidates.count, 2);
    fixture.receive(b"s2=k3&tid=T-1001&price=7.50").await;
    assert_eq!(step(&fixture, true).await, 0, "it waits for no further sale");
}

#[tokio::test]
async fn a_reversal_whose_answer_from_the_store_was_lost_is_reprocessed_once() {
    let fixture = PagesFixture::new();
    fixture.receive(b"s2=k9&tid=T-1001&price=-7.50").await;
    // It stays in the quarantine: two sales may be meant.
    fixture.receive(b"s2=k1&tid=T-1001&price=7.50").await;
    fixture.receive(b"s2=k2&tid=T-1001&price=7.50").await;
    let store = FirstAnswerLost::of(fixture.store.clone());
    let network = |_: &SourceId| Some(fixture.network.clone());
    assert_eq!(reprocess::step(&store, &network, &fixture.clock).await.unwrap(), 1);
    let all = fixture.store.postbacks(PostbackFilter::default(), first_page(9)).await.unwrap().items;
    assert_eq!(all.len(), 4, "the three that were received, and one by which it was reprocessed");
}

#[tokio::test]
async fn a_reversal_of_a_source_that_is_gone_is_left_in_the_quarantine() {
    let fixture = PagesFixture::new();
    fixture.receive(b"s2=k1&tid=T-1001&price=-7.50").await;
    fixture.receive(b"s2=k1&tid=T-1001&price=7.50").await;
    assert_eq!((step(&fixture, false).await, step(&fixture, false).await), (1, 0));
    fixture.sign_in().await;
    fixture.get("/quarantine").await.shows("T-1001");
}

#[tokio::test]
async fn the_loop_is_woken_by_the_sale_and_stops_when_reported() {
    let fixture = PagesFixture::new();
    let (stop, stopping) = watch::channel(false);
    let network = fixture.network.clone();
    let store: std::sync::Arc<dyn Store> = fixture.store.clone();
    let running =
        tokio::spawn(reprocess::run(store, move |_| Some(network.clone()), fixture.clock.clone(), stopping));
    fixture.receive(b"s2=k1&tid=T-1001&price=-7.50").await;
    let sale = fixture.receive(b"s2=k1&tid=T-1001&price=7.50").await;
    let id = sale.verdict.conversion().unwrap();
    let taken_back = async {
        while fixture.store.conversion(id).await.unwrap().unwrap().conversion.status != Status::Rejected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken_back).await.unwrap();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_sources_page_warns_of_an_id_that_every_click_has() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    for click in ["k1", "k2"] {
        fixture.receive(format!("s2={click}&tid=SHOP-1&price=7").as_bytes()).await;
    }
    fixture.get("/sources").await.hides("many different clicks");
    fixture.receive(b"s2=k3&tid=SHOP-1&price=7").await;
    fixture.receive(b"s2=k3&tid=SHOP-1&price=7").await;
    fixture.get("/sources").await.shows("many different clicks").shows("SHOP-1").shows("3 conversions");
    let page = fixture.path_of("SHOP-1").await;
    fixture.get(&page).await.shows("it is conversion 3 of this id");
}

#[test]
fn a_running_relay_reprocesses_the_reversal() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap()).start();
    let early = relay.postback("cake-test", b"s2=k1&tid=T-1001&price=-7.50");
    assert_eq!(early.json()["reason_code"], "unknown_transaction", "{}", early.text());
    let sale = relay.postback("cake-test", b"s2=k1&tid=T-1001&price=7.50").json();
    let path = format!("/api/v1/conversions/{}", sale["conversion_id"].as_str().unwrap());
    let taken_back = || relay.api(&path)["status"] == "rejected";
    assert!(wait_until(Duration::from_secs(20), taken_back));
}
