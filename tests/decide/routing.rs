//! Which destinations a conversion causes deliveries for: whose, when, in which status and what share.

use postbridge::domain::attribution::{Attribution, MatchMethod};
use postbridge::domain::change_rules::Changes;
use postbridge::domain::consent::Consent;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::history::{ActorRole, Cause, Change};
use postbridge::domain::ids::{AffiliateId, CampaignId, DestinationId, Occasion, OfferId, Seq};
use postbridge::domain::offer::CampaignRef;
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::routing::{PlanRules, Route, RouteScope, plan};
use postbridge::domain::ruleset::usual;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, MoveRefused, StatusMove, dispose, set_status};
use postbridge::domain::time::Time;
use postbridge::store::contract::conformance::fixture::history::changed_fields;

use crate::support::payload_fixture;

fn noon() -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap()
}

/// A sale of campaign 8599 of affiliate 200, with its click.
fn sale(click: &str) -> Conversion {
    let mut conversion = payload_fixture::conversion();
    let click = postbridge::store::contract::conformance::fixture::received::click_id(click);
    conversion.attribution =
        Attribution::Matched { given: click.to_string(), click, reading: MatchMethod::Exact };
    conversion.campaign_ref = Some(CampaignRef {
        offer: OfferId::parse("565").unwrap(),
        campaign: CampaignId::parse("8599").ok(),
        affiliate: AffiliateId::parse("200").ok(),
        creative: None,
    });
    conversion.history.clear();
    conversion.status = Status::Approved;
    conversion
}

fn postback(scope: RouteScope) -> Route {
    let id = DestinationId::parse("campaign:8599").unwrap();
    Route { scope, on: Some(vec![Status::Approved]), ..Route::to(id) }
}

fn campaigns() -> Route {
    postback(RouteScope::Campaign(CampaignId::parse("8599").unwrap()))
}

fn planned(conversion: &Conversion, earlier: &[Delivery], route: &Route) -> Vec<Delivery> {
    let policy = usual(conversion.source.clone());
    let routes = std::slice::from_ref(route);
    plan(
        conversion,
        earlier,
        &PlanRules { policy: &policy, routes, consent: Consent::default(), click: None },
        noon(),
    )
}

fn changed(conversion: &Conversion, status: Status) -> Conversion {
    let mut changed = conversion.clone();
    changed.status = status;
    let number = changed.history.len() as u32 + 1;
    changed.history.push(Change { number, at: noon(), cause: Cause::Disposition, fields: vec![], status });
    changed
}

fn delivered(mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
    for delivery in &mut deliveries {
        delivery.state = DeliveryState::delivered(noon());
    }
    deliveries
}

#[test]
fn a_postback_is_reported_the_conversions_of_its_own_campaign_affiliate_or_all_campaigns() {
    let other = RouteScope::Campaign(CampaignId::parse("1").unwrap());
    let affiliate = RouteScope::Affiliate(AffiliateId::parse("200").unwrap());
    for (scope, reported) in
        [(campaigns().scope, 1), (other, 0), (affiliate, 1), (RouteScope::AnyCampaign, 1)]
    {
        assert_eq!(planned(&sale("c1"), &[], &postback(scope.clone())).len(), reported, "{scope:?}");
    }
    let mut nobodys = sale("c1");
    nobodys.campaign_ref = None;
    assert!(planned(&nobodys, &[], &postback(RouteScope::AnyCampaign)).is_empty());
}

#[test]
fn a_postback_to_whom_the_clicks_were_bought_from_is_reported_what_sources_report_too() {
    let all = postback(RouteScope::AnySale);
    assert_eq!(planned(&sale("c1"), &[], &all).len(), 1);
    let mut of_a_source = sale("c1");
    of_a_source.campaign_ref = None;
    assert_eq!(planned(&of_a_source, &[], &all).len(), 1);
    for source in [BuiltInSource::Api, BuiltInSource::Pixel] {
        let mut of_an_advertiser = of_a_source.clone();
        of_an_advertiser.source = source.id();
        assert!(planned(&of_an_advertiser, &[], &all).is_empty(), "no campaign brought it");
        of_an_advertiser.campaign_ref = sale("c1").campaign_ref;
        assert_eq!(planned(&of_an_advertiser, &[], &all).len(), 1);
    }
    of_a_source.source = BuiltInSource::Tag.id();
    assert!(planned(&of_a_source, &[], &all).is_empty(), "what the tag reports is no sale");
}

#[test]
fn what_the_tag_reports_is_no_sale_of_a_campaign() {
    let mut outbound = sale("c1");
    outbound.source = BuiltInSource::Tag.id();
    assert!(planned(&outbound, &[], &campaigns()).is_empty());
}

