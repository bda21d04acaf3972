//! What answers, made of a configuration: every door with just the parts it works with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::app::{Shared, measure, program};
use crate::config::Config;
use crate::config::source::Source;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::rulebook::Rulebook;
use crate::ingest::postback::Network;
use crate::template::account::Account;
use crate::web::auth::{Keys, Tokens};
use crate::web::pages::Pages;
use crate::web::postback::{Door, Postbacks};
use crate::web::{Operations, Site, api, click};

fn networks(config: &Config, rules: &Arc<Rulebook>) -> HashMap<SourceId, Network> {
    let network = |source: &Source| Network {
        template: Arc::clone(&source.template),
        binding: source.binding.clone(),
        policy: Arc::clone(&source.policy),
        rules: Arc::clone(rules),
    };
    config.sources.iter().map(|source| (source.id.clone(), network(source))).collect()
}

/// Governs the store by the configuration, and builds all that answers by it.
pub fn build(shared: &Shared, config: &Config, metrics: measure::Recorder) -> Site {
    let rules = Arc::new(config.rulebook());
    shared.store.govern(Arc::clone(&rules));
    let networks = Arc::new(networks(config, &rules));
    let doors = config.sources.iter().filter_map(|source| {
        let network = networks.get(&source.id)?.clone();
        let keys = Keys::new(source.keys.iter().map(|key| key.reveal()));
        Some((source.id.to_string(), Arc::new(Door::new(network, keys, source.max_per_second))))
    });
    let tokens = Tokens::new(config.api.tokens.iter().map(|token| {
        (token.name.as_str(), token.token.reveal(), crate::domain::rights::Rights::everything())
    }));
    let max_age_ms: HashMap<DestinationId, i64> = config
        .destinations
        .iter()
        .filter_map(|destination| Some((destination.account.id().clone(), destination.account.max_age_ms()?)))
        .collect();
    let max_age_ms = Arc::new(max_age_ms);
    let accounts = Arc::new(accounts(config));
    let (store, clock, health) = (&shared.store, &shared.clock, &shared.health);
    Site {
        postbacks: Postbacks {
            doors: Arc::new(doors.collect()),
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            budget: Arc::clone(&shared.budget),
        },
        clicks: click::Clicks { store: Arc::clone(store), clock: clock.clone(), health: Arc::clone(health) },
        api: api::Api {
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            networks: Arc::clone(&networks),
            destinations: Arc::new(accounts.iter().map(|account| account.id().clone()).collect()),
            max_age_ms: Arc::clone(&max_age_ms),
        },
        pages: pages(shared, config, (networks, accounts, max_age_ms, tokens.clone())),
        tokens,
        trusted_proxies: config.server.trusted_proxies.clone(),
        fallback_url: config.server.fallback_url.clone(),
        operations: Operations {
            store: Arc::clone(store),
            clock: clock.clone(),
            health: Arc::clone(health),
            metrics: measure::renderer(metrics, Arc::clone(store), clock.clone(), Arc::clone(&shared.known)),
        },
    }
}

/// Every destination: ad accounts, then outgoing postbacks.
fn accounts(config: &Config) -> Vec<Arc<Account>> {
    let ad_accounts = config.destinations.iter().map(|destination| Arc::clone(&destination.account));
    ad_accounts.chain(config.outgoing.iter().map(|outgoing| Arc::new(outgoing.account()))).collect()
}

type PageParts =
    (Arc<HashMap<SourceId, Network>>, Arc<Vec<Arc<Account>>>, Arc<HashMap<DestinationId, i64>>, Tokens);

fn pages(shared: &Shared, config: &Config, (networks, accounts, max_age_ms, tokens): PageParts) -> Pages {
    let urls: BTreeMap<String, String> = config
        .sources
        .iter()
        .filter_map(|source| Some((source.id.to_string(), config.postback_url(source, &[]).ok()?)))
        .collect();
    let dispatch = shared.dispatch.clone();
    Pages {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
        tokens,
        sessions: Arc::clone(&shared.sessions),
        networks,
        accounts,
        program: Arc::new(program::build(config, None)),
        urls: Arc::new(urls),
        max_age_ms,
        lanes: Arc::new(move || dispatch.upgrade().map(|dispatch| dispatch.states()).unwrap_or_default()),
        secure_cookies: config.server.public_url.starts_with("https://"),
    }
}
