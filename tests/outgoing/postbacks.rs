//! Outgoing postbacks from end to end: what is sent to whom and when, and what is kept of it.

use std::time::Duration;

use postbridge::dispatch::prepare::forecast;
use postbridge::domain::change_rules::Changes;
use postbridge::domain::code::CodedReason;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::delivery_reason::{DeathCode, DeathReason};
use postbridge::domain::exchange::{PlatformAnswer, Said, SendRefused};
use postbridge::domain::ids::{AffiliateId, ConversionId, DestinationId};
use postbridge::domain::money::Money;
use postbridge::domain::remark::Remark;
use postbridge::domain::routing::{Route, RouteScope};
use postbridge::domain::skip::{ForwardedBy, SkipCode, SkipReason};
use postbridge::domain::status::Status;
use postbridge::preview::{PreviewedDelivery, preview_outgoing};
use postbridge::store::contract::conformance::fixture::reason::skip_code;
use postbridge::store::contract::conformance::fixture::received::usd;
use postbridge::story::run::run_outgoing_stories;
use postbridge::template::destination::rendering::DestinationMode;

use crate::support::dispatch_fixture::DispatchFixture;
use crate::support::outgoing_fixture::{
    CampaignPostback, campaign_ref, click, clicked, dispatch, fixture, receive, sale, taking, targets, words,
};
use crate::support::platform::{Act, Platform};
use crate::support::stories::expectations;

#[test]
fn every_outgoing_story_ends_as_it_says() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let report = run_outgoing_stories(&fixtures, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(report.passed.len() >= 18, "{:?}", report.passed);
}