#[test]
fn once_means_at_the_first_status_it_is_reported_and_never_again() {
    let pending = changed(&sale("c1"), Status::Pending);
    assert!(planned(&pending, &[], &campaigns()).is_empty());
    let approved = changed(&pending, Status::Approved);
    let first = planned(&approved, &[], &campaigns());
    assert_eq!(first[0].occasion, Occasion::Change(2));
    let again = changed(&changed(&approved, Status::Rejected), Status::Approved);
    assert_eq!(planned(&again, &delivered(first.clone()), &campaigns()).len(), 1);
}

#[test]
fn each_change_means_every_change_to_a_status_it_is_reported() {
    let on = Some(vec![Status::Approved, Status::Rejected]);
    let route = Route { changes: Changes::EACH, on, ..campaigns() };
    let first = delivered(planned(&sale("c1"), &[], &route));
    let pending = changed(&sale("c1"), Status::Pending);
    assert_eq!(planned(&pending, &first, &route).len(), 1, "pending is not sent");
    let rejected = changed(&pending, Status::Rejected);
    let second = planned(&rejected, &first, &route);
    assert_eq!(second[1].occasion, Occasion::Change(2));
}

#[test]
fn a_delay_puts_the_delivery_off() {
    let route = Route { delay_ms: 90_000, ..campaigns() };
    let due = noon().plus_millis(90_000);
    assert_eq!(planned(&sale("c1"), &[], &route)[0].state, DeliveryState::Waiting { due });
}

#[test]
fn what_was_held_for_its_click_is_delayed_from_the_moment_the_click_received() {
    let mut waits = sale("c1");
    waits.attribution = Attribution::Unmatched { given: "c1".to_owned() };
    let route = Route { delay_ms: 90_000, ..campaigns() };
    let held = planned(&waits, &[], &route);
    assert!(matches!(held[0].state, DeliveryState::Held { .. }));
    let due = noon().plus_millis(90_000);
    assert_eq!(planned(&sale("c1"), &held, &route)[0].state, DeliveryState::Waiting { due });
}

