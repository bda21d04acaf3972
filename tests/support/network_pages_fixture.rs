//! The pages' fixture with the network's side in it: offers, clicks, conversions and a suppression list.

use std::sync::Arc;

use postbridge::domain::click::{Agent, Click, ClickContext, ClickKind, Origin};
use postbridge::domain::consent::Consent;
use postbridge::domain::filter::{DuplicateBy, DuplicateRule};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{
    AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId, SourceId, VisitorId,
};
use postbridge::domain::money::Currency;
use postbridge::domain::offer::{Campaign, Caps, Disposition, Model, Offer, OfferStatus, Payout};
use postbridge::domain::reporter::{self, ReportRoute};
use postbridge::domain::reports::Reporting;
use postbridge::domain::routing::{Changes, Route, Scope};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::suppression::{Suppressed, SuppressedKind};
use postbridge::domain::time::{HOUR_MS, Time};
use postbridge::ingest::postback::Network;
use postbridge::store::{ClickArrival, Screening, Store, SuppressionOrder};
use postbridge::template::destination::account::Account;
use postbridge::template::destination::rendering::Mode;
use postbridge::template::diagnostic::Problem;
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::outgoing::Postback;
use postbridge::template::macros::url::{MacroUrl, POSTBACK_NAMES};
use postbridge::web::pages::program::{
    CampaignCard, CreativeCard, CreativeLink, DirectLink, OfferCard, PostbackCard, Program, TagCard,
};
use rust_decimal::Decimal;

use crate::support::offer_fixture;
use crate::support::pages_fixture::{PagesFixture, destination, noon};
use crate::support::store_fixture::{self, sale};

pub const VISITOR: &str = "0123456789abcdef0123456789abcdef";
pub const OLD: &str = "mh00000000old000000000000000a";
pub const FIRST: &str = "mi00000000first0000000000000a";
pub const SECOND: &str = "mi00000000second000000000000a";
pub const BOT: &str = "mi00000000bot000000000000000a";
/// A suppression list's name as people write them.
pub const LIST: &str = "fraud / 2026";

const POSTBACK: &str = "https://aff.example/pb?cid=#s2#&payout=#price#&tid=#tid#";

/// The postback of the campaign 8599, ready to render.
fn affiliate_account() -> Account {
    let url = MacroUrl::compile(POSTBACK, &Grammar::parse("#{}#").unwrap(), POSTBACK_NAMES).unwrap();
    let postback = Postback { url, scale: Decimal::new(90, 2), changes: Changes::Ignore };
    Account::of_postback(destination("campaign:8599"), Mode::Live, postback)
}

/// The offer 566 is closed to pixels.
fn reports(id: &str) -> Reporting {
    let all = offer_fixture::reports();
    if id == "566" { Reporting { by: vec![ReportRoute::Api, ReportRoute::Server], ..all } } else { all }
}

/// An offer of the network's side, paying 7 of 12 dollars.
fn offer(id: &str, status: OfferStatus, payout: Payout) -> Offer {
    Offer {
        id: OfferId::parse(id).unwrap(),
        advertiser: AdvertiserId::parse("31").ok(),
        currency: Currency::parse("USD").unwrap(),
        payout: Some(payout),
        revenue: Some(Decimal::new(1200, 2)),
        status,
        caps: Caps { clicks_per_day: Some(10_000), conversions_per_day: Some(500) },
        session_hours: 720,
        click_cookie_days: 30,
        model: Model::LastTouch,
        disposition: Disposition { status: Status::Approved, after_hours: 0 },
        accept_pixel_value: false,
        reports: reports(id),
    }
}

/// Two offers, a campaign for each, one with a postback to its affiliate.
fn program() -> Program {
    let card = |terms: Offer, name: &str| OfferCard {
        terms: Arc::new(terms),
        name: name.to_owned(),
        landing: "https://advertiser.example/lp?cid={click_id}&s1={s1}".to_owned(),
        pass: vec!["utm_*".to_owned()],
        fallback_url: None,
    };
    let creative = |id: &str, name: Option<&str>| CreativeLink {
        id: CreativeId::parse(id).unwrap(),
        name: name.map(str::to_owned),
        link: format!("https://t.example.com/c/8599{}", if id == "761" { "" } else { "?c=762" }),
        by_creative: format!("https://t.example.com/?a=200&c={id}"),
        direct: match id {
            "762" => Err(Problem::new("the page `/{click_id}` needs a click", "give it a `url`")),
            _ => Ok(DirectLink {
                url: format!("https://advertiser.example/lp?a=200&c={id}"),
                origin: "https://advertiser.example".to_owned(),
                takes_tag: false,
            }),
        },
    };
    let campaign = |(id, offer): (&str, &str), affiliate: &str, creatives: Vec<CreativeLink>| CampaignCard {
        campaign: Arc::new(Campaign {
            id: CampaignId::parse(id).unwrap(),
            offer: OfferId::parse(offer).unwrap(),
            affiliate: AffiliateId::parse(affiliate).unwrap(),
            creatives: creatives.iter().map(|one| one.id.clone()).collect(),
        }),
        name: None,
        link: format!("https://t.example.com/c/{id}"),
        creatives,
    };
    let spring = CreativeCard {
        id: CreativeId::parse("761").unwrap(),
        offer: OfferId::parse("565").unwrap(),
        name: "Spring <banner>".to_owned(),
        landing: Some("https://advertiser.example/spring?cid={click_id}".to_owned()),
    };
    let mut route = Route::to(destination("campaign:8599"));
    route.scope = Scope::Campaign(CampaignId::parse("8599").unwrap());
    route.on = Some(vec![Status::Approved]);
    route.percent = 80;
    Program {
        public_url: "https://t.example.com".to_owned(),
        offers: vec![
            card(offer("565", OfferStatus::Active, Payout::Fixed(Decimal::new(700, 2))), "Shoes & <boots>"),
            card(offer("566", OfferStatus::Paused, Payout::Percent(Decimal::from(12))), "Lamps"),
        ],
        campaigns: vec![
            campaign(
                ("8599", "565"),
                "200",
                vec![creative("761", Some("Spring <banner>")), creative("762", None)],
            ),
            campaign(("8600", "566"), "200", vec![]),
            campaign(("8601", "565"), "201", vec![creative("763", None)]),
        ],
        creatives: vec![spring],
        affiliates: [("200", "Example Media"), ("201", "Other & Sons"), ("202", "Nothing yet")]
            .map(|(id, name)| (AffiliateId::parse(id).unwrap(), name.to_owned()))
            .to_vec(),
        postbacks: vec![PostbackCard {
            id: destination("campaign:8599"),
            route,
            url: POSTBACK.to_owned(),
            scale: Decimal::new(90, 2),
            mode: Mode::Live,
        }],
        tag: Some(TagCard {
            pinned_path: "/tag.0011223344556677.js".to_owned(),
            integrity: "sha384-abcdef".to_owned(),
            origins: vec!["https://shop.example".to_owned()],
        }),
    }
}

