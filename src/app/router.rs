//! What answers, made of a configuration: every endpoint with just the parts it works with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::app::measure::stored::StoredNumbers;
use crate::app::{AcrossReloads, measure, tag};
use crate::config::configuration::Config;
use crate::config::source::Source;
use crate::dispatch::prepare::forecast;
use crate::domain::destination_state::DestinationState;
use crate::domain::ids::{CreativeId, SourceId};
use crate::domain::offer;
use crate::domain::reporter::BuiltInSource;
use crate::domain::ruleset::Ruleset;
use crate::domain::test_event::TestRefused;
use crate::enrich::agent;
use crate::enrich::country::Countries;
use crate::ingest::landing::{Landing, VisitorEnricher};
use crate::ingest::postback::Network;
use crate::ingest::reopen::ReportTerms;
use crate::ops::Ops;
use crate::ops::test_event::SendTestEvent;
use crate::template::destination::ready::ReadyDestination;
use crate::template::diagnostic::Problem;
use crate::template::preset::usage::PresetUse;
use crate::template::tag_script::TagScript;
use crate::web::auth::{Keys, KnownSecrets, Tokens};
use crate::web::cake::AdvertiserApi;
use crate::web::click_budget::ClickLimits;
use crate::web::collect::{Postbacks, SourceEndpoint};
use crate::web::health::MetricsPage;
use crate::web::link_table::{Link, LinkTable};
use crate::web::links::{LinkCounters, LinkEndpoints};
use crate::web::pages::Pages;
use crate::web::pages::offer_pages::PostbackUrl;
use crate::web::pixel::PixelEndpoints;
use crate::web::secret_names::SecretNames;
use crate::web::strangers::StrangerBudgets;
use crate::web::visitor::{CookieRule, Transport};
use crate::web::{Router, api, click};

/// One configured source, as ingest needs it.
pub(super) fn network(config: &Config, id: &SourceId) -> Option<Network> {
    networks(config, &Arc::new(config.ruleset())).remove(id)
}

fn networks(config: &Config, rules: &Arc<Ruleset>) -> HashMap<SourceId, Network> {
    let network = |source: &Source| Network {
        template: Arc::clone(&source.template),
        binding: source.binding.clone(),
        policy: Arc::clone(&source.policy),
        mapping: source.mapping,
        verify: config.verify_rules(source).map(Arc::new),
        rules: Arc::clone(rules),
    };
    config.sources.iter().map(|source| (source.id.clone(), network(source))).collect()
}

/// What advertisers' reports are read by.
pub(super) fn terms(config: &Config, rules: &Arc<Ruleset>) -> ReportTerms {
    ReportTerms {
        rules: Arc::clone(rules),
        zone: config.network_api.time_zone.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
    }
}

fn endpoints(config: &Config, networks: &HashMap<SourceId, Network>) -> HashMap<String, Arc<SourceEndpoint>> {
    let endpoint = |source: &Source| {
        let network = networks.get(&source.id)?.clone();
        let keys = Keys::new(source.keys.iter().map(|key| key.reveal()));
        Some((source.id.to_string(), Arc::new(SourceEndpoint::new(network, keys, source.max_per_second))))
    };
    config.sources.iter().filter_map(endpoint).collect()
}

/// What may be a secret of a request whose source no one knows: it may be of one that was taken out of the configuration.
fn secret_names(config: &Config) -> SecretNames {
    let names = config.catalog.source_names();
    let known: Vec<_> = names.into_iter().filter_map(|name| config.catalog.source(name)).collect();
    SecretNames::of(known.iter().map(|template| &**template))
}

fn tokens(config: &Config) -> Tokens {
    let tokens = config.api.tokens.iter();
    Tokens::new(tokens.map(|token| (token.name.as_str(), token.token.reveal(), token.rights.clone())))
}