#[test]
fn a_share_is_decided_by_the_click_id_alone_and_what_is_left_out_says_why() {
    let route = Route { percent: 30, changes: Changes::EACH, ..campaigns() };
    let mut reported = 0;
    for number in 0..1_000 {
        let sale = sale(&format!("click-{number}"));
        let first = planned(&sale, &[], &route);
        match &first[0].state {
            DeliveryState::Waiting { .. } => reported += 1,
            DeliveryState::Skipped { reason, .. } => {
                assert_eq!(*reason, SkipReason::NotChosen { percent: 30 });
                let changed = changed(&sale, Status::Approved);
                assert_eq!(planned(&changed, &first, &route).len(), 1, "a later change changes nothing");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((250..350).contains(&reported), "{reported} of 1,000 at 30 %");
    let none = Route { percent: 0, ..campaigns() };
    assert!(matches!(planned(&sale("c1"), &[], &none)[0].state, DeliveryState::Skipped { .. }));
}

#[test]
fn a_scrubbed_conversion_is_forwarded_nowhere_whatever_is_configured() {
    let scrubbed = changed(&sale("c1"), Status::Scrubbed);
    let all = Some(Status::ALL.to_vec());
    assert!(planned(&scrubbed, &[], &Route { on: all, ..campaigns() }).is_empty());
    let mut policy = usual(scrubbed.source.clone());
    policy.forward_status = Status::ALL.to_vec();
    let ads = Route::to(DestinationId::parse("ads").unwrap());
    let rules = PlanRules { policy: &policy, routes: &[ads], consent: Consent::default(), click: None };
    assert!(plan(&scrubbed, &[], &rules, noon()).is_empty());
}

fn order(to: Status, by: Actor) -> StatusMove {
    StatusMove { to, by, note: Some("looked at it".to_owned()) }
}

#[test]
fn a_status_set_by_hand_keeps_who_when_and_why() {
    let by = || Actor::Network("ops".to_owned());
    let moved = set_status(&sale("c1"), &order(Status::Rejected, by()), noon()).unwrap().unwrap();
    assert_eq!(moved.status, Status::Rejected);
    let last = moved.history.last().unwrap();
    let cause = Cause::Person {
        name: "ops".to_owned(),
        role: ActorRole::Network,
        note: Some("looked at it".to_owned()),
    };
    assert_eq!((&last.cause, last.at), (&cause, noon()));
    assert_eq!(changed_fields(last), [["status", "approved", "rejected"]]);
    assert_eq!(set_status(&moved, &order(Status::Rejected, by()), noon()), Ok(None));
}

#[test]
fn an_advertiser_approves_and_rejects_and_neither_scrubs_nor_takes_a_scrub_back() {
    let by = || Actor::Advertiser("shop".to_owned());
    assert!(set_status(&sale("c1"), &order(Status::Pending, by()), noon()).unwrap().is_some());
    let to_scrub = set_status(&sale("c1"), &order(Status::Scrubbed, by()), noon());
    assert_eq!(to_scrub, Err(MoveRefused::MayNotScrub));
    let scrubbed = changed(&sale("c1"), Status::Scrubbed);
    let back = set_status(&scrubbed, &order(Status::Approved, by()), noon());
    assert_eq!(back, Err(MoveRefused::Scrubbed));
    let network = order(Status::Approved, Actor::Network("ops".to_owned()));
    assert_eq!(set_status(&scrubbed, &network, noon()).unwrap().unwrap().status, Status::Approved);
}

#[test]
fn a_disposition_falls_due_at_its_moment_unless_a_person_was_there_before() {
    let mut pending = changed(&sale("c1"), Status::Pending);
    pending.disposition = Some((noon(), Status::Approved));
    assert_eq!(dispose(&pending, noon().plus_millis(-1)), None);
    let disposed = dispose(&pending, noon()).unwrap();
    assert_eq!((disposed.status, disposed.disposition), (Status::Approved, None));
    let by = Actor::Network("ops".to_owned());
    let kept = set_status(&pending, &order(Status::Pending, by), noon()).unwrap().unwrap();
    assert_eq!(kept.disposition, None, "who keeps it pending keeps it so");
}

/// The sale after these changes of status, each by its cause.
fn after(changes: &[(Status, Cause)]) -> Conversion {
    changes.iter().fold(sale("c1"), |conversion, (status, cause)| {
        let mut now = changed(&conversion, *status);
        now.history.last_mut().unwrap().cause = cause.clone();
        now
    })
}

#[test]
fn an_advertiser_takes_back_no_rejection_but_its_own() {
    let by = |role| Cause::Person { name: "someone".to_owned(), role, note: None };
    let postback = || Cause::Postback(Seq::new(9).unwrap());
    let (network, advertiser) = (by(ActorRole::Network), by(ActorRole::Advertiser));
    let wanted = |to| order(to, Actor::Advertiser("shop".to_owned()));
    let rejected = Status::Rejected;
    for (of_the_network, changes) in [
        ("its people", vec![(rejected, network.clone())]),
        ("the offer's terms", vec![(Status::Pending, advertiser.clone()), (rejected, Cause::Disposition)]),
        ("a source", vec![(rejected, postback())]),
        (
            "a source, after both had looked",
            vec![(rejected, advertiser.clone()), (Status::Approved, network.clone()), (rejected, postback())],
        ),
        (
            "its people, who took a scrub back",
            vec![(Status::Scrubbed, network.clone()), (rejected, network.clone())],
        ),
        ("its people, and a repeat", vec![(rejected, network.clone()), (rejected, postback())]),
    ] {
        let conversion = after(&changes);
        for to in [Status::Approved, Status::Pending] {
            let moved = set_status(&conversion, &wanted(to), noon());
            assert_eq!(moved, Err(MoveRefused::Rejected), "{of_the_network}");
        }
        // To reject it once more changes nothing: else it would be the advertiser's.
        assert_eq!(set_status(&conversion, &wanted(rejected), noon()), Ok(None), "{of_the_network}");
        let by_network = order(Status::Approved, Actor::Network("ops".to_owned()));
        assert!(set_status(&conversion, &by_network, noon()).unwrap().is_some());
    }
    for changes in [
        vec![(rejected, advertiser.clone())],
        vec![
            (rejected, network.clone()),
            (Status::Approved, network.clone()),
            (rejected, advertiser.clone()),
        ],
        vec![(rejected, advertiser.clone()), (rejected, postback())],
    ] {
        for to in [Status::Approved, Status::Pending] {
            assert!(set_status(&after(&changes), &wanted(to), noon()).unwrap().is_some());
        }
    }
    let mut first_report = sale("c1");
    first_report.status = rejected;
    let moved = set_status(&first_report, &wanted(Status::Approved), noon());
    assert_eq!(moved, Err(MoveRefused::Rejected));
}

#[test]
fn a_rejection_by_an_advertiser_becomes_the_networks_when_the_network_rejects_too() {
    let shop = |to| order(to, Actor::Advertiser("shop".to_owned()));
    let ops = || order(Status::Rejected, Actor::Network("ops".to_owned()));
    let rejected = set_status(&sale("c1"), &shop(Status::Rejected), noon()).unwrap().unwrap();
    let adopted = set_status(&rejected, &ops(), noon()).unwrap().unwrap();
    assert_eq!((adopted.status, adopted.history.len()), (Status::Rejected, 2));
    assert_eq!(set_status(&adopted, &shop(Status::Approved), noon()), Err(MoveRefused::Rejected));
    assert_eq!(set_status(&adopted, &ops(), noon()), Ok(None), "once");
}