fn trading_rules(network: &Network) -> Arc<Ruleset> {
    let program = program();
    let mut rules = Ruleset::clone(&network.rules);
    rules.routes.push(program.postbacks[0].route.clone());
    rules.offers =
        program.offers.iter().map(|card| (card.terms.id.clone(), Arc::clone(&card.terms))).collect();
    rules.filters.duplicate =
        Some(DuplicateRule { mode: FilterMode::Observe, window_ms: HOUR_MS, by: DuplicateBy::Cookie });
    rules.filters.bot = Some(FilterMode::Enforce);
    Arc::new(rules)
}

/// A visitor's click on the tracking link of the campaign 8599.
fn visit(id: &str, at: Time, bot: Option<&str>) -> Click {
    let mut click = store_fixture::click(id);
    (click.at, click.recorded_at) = (at, at);
    click.context = ClickContext {
        origin: Origin::Link,
        kind: ClickKind::Visit,
        campaign_ref: Some(program().campaigns[0].campaign.campaign_ref()),
        visitor: VisitorId::parse(VISITOR).ok().filter(|_| bot.is_none()),
        agent: Some(Agent {
            device: if bot.is_some() { "bot" } else { "desktop" }.to_owned(),
            system: Some("Windows 10".to_owned()),
            browser: Some("Chrome 131".to_owned()),
            bot: bot.map(str::to_owned),
        }),
        country: Some("DE".to_owned()),
        verdicts: Vec::new(),
        consent: Consent { ad_user_data: Some(true), ad_personalization: Some(false) }
            .said_at(postbridge::domain::time::Time::EPOCH),
        omitted: Default::default(),
    };
    click
}

impl PagesFixture {
    /// A busy day, and next to it the network's side: offers, clicks with verdicts, conversions by a click
    /// id, by a visitor and by a click that is too old, and a suppression list.
    pub async fn trading() -> PagesFixture {
        let mut fixture = PagesFixture::busy().await;
        fixture.pages.program = Arc::new(program());
        let mut accounts = fixture.pages.ops.accounts.to_vec();
        accounts.push(Arc::new(affiliate_account()));
        fixture.pages.ops.accounts = Arc::new(accounts);
        let rules = trading_rules(&fixture.network);
        fixture.network.rules = Arc::clone(&rules);
        fixture.store.set_rules(rules);
        for (id, before_ms, bot) in [
            (OLD, 800 * HOUR_MS, None),
            (FIRST, 600_000, None),
            (SECOND, 300_000, None),
            (BOT, 60_000, Some("Examplebot")),
        ] {
            let click = visit(id, noon().plus_millis(-before_ms), bot);
            fixture.store.record_click(ClickArrival { click, screening: Screening::Filters }).await.unwrap();
        }
        fixture.receive(format!("s2={FIRST}&tid=S-1&price=7.50").as_bytes()).await;
        fixture.receive(format!("s2={OLD}&tid=X-1&price=7.50").as_bytes()).await;
        let mut seen = sale("V-1").at(noon());
        seen.draft.source = SourceId::parse(reporter::PIXEL_SOURCE).unwrap();
        seen.draft.network.offer = Some(OfferId::parse("565").unwrap());
        seen.draft.network.visitor = Some(VisitorId::parse(VISITOR).unwrap());
        fixture.store.arrive(seen.arrival()).await.unwrap();
        let entries = vec![
            Suppressed::parse(SuppressedKind::Email, "eve@example.net").unwrap(),
            Suppressed::parse(SuppressedKind::OrderId, "ORD-<1>").unwrap(),
        ];
        let order = SuppressionOrder { list: LIST.to_owned(), entries, actor: "ops".to_owned(), now: noon() };
        fixture.store.suppress(order).await.unwrap();
        fixture
    }
}
