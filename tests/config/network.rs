//! The network's side of the configuration: offers, campaigns, their postbacks, filters, endpoints, rights.

use postbridge::config::configuration::Config;
use postbridge::config::file::{DEFAULT, with_examples};
use postbridge::domain::change_rules::Changes;
use postbridge::domain::conversion::Dedup;
use postbridge::domain::filter::{DuplicateBy, DuplicateRule};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{AdvertiserId, DestinationId, OfferId};
use postbridge::domain::offer::{AttributionModel, Caps, OfferStatus, Payout};
use postbridge::domain::reporter::{BuiltInSource, ReportRoute};
use postbridge::domain::reports::FurtherSales;
use postbridge::domain::routing::{RouteScope, Unmatched};
use postbridge::domain::status::Status;
use postbridge::domain::target::TargetId;
use postbridge::template::destination::rendering::DestinationMode;
use rust_decimal::Decimal;

fn env(name: &str) -> Option<String> {
    match name {
        "CAKE_KEY" => Some("k3y-of-the-network-4711".to_owned()),
        "META_ACCESS_TOKEN" => Some("EAAB-token-of-the-account".to_owned()),
        "POSTBRIDGE_TOKEN" => Some("t0ken-of-the-operators".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, String> {
    Config::parse("postbridge.toml", text, &env)
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

fn parse(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The least that an offer with a campaign says.
const LEAST: &str = r#"
[[affiliate]]
id = "200"
[[offer]]
id = "565"
url = "https://advertiser.example/lp?cid={click_id}"
currency = "USD"
[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
"#;

/// All that can be said of one.
const MOST: &str = r##"
[server]
public_url = "https://t.example.com"

[[affiliate]]
id = "200"
name = "Example Media"
[affiliate.postback]
url = "https://media.example/pb?cid={s2}"
macro = "{{}}"
mode = "off"

[[offer]]
id = "565"
name = "Example offer"
advertiser = "31"
url = "https://advertiser.example/lp?cid={click_id}&s1={s1}"
pass = ["utm_*"]
currency = "USD"
payout = "7.00"
revenue = "12.00"
status = "paused"
fallback_url = "https://example.com/"
caps = { clicks_per_day = 10000, conversions_per_day = 500 }
session_hours = 24
click_cookie_days = 7
attribution = "first_touch"
disposition = { status = "rejected", after_hours = 48 }
accept_pixel_value = true
report_by = ["server", "api"]
report_from = ["203.0.113.0/24", "2001:db8::7"]
pixel_events = ["signup", "Purchase"]
repeat = true

[[campaign]]
id = "8599"
name = "Spring"
offer = "565"
affiliate = "200"
creative = "761"
[campaign.postback]
url = "https://aff.example/pb?cid=#s2#&payout=#price#&tid=#tid#"
macro = "#{}#"
on = ["approved", "rejected"]
when = "each_change"
delay_seconds = 60
percent = 85
scale = "0.90"
mode = "shadow"
max_per_second = 5
timeout_ms = 3000

[[postback]]
id = "all"
url = "https://tracker.example/pb?cid=#s2#"
"##;

#[test]
fn every_key_of_an_offer_is_read() {
    let config = parse(MOST);
    let offer = &config.offers[0];
    assert_eq!(offer.name, "Example offer");
    assert_eq!(offer.pass, ["utm_*"]);
    assert_eq!(offer.landing.names(), ["click_id", "s1"]);
    assert_eq!(offer.fallback_url.as_deref(), Some("https://example.com/"));
    let terms = &offer.terms;
    assert_eq!(terms.advertiser.as_ref().map(AdvertiserId::as_str), Some("31"));
    assert_eq!(terms.payout, Some(Payout::Fixed(Decimal::new(700, 2))));
    assert_eq!(terms.revenue.map(|amount| amount.to_string()).as_deref(), Some("12.00"));
    assert_eq!(terms.status, OfferStatus::Paused);
    assert_eq!(terms.caps, Caps { clicks_per_day: Some(10_000), conversions_per_day: Some(500) });
    assert_eq!((terms.session_hours, terms.click_cookie_days), (24, 7));
    assert_eq!(terms.model, AttributionModel::FirstTouch);
    assert_eq!((terms.disposition.status, terms.disposition.after_hours), (Status::Rejected, 48));
    assert!(terms.accept_pixel_value);
    let reports = &terms.reports;
    assert_eq!(reports.by, [ReportRoute::Server, ReportRoute::Api]);
    assert_eq!(
        reports.from.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["203.0.113.0/24", "2001:db8::7/128"]
    );
    assert_eq!(reports.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(), ["signup", "Purchase"]);
    assert_eq!(reports.further, FurtherSales::Count);
    let percent = parse(&MOST.replace("payout = \"7.00\"", "payout_percent = \"12.5\""));
    assert_eq!(percent.offers[0].terms.payout, Some(Payout::Percent(Decimal::new(125, 1))));
}

#[test]
fn an_offer_that_says_only_what_it_must_is_as_the_shipped_example() {
    let config = parse(LEAST);
    let (bare, shipped) = (&config.offers[0], &parse(with_examples()).offers[0]);
    assert_eq!(bare.terms, shipped.terms);
    assert_eq!(bare.name, "565");
    assert_eq!(bare.terms.status, OfferStatus::Active);
    assert_eq!((bare.terms.session_hours, bare.terms.click_cookie_days), (720, 30));
    assert_eq!(bare.terms.model, AttributionModel::LastTouch);
    assert_eq!((bare.terms.disposition.status, bare.terms.disposition.after_hours), (Status::Approved, 0));
    assert!(!bare.terms.accept_pixel_value);
    let reports = &bare.terms.reports;
    assert_eq!((&reports.by[..], &reports.from[..]), (&[ReportRoute::Api][..], &[][..]));
    assert_eq!(reports.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(), ["Purchase", "Lead"]);
    assert_eq!(reports.further, FurtherSales::Wait);
    assert!(config.outgoing.is_empty());
}

#[test]
fn every_key_of_a_postback_is_read() {
    let config = parse(MOST);
    let campaign = config.outgoing.iter().find(|to| to.id.as_str() == "campaign:8599").unwrap();
    assert!(matches!(&campaign.route.scope, RouteScope::Campaign(id) if id.as_str() == "8599"));
    assert_eq!(campaign.route.destination, campaign.id);
    assert_eq!(campaign.route.on.as_deref(), Some([Status::Approved, Status::Rejected].as_slice()));
    assert_eq!(campaign.route.changes, Changes::EACH);
    assert_eq!((campaign.route.delay_ms, campaign.route.percent), (60_000, 85));
    assert_eq!(campaign.scale, Decimal::new(90, 2));
    assert_eq!((campaign.mode, campaign.timeout_ms), (DestinationMode::Shadow, 3000));
    assert_eq!(campaign.max_per_second.unwrap().get(), 5);
    assert_eq!(campaign.url.names(), ["s2", "price", "tid"]);
}

#[test]
fn every_postback_has_the_defaults_that_the_shipped_file_shows_once() {
    let least = |place: &str| format!("{LEAST}\n{place}\nurl = \"https://aff.example/pb?cid=#s2#\"\n");
    let affiliate = LEAST.replace(
        "id = \"200\"\n[[",
        "id = \"200\"\npostback = { url = \"https://aff.example/pb?cid=#s2#\" }\n[[",
    );
    let texts = [least("[campaign.postback]"), least("[[postback]]\nid = \"all\""), affiliate];
    let shipped = parse(with_examples());
    let shipped = &shipped.outgoing[0];
    for (text, id) in texts.iter().zip(["campaign:8599", "postback:all", "affiliate:200"]) {
        let config = parse(text);
        let bare = &config.outgoing[0];
        assert_eq!(bare.id.as_str(), id);
        assert_eq!(bare.route.on.as_deref(), Some([Status::Approved].as_slice()));
        assert_eq!(bare.route.changes, Changes::Never);
        assert_eq!((bare.route.delay_ms, bare.route.percent), (0, 100));
        assert_eq!((bare.scale, bare.mode), (Decimal::ONE, DestinationMode::Live));
        assert_eq!(
            (bare.scale, bare.mode, bare.timeout_ms),
            (shipped.scale, shipped.mode, shipped.timeout_ms)
        );
        assert!(!bare.allow_private_network && bare.max_per_second.is_none());
    }
}

#[test]
fn the_scope_of_a_postback_is_the_table_it_is_in() {
    let config = parse(MOST);
    let scopes: Vec<&RouteScope> = config.outgoing.iter().map(|to| &to.route.scope).collect();
    assert!(
        matches!(scopes[..], [RouteScope::Affiliate(_), RouteScope::Campaign(_), RouteScope::AnyCampaign]),
        "{scopes:?}"
    );
}

#[test]
fn a_campaign_prints_its_link_and_the_one_by_creative() {
    let config = parse(MOST);
    assert_eq!(config.tracking_link(&config.campaigns[0]), "https://t.example.com/c/8599");
    let links = config.links(&config.campaigns[0]);
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].tracking, "https://t.example.com/c/8599");
    assert_eq!(links[0].by_creative, "https://t.example.com/?a=200&c=761");
    let bare = parse(LEAST);
    assert!(bare.links(&bare.campaigns[0]).is_empty());
}

#[test]
fn the_ruleset_has_the_offers_the_filters_and_the_policies_of_the_built_in_sources() {
    let config = parse(&format!("{MOST}\n[filters]\nbot = {{ mode = \"enforce\" }}\n"));
    let rules = config.ruleset();
    assert!(rules.offer(&OfferId::parse("565").unwrap()).is_some());
    assert_eq!(rules.filters.bot, Some(FilterMode::Enforce));
    for id in BuiltInSource::ALL.map(BuiltInSource::id) {
        let policy = rules.policies.get(&id).unwrap();
        // A pixel that is shown twice is no second sale.
        let dedup = if id == BuiltInSource::Pixel.id() { Dedup::Click } else { Dedup::Each };
        assert_eq!((policy.dedup, &policy.source), (dedup, &id));
        assert_eq!(policy.forward_status, [Status::Approved]);
        assert_eq!(policy.unmatched, Unmatched::Hold { hours: 72 });
    }
}

#[test]
fn a_postback_that_is_off_has_no_route_and_the_others_follow_the_destinations() {
    let rules = parse(&format!(
        "{}\n[[postback]]\nid = \"all\"\nurl = \"https://t.example/?c=#s2#\"\n",
        with_examples()
    ))
    .ruleset();
    let routed: Vec<&str> = rules.routes.iter().map(|route| route.destination.as_str()).collect();
    assert_eq!(routed, ["meta-main", "campaign:8599", "postback:all"]);
    let target = |id| rules.targets.get(&DestinationId::parse(id).unwrap());
    assert_eq!(target("postback:all"), Some(&TargetId::Host("t.example".into())));
    assert_eq!(target("meta-main"), None, "an account is a target alone");
    let rules = parse(MOST).ruleset();
    let routed: Vec<&str> = rules.routes.iter().map(|route| route.destination.as_str()).collect();
    assert_eq!(routed, ["campaign:8599", "postback:all"]);
    assert!(rules.targets.values().any(|target| *target == TargetId::NoHost), "the one that is off");
}

#[test]
fn a_destination_may_take_what_a_built_in_source_brings() {
    let only = "\n[destination.only]\nsource = [\"cake-api\", \"pixel\", \"tag\"]\n";
    let destination = "[[destination]]\nid = \"d\"\ntemplate = \"meta\"\n[destination.settings]\npixel_id = 1\naccess_token = { env = \"META_ACCESS_TOKEN\" }\n";
    let config = parse(&format!("{destination}{only}"));
    assert_eq!(config.destinations[0].route.only.sources.len(), 3);
}

#[test]
fn a_destination_may_name_offers_campaigns_and_affiliates_and_what_consent_it_needs() {
    let destination = |more: &str, only: &str| {
        let settings =
            "[destination.settings]\npixel_id = 1\naccess_token = { env = \"META_ACCESS_TOKEN\" }\n";
        let head = format!("[[destination]]\nid = \"d\"\ntemplate = \"meta\"\n{more}{settings}");
        let config = parse(&format!("{}{head}[destination.only]\n{only}", crate::support::relay::CAMPAIGN));
        config.destinations[0].clone()
    };
    let all = "offer = [\"565\"]\ncampaign = [\"8599\"]\naffiliate = [\"200\"]\n";
    let only = destination("", all).route.only;
    let names = (only.offers[0].as_str(), only.campaigns[0].as_str(), only.affiliates[0].as_str());
    assert_eq!(names, ("565", "8599", "200"));
    let usual = destination("", "").route.consent;
    assert_eq!((usual.personal, usual.explicit), (true, false));
    let strict = destination("consent = \"granted\"\n", "");
    assert_eq!(strict.route.consent, strict.ready.consent_need());
    assert!(strict.route.consent.explicit);
}

#[test]
fn filters_are_read_and_an_absent_one_says_nothing() {
    let bare = parse("").filters;
    assert!(bare.duplicate.is_none() && bare.bot.is_none() && bare.country.is_none());
    assert_eq!(bare.cap, FilterMode::Enforce);
    let config = parse(
        r#"
        [filters]
        duplicate = { mode = "enforce", window_seconds = 60, by = "ip_and_agent" }
        bot = { mode = "observe" }
        country = { mode = "observe", allow = ["us", "CA"] }
        device = { mode = "enforce", deny = ["tv"] }
        referrer = { mode = "observe", deny = ["Spam.example", "(none)"] }
        caps = { mode = "observe" }
        "#,
    );
    let filters = config.filters;
    let by = DuplicateBy::IpAndAgent;
    assert_eq!(filters.duplicate, Some(DuplicateRule { mode: FilterMode::Enforce, window_ms: 60_000, by }));
    assert_eq!(filters.bot, Some(FilterMode::Observe));
    assert_eq!(filters.country.unwrap().allow, ["US", "CA"]);
    assert_eq!(filters.device.unwrap().deny, ["tv"]);
    assert_eq!(filters.referrer.unwrap().deny, ["spam.example", "(none)"]);
    assert_eq!(filters.cap, FilterMode::Observe);
}

#[test]
fn a_duplicate_filter_that_names_only_its_mode_is_as_the_shipped_file_shows() {
    let bare = parse("[filters]\nduplicate = { mode = \"observe\" }\n").filters.duplicate;
    let line = DEFAULT.lines().find(|line| line.starts_with("# duplicate = ")).unwrap();
    let shown = parse(&format!("[filters]\n{}\n", line.trim_start_matches("# "))).filters.duplicate;
    assert_eq!(bare, shown);
    assert!(bare.is_some());
}

#[test]
fn a_country_file_is_seen_from_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.mmdb"), b"tree\xab\xcd\xefMaxMind.comdescription").unwrap();
    let file = folder.path().join("postbridge.toml");
    let config =
        Config::parse(file.to_str().unwrap(), "[filters]\ncountry_file = \"c.mmdb\"\n", &env).unwrap();
    assert_eq!(config.country_file, Some(folder.path().join("c.mmdb")));
}

#[test]
fn the_endpoints_of_the_network_are_set() {
    let config = parse(
        r#"
        [tag]
        origins = ["https://Shop.example/", "http://127.0.0.1:8000", "https://shop.example:443"]
        max_per_second_per_ip = 3
        [pixel]
        max_per_second_per_ip = 4
        [cake_api]
        time_zone = "America/New_York"
        "#,
    );
    let origins = ["https://shop.example", "http://127.0.0.1:8000", "https://shop.example"];
    assert_eq!(config.tag.origins, origins, "as browsers write them");
    assert_eq!(config.tag.max_per_second_per_ip.get(), 3);
    assert_eq!(config.pixel.max_per_second_per_ip.get(), 4);
    assert_eq!(config.network_api.time_zone.iana_name(), Some("America/New_York"));
    let bare = parse("");
    assert_eq!(bare.network_api.time_zone.iana_name(), Some("UTC"));
    assert!(bare.tag.origins.is_empty());
}

#[test]
fn a_source_names_the_links_that_the_tag_decorates() {
    let links = "link_hosts = [\"Track.Example.com\"]\nlink_paths = [\"/go/*\", \"/out\"]\n";
    let source = format!(
        "[[source]]\nid = \"a\"\ntemplate = \"cake\"\ncurrency = \"USD\"\nkey = {{ env = \"CAKE_KEY\" }}\n{links}"
    );
    let source = parse(&source).sources.remove(0);
    assert_eq!(source.link_hosts, ["track.example.com"]);
    assert_eq!(source.link_paths, ["/go/*", "/out"]);
}

#[test]
fn tokens_have_the_rights_that_they_name_and_all_where_they_name_none() {
    let tokens = r#"
        [api]
        tokens = [
            { name = "old", token = "t0ken-of-the-person-1" },
            { name = "ops", token = "t0ken-of-the-person-2", rights = ["network"] },
            { name = "eye", token = "t0ken-of-the-person-3", rights = "read" },
            { name = "acme", token = "t0ken-of-the-person-4", rights = ["advertiser"], advertiser = "31" },
        ]
    "#;
    let config = parse(&format!("{tokens}{MOST}"));
    let may = |name: &str| {
        let token = config.api.tokens.iter().find(|token| token.name == name).unwrap();
        let of: Vec<&str> = token.rights.advertisers().map(AdvertiserId::as_str).collect();
        (token.rights.may_change_all(), token.rights.may_read_all(), of)
    };
    assert_eq!(may("old"), (true, true, vec![]));
    assert_eq!(may("ops"), (true, true, vec![]));
    assert_eq!(may("eye"), (false, true, vec![]));
    assert_eq!(may("acme"), (false, false, vec!["31"]));
    let warned: Vec<&str> = config.warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(warned.iter().filter(|what| what.contains("`old` has no `rights`")).count(), 1, "{warned:?}");
}

#[test]
fn a_url_from_outside_is_not_shown_when_it_is_wrong() {
    let text = format!("{LEAST}\n[campaign.postback]\nurl = {{ env = \"CAKE_KEY\" }}\n");
    let said = read(&text).err().unwrap();
    assert!(said.contains("the value of $CAKE_KEY") && !said.contains("k3y-of-the-network-4711"), "{said}");
}

#[test]
fn a_reload_may_take_postbacks_out() {
    let with = parse(MOST);
    let without = parse(LEAST);
    let (with_ids, without_ids) = (with.destination_ids(), without.destination_ids());
    let mut gone: Vec<&str> = with_ids.difference(&without_ids).map(|id| id.as_str()).collect();
    gone.sort_unstable();
    assert_eq!(gone, ["affiliate:200", "campaign:8599", "postback:all"]);
    assert!(without_ids.is_subset(&with_ids));
    assert_eq!(with.reload_refusals(&without), [], "the whole network's side may change while it runs");
}

#[test]
fn a_file_of_thousands_of_campaigns_is_read_in_a_moment() {
    let campaign = |number: usize| {
        format!(
            "[[campaign]]\nid = \"c{number}\"\noffer = \"565\"\naffiliate = \"200\"\npostback = {{ url = \"https://a.example/?s=#s2#\" }}\n"
        )
    };
    let text = format!("{LEAST}{}", (0..3_000).map(campaign).collect::<String>());
    let began = std::time::Instant::now();
    let config = parse(&text);
    assert_eq!((config.campaigns.len(), config.outgoing.len()), (3_001, 3_000));
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(10), "a relay that reloads it hangs: {took:?}");
}