#[tokio::test]
async fn a_sale_is_reported_by_one_get_and_both_payouts_are_kept() {
    let tracker = taking().await;
    let reported = [CampaignPostback { scale: "0.80", ..CampaignPostback::to("8599", &tracker) }];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let sale = sale(&fixture, "k1", "8599").await;
    let (_, attempts) = fixture.reaches(sale, "delivered").await;
    let received = tracker.received();
    assert_eq!(received[0].method, "GET");
    assert_eq!(received[0].target, "/pb?cid=theirs-k1&payout=5.60&tid=T-k1&st=approved");
    assert!(received[0].body.is_empty());
    let scale = "0.80".to_owned();
    assert_eq!(attempts[0].remarks, [Remark::PayoutScaled { payout: usd("7.00"), sent: usd("5.60"), scale }]);
    let sent = attempts[0].sent.as_deref().unwrap();
    assert_eq!((sent.event.as_str(), sent.value), ("Purchase", Some(usd("5.60"))));
    let trace = fixture.store.conversion(sale).await.unwrap().unwrap();
    assert_eq!(trace.conversion.payout, Some(usd("7.00")));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn only_the_campaign_that_brought_the_click_is_reported() {
    let tracker = taking().await;
    let reported = [CampaignPostback::to("1", &tracker), CampaignPostback::to("2", &tracker)];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let sale = sale(&fixture, "k1", "2").await;
    let (delivery, _) = fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.destination.as_str(), "campaign:2");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn once_is_once_and_each_change_is_each_change_to_a_status_it_reports() {
    let tracker = taking().await;
    let once = CampaignPostback::to("1", &tracker);
    let mut each = CampaignPostback::to("1", &tracker);
    each.url = each.url.replace("/pb", "/each");
    each.route.destination = DestinationId::parse("affiliate:200").unwrap();
    each.route.scope = RouteScope::Affiliate(AffiliateId::parse("200").unwrap());
    each.route.changes = Changes::EACH;
    each.route.on = Some(vec![Status::Approved, Status::Rejected]);
    let reported = [once, each];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let id = sale(&fixture, "k1", "1").await;
    tracker.wait_for(2).await;
    for (status, count) in [(Status::Rejected, 3), (Status::Approved, 4)] {
        until_ended(&fixture, id).await;
        receive(&fixture, "k1", status).await;
        tracker.wait_for(count).await;
    }
    until_ended(&fixture, id).await;
    receive(&fixture, "k1", Status::Pending).await;
    sale(&fixture, "k2", "1").await;
    tracker.wait_for(6).await;
    let of_k1 = |path: &str| {
        let reported = targets(&tracker).into_iter().filter(|target| target.starts_with(path));
        reported
            .filter(|target| target.contains("T-k1"))
            .map(|target| target.split("st=").last().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of_k1("/pb"), ["approved"]);
    assert_eq!(of_k1("/each"), ["approved", "rejected", "approved"], "pending is not among its statuses");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_share_is_reported_the_same_way_at_every_change_and_what_is_left_out_says_why() {
    let tracker = taking().await;
    let mut reported = CampaignPostback::to("1", &tracker);
    reported.route.percent = 50;
    reported.route.changes = Changes::EACH;
    reported.route.on = Some(vec![Status::Approved, Status::Rejected]);
    let reported = [reported];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let mut left_out = 0;
    for n in 0..16 {
        let click = format!("k{n}");
        let id = sale(&fixture, &click, "1").await;
        until_ended(&fixture, id).await;
        let first = fixture.deliveries(id).await[0].0.state.clone();
        receive(&fixture, &click, Status::Rejected).await;
        until_ended(&fixture, id).await;
        match first {
            DeliveryState::Skipped { reason, .. } => {
                left_out += 1;
                assert_eq!(reason, SkipReason::NotChosen { percent: 50 });
                assert_eq!(words(&fixture.deliveries(id).await), ["skipped"]);
            }
            _ => assert_eq!(words(&fixture.deliveries(id).await), ["delivered", "delivered"]),
        }
    }
    assert!((3..=13).contains(&left_out), "{left_out} of 16");
    assert_eq!(tracker.count(), 2 * (16 - left_out));
    dispatch.stop(Duration::from_secs(5)).await;
}

/// Waits until nothing of a sale is on its way.
async fn until_ended(fixture: &DispatchFixture, id: ConversionId) {
    for _ in 0..1_000 {
        if fixture.deliveries(id).await.iter().all(|(delivery, _)| !delivery.state.is_unfinished()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never ended: {:?}", fixture.deliveries(id).await);
}

#[tokio::test]
async fn a_delay_is_waited_for() {
    let tracker = taking().await;
    let mut reported = CampaignPostback::to("1", &tracker);
    reported.route.delay_ms = 300;
    let reported = [reported];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let sale = sale(&fixture, "k1", "1").await;
    let (_, attempts) = fixture.reaches(sale, "delivered").await;
    let trace = fixture.store.conversion(sale).await.unwrap().unwrap();
    let waited = attempts[0].at.millis_since(trace.conversion.received_at);
    assert!((300..5_000).contains(&waited), "{waited} ms");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_sale_that_waited_for_its_click_is_reported_to_the_campaign_of_the_click() {
    let tracker = taking().await;
    let reported = [CampaignPostback::to("1", &tracker)];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let early = receive(&fixture, "k1", Status::Approved).await;
    assert!(fixture.deliveries(early).await.is_empty(), "no one knows yet whose sale it is");
    click(&fixture, "k1", "1").await;
    fixture.reaches(early, "delivered").await;
    assert_eq!(targets(&tracker), ["/pb?cid=theirs-k1&payout=7.00&tid=T-k1&st=approved"]);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_status_that_is_not_reported_any_more_is_skipped_before_anything_is_sent() {
    let tracker = taking().await;
    let reported = [CampaignPostback::to("1", &tracker)];
    let fixture = fixture(&reported);
    let id = sale(&fixture, "k1", "1").await;
    receive(&fixture, "k1", Status::Rejected).await;
    let dispatch = dispatch(&fixture, &reported);
    let (delivery, _) = fixture.reaches(id, "skipped").await;
    let reason = SkipReason::StatusNotForwarded { status: Status::Rejected, by: ForwardedBy::Postback };
    assert!(matches!(delivery.state, DeliveryState::Skipped { reason: why, .. } if why == reason));
    assert_eq!(tracker.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let tracker = taking().await;
    let reported = [CampaignPostback { allow_private_network: false, ..CampaignPostback::to("1", &tracker) }];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let sale = sale(&fixture, "k1", "1").await;
    let (delivery, _) = fixture.reaches(sale, "dead").await;
    let DeliveryState::Dead { reason, .. } = delivery.state else { panic!("{delivery:?}") };
    assert_eq!(*reason, DeathReason::Refused(SendRefused::Private("127.0.0.1".parse().unwrap())));
    assert_eq!(reason.code(), DeathCode::ForbiddenAddress);
    assert_eq!(tracker.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_shadow_shows_what_it_would_send_and_sends_nothing() {
    let tracker = taking().await;
    let reported = [CampaignPostback {
        mode: DestinationMode::Shadow,
        scale: "0.5",
        ..CampaignPostback::to("1", &tracker)
    }];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let sale = sale(&fixture, "k1", "1").await;
    let (_, attempts) = fixture.reaches(sale, "skipped").await;
    assert!(attempts[0].request().unwrap().url.ends_with("cid=theirs-k1&payout=3.50&tid=T-k1&st=approved"));
    assert!(matches!(&attempts[0].remarks[..], [Remark::PayoutScaled { sent, .. }] if *sent == usd("3.50")));
    assert_eq!(tracker.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_busy_tracker_is_reported_again_and_a_lost_page_is_a_dead_letter() {
    let tracker = Platform::start(|received| match received.number {
        0 => Act::status(503, "busy"),
        1 => Act::Reset,
        2 => Act::status(200, "ok"),
        _ => Act::status(404, "no such postback"),
    });
    let reported = [CampaignPostback::to("1", &tracker)];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let first = sale(&fixture, "k1", "1").await;
    let (delivery, _) = fixture.reaches(first, "delivered").await;
    assert_eq!(delivery.attempts, 3);
    let second = sale(&fixture, "k2", "1").await;
    let (delivery, attempts) = fixture.reaches(second, "dead").await;
    let DeliveryState::Dead { reason, .. } = delivery.state else { panic!("{delivery:?}") };
    let answer = PlatformAnswer { status: 404, why: None, said: Said::Words("no such postback".to_owned()) };
    assert_eq!(*reason, DeathReason::PlatformRejected(answer));
    assert!(attempts[0].request().is_some() && attempts[0].answer().is_some());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_preview_renders_every_postback_that_a_conversion_concerns_and_says_what_keeps_it() {
    let reported =
        |campaign| CampaignPostback::of(campaign, "https://aff.example/pb?cid=#s2#&p=#price#".to_owned());
    let mut rejected_only = reported("1");
    rejected_only.route.destination = DestinationId::parse("postback:all").unwrap();
    rejected_only.route.scope = RouteScope::AnyCampaign;
    rejected_only.route.on = Some(vec![Status::Rejected]);
    let mut switched_off = CampaignPostback { mode: DestinationMode::Off, ..reported("1") };
    switched_off.route.destination = DestinationId::parse("affiliate:200").unwrap();
    let all =
        [CampaignPostback { scale: "0.5", ..reported("1") }, reported("2"), rejected_only, switched_off];
    let fixture = fixture(&[]);
    let id = sale(&fixture, "k1", "1").await;
    let trace = fixture.store.conversion(id).await.unwrap().unwrap();
    let postbacks: Vec<_> =
        all.iter().map(|reported| (reported.destination(), reported.route.clone())).collect();
    let found = preview_outgoing(
        (&trace.conversion, Some(&clicked("k1", "1"))),
        &postbacks,
        forecast,
        fixture.clock.now(),
    );
    let url = |found: &PreviewedDelivery| found.request.as_ref().unwrap().url.clone();
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.destination.as_str(), url(one), !one.remarks.is_empty(), skip_code(&one.state)))
        .collect();
    let why = SkipCode::StatusNotForwarded;
    assert_eq!(
        shown,
        [
            ("campaign:1", "https://aff.example/pb?cid=theirs-k1&p=3.50".to_owned(), true, None),
            ("postback:all", "https://aff.example/pb?cid=theirs-k1&p=7.00".to_owned(), false, Some(why)),
            (
                "affiliate:200",
                "https://aff.example/pb?cid=theirs-k1&p=7.00".to_owned(),
                false,
                Some(SkipCode::Off),
            ),
        ]
    );
}

#[test]
fn a_payout_that_is_not_scaled_keeps_its_digits() {
    let reported = CampaignPostback::of("1", "https://aff.example/pb?p=#price#".to_owned());
    let mut conversion = crate::support::payload_fixture::conversion();
    for (payout, shown) in [("7", "7"), ("7.5", "7.5"), ("7.0000", "7.0000"), ("0", "0")] {
        conversion.payout = Some(Money::new(payout.parse().unwrap(), usd("1").currency));
        let postbacks =
            [(reported.destination(), Route { scope: RouteScope::AnyCampaign, ..reported.route.clone() })];
        conversion.campaign_ref = Some(campaign_ref("1"));
        let found = preview_outgoing((&conversion, None), &postbacks, forecast, conversion.received_at);
        let request = found[0].request.as_ref().unwrap();
        assert_eq!(request.url, format!("https://aff.example/pb?p={shown}"));
        assert_eq!(found[0].remarks, []);
    }
}
