//! Campaigns whose postbacks go to scripted trackers, and sales of theirs.

use std::sync::Arc;

use postbridge::dispatch::target_health::HOST_PLACES;
use postbridge::dispatch::{DestinationPlan, Dispatch, DispatchPlan, OutgoingPlan};
use postbridge::domain::attempt::Attempt;
use postbridge::domain::click::{Click, ClickContext};
use postbridge::domain::delivery::Delivery;
use postbridge::domain::ids::{AffiliateId, CampaignId, ConversionId, DestinationId, OfferId};
use postbridge::domain::offer::CampaignRef;
use postbridge::domain::routing::{Route, RouteScope, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::secret_store::FixedSecrets;
use postbridge::domain::status::Status;
use postbridge::domain::target::TargetId;
use postbridge::store::contract::conformance::fixture::received;
use postbridge::store::contract::conformance::fixture::received::{go_by, usd};
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::outgoing::OutgoingPostback;
use postbridge::template::macros::url::{MacroUrl, POSTBACK_NAMES};

use crate::support::dispatch_fixture::{DispatchFixture, draft, open_store, policy, quick, source};
use crate::support::platform::{Act, Platform};

/// One campaign's postback.
#[derive(Clone)]
pub struct CampaignPostback {
    pub url: String,
    pub scale: &'static str,
    pub mode: DestinationMode,
    pub max_per_second: Option<u32>,
    pub timeout_ms: u64,
    pub allow_private_network: bool,
    pub route: Route,
}

impl CampaignPostback {
    /// Approved sales of the campaign, once, at once, all of them.
    pub fn of(campaign: &'static str, url: String) -> CampaignPostback {
        let id = DestinationId::parse(&format!("campaign:{campaign}")).unwrap();
        let scope = RouteScope::Campaign(CampaignId::parse(campaign).unwrap());
        let route = Route { scope, on: Some(vec![Status::Approved]), ..Route::to(id) };
        let (scale, mode) = ("1.00", DestinationMode::Live);
        CampaignPostback {
            url,
            scale,
            mode,
            max_per_second: None,
            timeout_ms: 10_000,
            allow_private_network: true,
            route,
        }
    }

    /// Reports its sales to a stand-in.
    pub fn to(campaign: &'static str, tracker: &Platform) -> CampaignPostback {
        CampaignPostback::of(campaign, tracker.url("/pb?cid=#s2#&payout=#price#&tid=#tid#&st=#status#"))
    }

    pub fn url(&self) -> MacroUrl {
        MacroUrl::compile(&self.url, &Grammar::parse("#{}#").unwrap(), POSTBACK_NAMES).unwrap()
    }

    pub fn destination(&self) -> Arc<ReadyDestination> {
        let scale = self.scale.parse().unwrap();
        let postback = OutgoingPostback { url: self.url(), scale, changes: self.route.changes, preset: None };
        Arc::new(ReadyDestination::of_postback(self.route.destination.clone(), self.mode, postback))
    }

    pub fn target(&self) -> TargetId {
        TargetId::of_outgoing(self.url().host(), self.mode.sends())
    }

    pub fn plan(&self) -> DestinationPlan {
        DestinationPlan {
            destination: self.destination(),
            max_per_second: self.max_per_second.map(|n| n.try_into().unwrap()),
            batch: Default::default(),
            max_in_flight: HOST_PLACES,
            allow_private_network: self.allow_private_network,
            timeout_ms: self.timeout_ms,
            secrets: Arc::new(FixedSecrets),
            outgoing: Some(OutgoingPlan { on: self.route.on.clone(), target: self.target() }),
        }
    }
}

pub fn plan(reported: &[CampaignPostback]) -> DispatchPlan {
    let policies = [(source(), policy())].into();
    DispatchPlan { destinations: reported.iter().map(CampaignPostback::plan).collect(), policies }
}

/// A store that goes by these postbacks' routes; a sale without its click waits for it.
pub fn fixture(reported: &[CampaignPostback]) -> DispatchFixture {
    let fixture = DispatchFixture::on(open_store(), &[]);
    go_by(&*fixture.store, rules(reported));
    fixture
}

/// What the store goes by for these postbacks.
pub fn rules(reported: &[CampaignPostback]) -> Arc<Ruleset> {
    let waiting = postbridge::domain::routing::SourcePolicy {
        unmatched: Unmatched::Hold { hours: 1 },
        ..policy().as_ref().clone()
    };
    let routes = reported.iter().map(|reported| reported.route.clone()).collect();
    let target = |reported: &CampaignPostback| (reported.route.destination.clone(), reported.target());
    let targets = reported.iter().map(target).collect();
    let policies = [(source(), Arc::new(waiting))].into();
    Arc::new(Ruleset { policies, routes, targets, ..Ruleset::default() })
}

/// Turns store and dispatch to these postbacks, as a reload does.
pub async fn reload(fixture: &DispatchFixture, dispatch: &Dispatch, reported: &[CampaignPostback]) {
    fixture.store.change_rules(rules(reported)).await.unwrap();
    dispatch.reload(plan(reported));
}

pub fn dispatch(fixture: &DispatchFixture, reported: &[CampaignPostback]) -> Dispatch {
    Dispatch::start_at_pace(Arc::clone(&fixture.store), plan(reported), fixture.clock.clone(), quick())
}

pub fn campaign_ref(campaign: &str) -> CampaignRef {
    CampaignRef {
        offer: OfferId::parse("565").unwrap(),
        campaign: CampaignId::parse(campaign).ok(),
        affiliate: AffiliateId::parse("200").ok(),
        creative: None,
    }
}

/// A click on the campaign's link; the affiliate's own id of it is `theirs-` and ours.
pub fn clicked(id: &str, campaign: &str) -> Click {
    Click {
        sub_ids: vec![("s2".to_owned(), format!("theirs-{id}"))],
        context: ClickContext { campaign_ref: Some(campaign_ref(campaign)), ..ClickContext::default() },
        ..received::click(id)
    }
}

pub async fn click(fixture: &DispatchFixture, id: &str, campaign: &str) {
    fixture.store.record_click(received::unscreened(clicked(id, campaign))).await.unwrap();
}

/// A sale of 7.00 by this click; `T-` and the click's id is its transaction.
pub async fn receive(fixture: &DispatchFixture, click: &str, status: Status) -> ConversionId {
    let mut draft = draft(&format!("T-{click}"), status);
    draft.click_id = Some(click.to_owned());
    draft.payout = Some(usd("7.00"));
    fixture.arrive(draft).await
}

pub async fn sale(fixture: &DispatchFixture, id: &str, campaign: &str) -> ConversionId {
    click(fixture, id, campaign).await;
    receive(fixture, id, Status::Approved).await
}

pub async fn taking() -> Platform {
    Platform::start(|_| Act::status(204, ""))
}

pub fn targets(tracker: &Platform) -> Vec<String> {
    tracker.received().into_iter().map(|received| received.target).collect()
}

pub fn words(deliveries: &[(Delivery, Vec<Attempt>)]) -> Vec<&str> {
    deliveries.iter().map(|(delivery, _)| delivery.state.as_str()).collect()
}

/// How often this test's own runtime has woken up to do something. Unlike processor time it counts neither
/// what other tests of the process do nor how slow the machine is.
pub fn wake_ups() -> u64 {
    tokio::runtime::Handle::current().metrics().worker_park_count(0)
}