/// Builds all that answers by the configuration. `rules` are its ruleset, by which the store decides too.
pub fn build(
    shared: &AcrossReloads,
    (config, rules): (&Arc<Config>, &Arc<Ruleset>),
    enricher: VisitorEnricher,
    metrics: measure::Recorder,
) -> Router {
    let (enricher, cookie) = (Arc::new(enricher), cookie_rule(config));
    shared.hiding_proxies.set_trusted(&config.server.trusted_proxies);
    let networks = networks(config, rules);
    let tokens = tokens(config);
    let access = Arc::clone(&shared.access);
    let (store, clock, health) = (&shared.store, &shared.clock, &shared.health);
    let postbacks = Postbacks {
        endpoints: Arc::new(endpoints(config, &networks)),
        store: Arc::clone(store),
        clock: clock.clone(),
        health: Arc::clone(health),
        secret_names: Arc::new(secret_names(config)),
        budget: Arc::clone(&shared.budget),
    };
    let (table, strangers) = (Arc::new(link_table(config)), strangers(shared, config));
    let tag = tag::endpoint(shared, config, (&enricher, cookie, &table), &strangers);
    let tag_script = Arc::clone(&tag.script);
    let ops = ops(shared, config, rules, networks);
    Router {
        tag,
        links: links(shared, config, (Arc::clone(&enricher), cookie), (table, rules, &strangers)),
        pixels: pixels(shared, rules, &strangers),
        network_api: network_api(shared, config, rules, (&tokens, &postbacks)),
        postbacks,
        clicks: click::Clicks {
            store: Arc::clone(store),
            enricher,
            clock: clock.clone(),
            health: Arc::clone(health),
        },
        api: api::Api { ops: ops.clone(), health: Arc::clone(health) },
        pages: pages(shared, config, ops, (tokens.clone(), tag_script)),
        tokens,
        secrets: KnownSecrets::new(config.secrets()),
        access,
        trusted_proxies: config.server.trusted_proxies.clone(),
        hiding_proxies: Arc::clone(&shared.hiding_proxies),
        is_tls: config.server.tls.is_some(),
        open_metrics: config.server.open_metrics,
        max_body_bytes: config.server.max_body_bytes,
        metrics: metrics_page(shared, config, metrics),
    }
}

/// What people and scripts ask of the relay.
fn ops(
    shared: &AcrossReloads,
    config: &Config,
    rules: &Arc<Ruleset>,
    networks: HashMap<SourceId, Network>,
) -> Ops {
    Ops {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        networks: Arc::new(networks),
        reports: terms(config, rules),
        numbers: shared.numbers.clone(),
        destinations: Arc::new(destinations(config)),
        workers: workers(shared),
        send_test: send_test(shared),
        store_work: shared.store_work.clone(),
        erasure_work: shared.erasure_work.clone(),
        rules: Arc::clone(rules),
        keep_removed_hours: config.store.keep_removed_hours,
    }
}

fn metrics_page(shared: &AcrossReloads, config: &Config, metrics: measure::Recorder) -> MetricsPage {
    let stored = StoredNumbers {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        known: Arc::clone(&shared.known),
        sources: measured_sources(config),
    };
    MetricsPage::new(measure::renderer(metrics, shared.clock.clone(), stored))
}

fn network_api(
    shared: &AcrossReloads,
    config: &Config,
    rules: &Arc<Ruleset>,
    (tokens, postbacks): (&Tokens, &Postbacks),
) -> AdvertiserApi {
    AdvertiserApi {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
        tokens: tokens.clone(),
        access: Arc::clone(&shared.access),
        rules: Arc::clone(rules),
        public_url: config.server.public_url.clone(),
        zone: config.network_api.time_zone.clone(),
        numbers: shared.numbers.clone(),
        postbacks: postbacks.clone(),
    }
}

/// The configured sources and the built-in ones.
fn measured_sources(config: &Config) -> Vec<SourceId> {
    let built_in = BuiltInSource::ALL.map(BuiltInSource::id);
    config.sources.iter().map(|source| source.id.clone()).chain(built_in).collect()
}

/// What is seen of visitors: the country file is read anew, the list of bots made ready.
///
/// # Errors
/// When the country file cannot be read.
pub fn enricher(config: &Config) -> Result<VisitorEnricher, Problem> {
    agent::warm_up();
    let countries = match &config.country_file {
        Some(file) => Countries::open(file).map_err(|fault| {
            let hint =
                "[filters] country_file names a file in MaxMind's format, such as GeoLite2-Country.mmdb";
            Problem::new(fault.to_string(), hint).in_file(&file.display().to_string())
        })?,
        None => Countries::default(),
    };
    let mut landing = Landing::built_in();
    for template in
        config.catalog.destination_names().iter().filter_map(|name| config.catalog.destination(name))
    {
        landing.declare(template.landing_params(), template.cookies());
    }
    for postback in &config.outgoing {
        let param = postback.ready.preset().and_then(PresetUse::click_param);
        param.into_iter().for_each(|param| landing.declare_param(param));
    }
    Ok(VisitorEnricher { countries, landing })
}

fn cookie_rule(config: &Config) -> CookieRule {
    let remembered = config.offers.iter().map(|offer| offer.terms.click_cookie_days).max();
    let is_https = config.server.public_url.starts_with("https://");
    CookieRule {
        transport: if is_https { Transport::Https } else { Transport::Http },
        max_age_days: remembered.unwrap_or(USUAL_COOKIE_DAYS),
    }
}

