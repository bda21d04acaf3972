//! What a postbridge.toml says as a whole, and what may change of it while the program runs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::creative::Creative;
use crate::config::destination::Destination;
use crate::config::endpoints::{LinkSettings, NetworkApiConfig, PixelSettings, TagSettings};
use crate::config::offer::{Affiliate, CampaignConfig, OfferConfig};
use crate::config::outgoing::Outgoing;
use crate::config::server::{ApiConfig, Server, StoreSettings};
use crate::config::source::Source;
use crate::config::verify::SourceVerify;
use crate::domain::conversion::Dedup;
use crate::domain::filter::FilterRules;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::reporter::BuiltInSource;
use crate::domain::routing::SourcePolicy;
use crate::domain::ruleset::{Ruleset, usual};
use crate::domain::time::Time;
use crate::template::catalog::Catalog;
use crate::template::destination::rendering::DestinationMode;
use crate::template::diagnostic::Problem;
use crate::template::source::verify::rules::VerifyRules;
use crate::template::source::verify::scheme::SecretTexts;

/// A configuration in which everything named exists and fits together.
#[derive(Clone)]
pub struct Config {
    /// `[server]`: where it listens, and what one client may ask for.
    pub server: Server,
    /// `[store]`: the data folder, and how long what is in it is kept.
    pub store: StoreSettings,
    /// `[api]`: the tokens.
    pub api: ApiConfig,
    /// Every `[[source]]`.
    pub sources: Vec<Source>,
    /// Every `[[destination]]`.
    pub destinations: Vec<Destination>,
    /// Every `[[affiliate]]`.
    pub affiliates: Vec<Affiliate>,
    /// Every `[[offer]]`.
    pub offers: Vec<OfferConfig>,
    /// Every `[[creative]]`.
    pub creatives: Vec<Creative>,
    /// Every `[[campaign]]`.
    pub campaigns: Vec<CampaignConfig>,
    /// The postbacks that notify affiliates of their conversions.
    pub outgoing: Vec<Outgoing>,
    /// `[filters]`: what is odd about a click.
    pub filters: FilterRules,
    /// Which country an address is in: a file in MaxMind's format.
    pub country_file: Option<PathBuf>,
    /// `[links]`: how many clicks strangers may have recorded.
    pub link_settings: LinkSettings,
    /// `[tag]`: which pages may use it, and how often.
    pub tag: TagSettings,
    /// `[pixel]`: how often one address may report.
    pub pixel: PixelSettings,
    /// `[cake_api]`: whose days its dates are.
    pub network_api: NetworkApiConfig,
    /// The templates, built-in ones and the operator's own.
    pub catalog: Arc<Catalog>,
    /// What is allowed but surely not meant: to be printed by `check` and at start.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// What decisions go by. A destination that is off takes nothing new.
    pub fn ruleset(&self) -> Ruleset {
        let destinations = self.destinations.iter();
        let destinations =
            destinations.filter(|to| to.ready.mode() != DestinationMode::Off).map(|to| &to.route);
        let postbacks = self.outgoing.iter().filter(|to| to.mode != DestinationMode::Off).map(|to| &to.route);
        let policies = self.sources.iter().map(|source| (source.id.clone(), Arc::clone(&source.policy)));
        let offers = self.offers.iter().map(|offer| (offer.terms.id.clone(), Arc::clone(&offer.terms)));
        Ruleset {
            policies: policies.chain(built_in_policies()).collect(),
            offers: offers.collect(),
            routes: destinations.chain(postbacks).cloned().collect(),
            targets: self.outgoing.iter().map(|to| (to.id.clone(), to.target())).collect(),
            filters: self.filters.clone(),
        }
    }

    /// The settings whose value the platforms take only until a day that is near: to be printed with the warnings.
    pub fn expiring(&self, now: Time) -> Vec<Problem> {
        let all = self.destinations.iter().flat_map(|destination| &destination.expiring);
        all.filter_map(|(setting, at)| Some(Problem { at: at.clone(), ..setting.warning(now)? })).collect()
    }

