//! The pages' fixture with the network's side in it: offers, clicks, conversions and a suppression list.

use std::sync::Arc;

use postbridge::config::configuration::Config;
use postbridge::domain::click::{Agent, Click, ClickContext, ClickKind, ClickOrigin};
use postbridge::domain::consent::Consent;
use postbridge::domain::filter::{DuplicateBy, DuplicateRule};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{OfferId, VisitorId};
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::suppression::{ListChange, Suppressed, SuppressedKind};
use postbridge::domain::time::{HOUR_MS, Time};
use postbridge::ingest::postback::Network;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Screening};
use postbridge::store::contract::change::SuppressionOrder;
use postbridge::store::contract::conformance::fixture::received;
use postbridge::store::contract::conformance::fixture::received::{go_by, sale};

use crate::support::pages_fixture::{PagesFixture, configured, noon};

pub const VISITOR: &str = "0123456789abcdef0123456789abcdef";
pub const OLD: &str = "mh00000000old000000000000000a";
pub const FIRST: &str = "mi00000000first0000000000000a";
pub const SECOND: &str = "mi00000000second000000000000a";
pub const BOT: &str = "mi00000000bot000000000000000a";
/// A suppression list's name as people write them.
pub const LIST: &str = "fraud / 2026";

/// Three campaigns of two offers, one with a postback to its affiliate.
const NETWORK: &str = r##"
[tag]
origins = ["https://shop.example"]

[[affiliate]]
id = "200"
name = "Example Media"

[[affiliate]]
id = "201"
name = "Other & Sons"

[[affiliate]]
id = "202"
name = "Nothing yet"

[[offer]]
id = "565"
name = "Shoes & <boots>"
advertiser = "31"
url = "https://advertiser.example/lp?cid={click_id}&s1={s1}"
pass = ["utm_*"]
currency = "USD"
payout = "7.00"
revenue = "12.00"
caps = { clicks_per_day = 10000, conversions_per_day = 500 }
report_by = ["api", "pixel", "server"]

[[offer]]
id = "566"
name = "Lamps"
advertiser = "31"
url = "https://advertiser.example/lp?cid={click_id}&s1={s1}"
pass = ["utm_*"]
currency = "USD"
payout_percent = "12"
revenue = "12.00"
status = "paused"
caps = { clicks_per_day = 10000, conversions_per_day = 500 }
report_by = ["api", "server"]

[[creative]]
id = "761"
offer = "565"
name = "Spring <banner>"
url = "https://advertiser.example/spring?cid={click_id}"

[[creative]]
id = "762"
offer = "565"
url = "https://advertiser.example/{click_id}"

[[creative]]
id = "763"
offer = "565"

[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = ["761", "762"]

[campaign.postback]
url = "https://aff.example/pb?cid=#s2#&payout=#price#&tid=#tid#"
macro = "#{}#"
on = ["approved"]
percent = 80
scale = "0.90"

[[campaign]]
id = "8600"
offer = "566"
affiliate = "200"

[[campaign]]
id = "8601"
offer = "565"
affiliate = "201"
creative = ["763"]
"##;

fn trading_rules(network: &Network, config: &Config) -> Arc<Ruleset> {
    let mut rules = Ruleset::clone(&network.rules);
    let configured = config.ruleset();
    rules.routes.extend(configured.routes);
    rules.offers = configured.offers;
    rules.filters.duplicate =
        Some(DuplicateRule { mode: FilterMode::Observe, window_ms: HOUR_MS, by: DuplicateBy::Cookie });
    rules.filters.bot = Some(FilterMode::Enforce);
    Arc::new(rules)
}

/// A visitor's click on the tracking link of the campaign 8599.
fn visit(config: &Config, (id, at): (&str, Time), bot: Option<&str>) -> Click {
    let mut click = received::click(id);
    (click.at, click.recorded_at) = (at, at);
    click.context = ClickContext {
        origin: ClickOrigin::Link,
        kind: ClickKind::Visit,
        campaign_ref: Some(config.campaigns[0].campaign.campaign_ref()),
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
        let config = Arc::new(configured(NETWORK));
        fixture.pages.config = Arc::clone(&config);
        let mut destinations = fixture.pages.ops.destinations.to_vec();
        destinations.extend(config.outgoing.iter().map(|outgoing| Arc::clone(&outgoing.ready)));
        fixture.pages.ops.destinations = Arc::new(destinations);
        let rules = trading_rules(&fixture.network, &config);
        fixture.network.rules = Arc::clone(&rules);
        go_by(&*fixture.store, rules);
        for (id, before_ms, bot) in [
            (OLD, 800 * HOUR_MS, None),
            (FIRST, 600_000, None),
            (SECOND, 300_000, None),
            (BOT, 60_000, Some("Examplebot")),
        ] {
            let click = visit(&config, (id, noon().plus_millis(-before_ms)), bot);
            fixture.store.record_click(ClickArrival { click, screening: Screening::Filters }).await.unwrap();
        }
        fixture.receive(format!("s2={FIRST}&tid=S-1&price=7.50").as_bytes()).await;
        fixture.receive(format!("s2={OLD}&tid=X-1&price=7.50").as_bytes()).await;
        let mut seen = sale("V-1").at(noon());
        seen.draft.source = BuiltInSource::Pixel.id();
        seen.draft.network.offer = Some(OfferId::parse("565").unwrap());
        seen.draft.network.visitor = Some(VisitorId::parse(VISITOR).unwrap());
        fixture.store.arrive(seen.arrival()).await.unwrap();
        let entries = vec![
            Suppressed::parse(SuppressedKind::Email, "eve@example.net").unwrap(),
            Suppressed::parse(SuppressedKind::OrderId, "ORD-<1>").unwrap(),
        ];
        let order = SuppressionOrder {
            list: LIST.to_owned(),
            wish: ListChange::Add,
            entries,
            actor: "ops".to_owned(),
            now: noon(),
        };
        fixture.store.change_list(order).await.unwrap();
        fixture
    }
}