/// A link for each creative of a campaign; one for a campaign that has none.
fn link_table(config: &Config) -> LinkTable {
    let link = |campaign: &offer::Campaign, creative: Option<&CreativeId>| {
        let offer = config.offer(&campaign.offer)?;
        Some(Link {
            campaign_ref: campaign.campaign_ref_of(creative),
            landing: config.landing(&campaign.offer, creative)?.clone(),
            pass: offer.pass.clone(),
            fallback_url: offer.fallback_url.clone(),
        })
    };
    LinkTable::new(config.campaigns.iter().map(|campaign| &campaign.campaign).flat_map(|campaign| {
        let none = campaign.creatives.is_empty().then_some(None);
        let creatives = campaign.creatives.iter().map(Some).chain(none);
        creatives.filter_map(move |creative| link(campaign, creative))
    }))
}

fn links(
    shared: &AcrossReloads,
    config: &Config,
    (enricher, cookie): (Arc<VisitorEnricher>, CookieRule),
    (table, rules, strangers): (Arc<LinkTable>, &Arc<Ruleset>, &StrangerBudgets),
) -> LinkEndpoints {
    LinkEndpoints {
        table,
        enricher,
        cookie,
        fallback_url: config.server.fallback_url.clone(),
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
        strangers: strangers.clone(),
        rules: Arc::clone(rules),
        counters: LinkCounters::default(),
    }
}

/// What strangers may have, as configured from now on.
fn strangers(shared: &AcrossReloads, config: &Config) -> StrangerBudgets {
    shared.clicks.set(click_limits(config));
    let rates = (config.pixel.max_per_second_per_ip, config.tag.max_per_second_per_ip);
    StrangerBudgets::new(rates.0.get(), rates.1.get(), &shared.clicks)
}

fn click_limits(config: &Config) -> ClickLimits {
    let settings = config.link_settings;
    ClickLimits {
        per_address: settings.max_per_second_per_ip,
        bytes: u64::from(settings.max_kib_per_second) * 1024,
    }
}

/// How long visitors are remembered where no offer says it.
const USUAL_COOKIE_DAYS: u32 = 30;

fn pixels(shared: &AcrossReloads, rules: &Arc<Ruleset>, strangers: &StrangerBudgets) -> PixelEndpoints {
    PixelEndpoints {
        rules: Arc::clone(rules),
        strangers: strangers.clone(),
        budget: Arc::clone(&shared.budget),
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
    }
}

/// Every destination: ad accounts, then outgoing postbacks.
fn destinations(config: &Config) -> Vec<Arc<ReadyDestination>> {
    let ad_accounts = config.destinations.iter().map(|destination| Arc::clone(&destination.ready));
    ad_accounts.chain(config.outgoing.iter().map(|outgoing| Arc::clone(&outgoing.ready))).collect()
}

/// How each destination is doing: nothing is known while none is sent to.
fn workers(shared: &AcrossReloads) -> Arc<dyn Fn() -> Vec<DestinationState> + Send + Sync> {
    let dispatch = shared.dispatch.clone();
    Arc::new(move || dispatch.upgrade().map(|dispatch| dispatch.states()).unwrap_or_default())
}

/// By what a test event is sent. It holds the dispatch only until the request is on its way: a stop takes that whole.
fn send_test(shared: &AcrossReloads) -> SendTestEvent {
    let dispatch = shared.dispatch.clone();
    Arc::new(move |destination, event| {
        let sender = dispatch.upgrade().and_then(|dispatch| dispatch.test_sender(destination));
        Box::pin(async move {
            match sender {
                Some(sender) => sender.send(event).await,
                None => Err(TestRefused::NotReady),
            }
        })
    })
}

fn pages(
    shared: &AcrossReloads,
    config: &Arc<Config>,
    ops: Ops,
    (tokens, tag_script): (Tokens, Arc<TagScript>),
) -> Pages {
    let url = |source: &Source| {
        let key = source.keys.first()?.reveal();
        let (whole, base) = (config.postback_url(source, &[], &[]).ok()?, &config.server.public_url);
        let masked = format!("{base}/***{}", whole.strip_prefix(&format!("{base}/{key}"))?);
        Some((source.id.to_string(), PostbackUrl { whole, masked }))
    };
    let urls: BTreeMap<String, PostbackUrl> = config.sources.iter().filter_map(url).collect();
    Pages {
        ops,
        health: Arc::clone(&shared.health),
        tokens,
        sessions: Arc::clone(&shared.access.sessions),
        access: Arc::clone(&shared.access),
        hiding_proxies: Arc::clone(&shared.hiding_proxies),
        unrecorded: Arc::clone(&shared.clicks.unrecorded),
        config: Arc::clone(config),
        tag_script,
        urls: Arc::new(urls),
        forecast,
    }
}