    /// What keeps `new` from taking this configuration's place while the program runs: addresses, the
    /// limits of connections and the store are fixed at start.
    pub fn reload_refusals(&self, new: &Config) -> Vec<Problem> {
        let hint = "undo the change, or restart the program";
        let mut refusals = Vec::new();
        let mut refuse = |key: &str, had: String, now: String| {
            if had != now {
                let what =
                    format!("{key} was changed from {had} to {now}, which a running program cannot do");
                refusals.push(Problem::new(what, hint));
            }
        };
        let none = || "none".to_owned();
        let (had, now) = (&self.server, &new.server);
        refuse("[server] listen", had.listen.to_string(), now.listen.to_string());
        let admin = |server: &Server| server.admin_listen.map_or_else(none, |address| address.to_string());
        refuse("[server] admin_listen", admin(had), admin(now));
        let tls = |server: &Server| if server.tls.is_some() { "present" } else { "absent" }.to_owned();
        refuse("[server.tls]", tls(had), tls(now));
        for (key, had, now) in [
            ("[server] max_body_bytes", had.max_body_bytes as u64, now.max_body_bytes as u64),
            ("[server] max_connections", had.max_connections as u64, now.max_connections as u64),
            ("[server] head_timeout_ms", had.head_timeout_ms, now.head_timeout_ms),
            ("[server] body_timeout_ms", had.body_timeout_ms, now.body_timeout_ms),
            ("[server] idle_timeout_ms", had.idle_timeout_ms, now.idle_timeout_ms),
        ] {
            refuse(key, had.to_string(), now.to_string());
        }
        let (had, now) = (&self.store, &new.store);
        refuse("[store] engine", format!("{:?}", had.engine), format!("{:?}", now.engine));
        refuse("[store] path", had.path.display().to_string(), now.path.display().to_string());
        let backups = |store: &StoreSettings| {
            store.backup_dir.as_ref().map_or_else(none, |dir| dir.display().to_string())
        };
        refuse("[store] backup_dir", backups(had), backups(now));
        for (key, had, now) in [
            ("[store] reserve_mb", had.reserve_mb, now.reserve_mb),
            ("[store] segment_mb", had.segment_mb, now.segment_mb),
            ("[store] keep_conversions_days", had.keep_conversions_days, now.keep_conversions_days),
            ("[store] keep_postbacks_days", had.keep_postbacks_days, now.keep_postbacks_days),
            ("[store] keep_clicks_days", had.keep_clicks_days, now.keep_clicks_days),
            ("[store] keep_removed_hours", had.keep_removed_hours, now.keep_removed_hours),
        ] {
            refuse(key, had.to_string(), now.to_string());
        }
        refusals
    }

    /// What is verified of a source's postbacks; `None`: nothing.
    pub fn verify_rules(&self, source: &Source) -> Option<VerifyRules> {
        let SourceVerify { mode, secrets, allow_ips } = &source.verify;
        if source.template.verification().is_none() && allow_ips.is_empty() {
            return None;
        }
        Some(VerifyRules {
            mode: *mode,
            secrets: SecretTexts::new(secrets.iter().map(|secret| secret.reveal())),
            trusted_proxies: self.server.trusted_proxies.clone(),
            allow_ips: allow_ips.clone(),
            keys: SecretTexts::new(source.keys.iter().map(|key| key.reveal())),
            base_url: self.server.public_url.clone(),
        })
    }

    /// The ids of all accounts and outgoing postbacks.
    pub fn destination_ids(&self) -> HashSet<DestinationId> {
        let destinations = self.destinations.iter().map(|destination| destination.ready.id());
        destinations.chain(self.outgoing.iter().map(|outgoing| &outgoing.id)).cloned().collect()
    }

    /// Every secret that is configured: what opens something here, and what destinations are sent.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let keys = self.sources.iter().flat_map(|source| &source.keys).map(|key| key.reveal());
        let signing = self.sources.iter().flat_map(|source| &source.verify.secrets);
        let keys = keys.chain(signing.map(|secret| secret.reveal()));
        let tokens = self.api.tokens.iter().map(|token| token.token.reveal());
        let accounts = self.destinations.iter().flat_map(|destination| destination.ready.secrets());
        let postbacks = self.outgoing.iter().flat_map(|outgoing| outgoing.url.secrets());
        keys.chain(tokens).chain(accounts.chain(postbacks).map(String::as_str))
    }

    /// The source with this id.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id.as_str() == id)
    }

    /// The campaign with this id.
    pub fn campaign(&self, id: &str) -> Option<&CampaignConfig> {
        self.campaigns.iter().find(|campaign| campaign.campaign.id.as_str() == id)
    }
}

/// What the endpoints that need no `[[source]]` want done with their conversions, where the endpoint itself does
/// not name what distinguishes one sale from another.
fn built_in_policies() -> impl Iterator<Item = (SourceId, Arc<SourcePolicy>)> {
    // A page shown twice is no second sale; what an advertiser's server reports without a reference is.
    let dedup = |source| match source {
        BuiltInSource::Pixel => Dedup::Click,
        BuiltInSource::Api | BuiltInSource::Tag => Dedup::Each,
    };
    let policy = move |source: BuiltInSource| SourcePolicy { dedup: dedup(source), ..usual(source.id()) };
    BuiltInSource::ALL.into_iter().map(move |source| (source.id(), Arc::new(policy(source))))
}
