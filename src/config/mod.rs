//! `postbridge.toml` → a validated [`Config`], or every problem at once, each with its line and mend.

pub mod campaign;
pub mod checks;
pub mod creative;
pub mod destination;
pub mod doors;
pub mod exposure;
pub mod filters;
pub mod links;
pub mod names;
pub mod offer;
pub mod only;
pub mod outgoing;
pub mod part;
pub mod plain_secret;
pub mod read;
pub mod secrets;
pub mod server;
pub mod source;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use toml::de::DeTable;

use crate::config::campaign::Partners;
use crate::config::creative::Creative;
use crate::config::destination::Destination;
use crate::config::doors::{LinkSettings, NetworkApi, PixelSettings, TagSettings};
use crate::config::filters::Filters;
use crate::config::offer::{Affiliate, Campaign, Offer};
use crate::config::only::Known;
use crate::config::outgoing::Outgoing;
use crate::config::part::{Ids, Part};
use crate::config::read::{Env, Reader, Section};
use crate::config::server::{Api, Server, StoreSettings};
use crate::config::source::Source;
use crate::domain::conversion::Dedup;
use crate::domain::filter::FilterRules;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::routing::SourcePolicy;
use crate::domain::rulebook::{Rulebook, built_in, usual};
use crate::problem::{Problem, access};
use crate::template::account::Mode;
use crate::template::catalog::{Catalog, check_folder};

/// The shipped default file: every key, explained. Its values are the defaults, and `init` writes it.
pub const DEFAULT: &str = include_str!("default.toml");

/// The shipped file with its examples switched on: what `init --example` writes. The defaults of tables
/// that are there only where they are written, such as `[[source]]`, are those of its examples.
pub fn with_examples() -> &'static str {
    static EXAMPLES: LazyLock<String> =
        LazyLock::new(|| DEFAULT.split_inclusive('\n').map(without_example_mark).collect());
    &EXAMPLES
}

/// A line of an example begins with `#` and no space behind it.
fn without_example_mark(line: &str) -> &str {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| !c.is_whitespace())).unwrap_or(line)
}

/// A configuration in which everything named exists and fits together.
#[derive(Clone)]
pub struct Config {
    pub server: Server,
    pub store: StoreSettings,
    pub api: Api,
    pub sources: Vec<Source>,
    pub destinations: Vec<Destination>,
    pub affiliates: Vec<Affiliate>,
    pub offers: Vec<Offer>,
    pub creatives: Vec<Creative>,
    pub campaigns: Vec<Campaign>,
    /// The postbacks that tell affiliates of their conversions.
    pub outgoing: Vec<Outgoing>,
    pub filters: FilterRules,
    /// Which country an address is in: a file in MaxMind's format.
    pub country_file: Option<PathBuf>,
    pub link_settings: LinkSettings,
    pub tag: TagSettings,
    pub pixel: PixelSettings,
    pub network_api: NetworkApi,
    pub catalog: Arc<Catalog>,
    /// What is allowed but surely not meant: to be printed by `check` and at start.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the file at `path`, its secrets from the process's environment and from files.
    ///
    /// # Errors
    /// Every problem of the file, of what it names and of its templates.
    pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
        Part::load(path)?.into_whole()
    }

    /// What decisions go by. A destination that is off takes nothing new.
    pub fn rulebook(&self) -> Rulebook {
        let accounts = self.destinations.iter();
        let accounts = accounts.filter(|to| to.account.mode() != Mode::Off).map(|to| &to.route);
        let postbacks = self.outgoing.iter().filter(|to| to.mode != Mode::Off).map(|to| &to.route);
        let policies = self.sources.iter().map(|source| (source.id.clone(), Arc::clone(&source.policy)));
        let offers = self.offers.iter().map(|offer| (offer.terms.id.clone(), Arc::clone(&offer.terms)));
        Rulebook {
            policies: policies.chain(built_in_policies()).collect(),
            offers: offers.collect(),
            routes: accounts.chain(postbacks).cloned().collect(),
            filters: self.filters.clone(),
        }
    }

    /// Reads `text` as if it stood in `file`. Looks at nothing outside but the files it names:
    /// secrets, certificates and the folder of templates.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, text: &str, env: Env<'_>) -> Result<Config, Vec<Problem>> {
        Part::parse(file, text, env).into_whole()
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
        for (key, had, now) in [
            ("[store] reserve_mb", had.reserve_mb, now.reserve_mb),
            ("[store] keep_conversions_days", had.keep_conversions_days, now.keep_conversions_days),
            ("[store] keep_postbacks_days", had.keep_postbacks_days, now.keep_postbacks_days),
            ("[store] keep_clicks_days", had.keep_clicks_days, now.keep_clicks_days),
            ("[store] keep_removed_hours", had.keep_removed_hours, now.keep_removed_hours),
        ] {
            refuse(key, had.to_string(), now.to_string());
        }
        refusals
    }

    /// `{public_url}/{key}/collect/{id}?{macros}`, by the first of the source's keys: what is pasted at
    /// the network. `with` names further parameters of the template.
    ///
    /// # Errors
    /// When the template has no such parameter.
    pub fn postback_url(&self, source: &Source, with: &[String]) -> Result<String, Problem> {
        let query = source.template.postback_query(with)?;
        let key = source.keys.first().map(|key| key.reveal()).unwrap_or_default();
        Ok(format!("{}/{key}/collect/{}?{query}", self.server.public_url, source.id))
    }

    /// The ids of all accounts and outgoing postbacks.
    pub fn destination_ids(&self) -> HashSet<DestinationId> {
        let accounts = self.destinations.iter().map(|destination| destination.account.id());
        accounts.chain(self.outgoing.iter().map(|outgoing| &outgoing.id)).cloned().collect()
    }

    /// The source with this id.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id.as_str() == id)
    }

    /// The campaign with this id.
    pub fn campaign(&self, id: &str) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| campaign.campaign.id.as_str() == id)
    }

    /// The destination with this id.
    pub fn destination(&self, id: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.account.id().as_str() == id)
    }
}

/// The folder of the user's own templates that the file at `path` names; nothing else is checked.
///
/// # Errors
/// When the file cannot be read as TOML, or the folder is none.
pub fn templates_folder(path: &Path) -> Result<Option<PathBuf>, Vec<Problem>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![access::problem(path, "it cannot be read", &error, "").in_file(&file)])?;
    let env = |name: &str| std::env::var(name).ok();
    let reader = Reader::new(&file, &text, &env);
    let empty = DeTable::new();
    let folder = reader.table().map(|table| own_templates(&Section::root(&reader, &table, &empty)));
    let problems = reader.into_findings().0;
    match folder {
        Some(OwnTemplates::In(folder)) if problems.is_empty() => Ok(Some(folder)),
        _ if problems.is_empty() => Ok(None),
        _ => Err(problems),
    }
}

/// Whether the file names a folder of the user's own templates.
enum OwnTemplates {
    NotNamed,
    /// It names one that cannot be used, which was kept as a problem.
    Unusable,
    In(PathBuf),
}

fn own_templates(root: &Section<'_>) -> OwnTemplates {
    let Some(section) = root.section("templates", Some(&[])) else { return OwnTemplates::Unusable };
    let path = section.parsed("path", |text| {
        let path = section.reader().path(&text.value);
        check_folder(&path).map(|()| path).map_err(|problem| {
            let hint = format!("{}; relative paths start from this file's folder", problem.hint);
            Problem { hint, ..problem }
        })
    });
    let is_named = section.has("path");
    section.finish();
    match path {
        Some(path) => OwnTemplates::In(path),
        None if is_named => OwnTemplates::Unusable,
        None => OwnTemplates::NotNamed,
    }
}

/// Every template that is whole; what is wrong with the others is kept.
fn read_catalog(root: &Section<'_>) -> Catalog {
    let own = own_templates(root);
    let folder = if let OwnTemplates::In(folder) = &own { Some(folder.as_path()) } else { None };
    let (catalog, problems) = Catalog::load_what_is_whole(folder);
    problems.into_iter().for_each(|problem| root.reader().elsewhere(problem));
    // Any name may be one of a folder that could not be looked into.
    if matches!(own, OwnTemplates::Unusable) { catalog.without_the_users() } else { catalog }
}

/// What the doors that need no `[[source]]` want done with their conversions, where the door itself does
/// not name what tells one sale from another.
fn built_in_policies() -> impl Iterator<Item = (SourceId, Arc<SourcePolicy>)> {
    let ids = built_in::ALL.into_iter().filter_map(|id| SourceId::parse(id).ok());
    // A page shown twice is no second sale; what an advertiser's server tells without a reference is.
    let dedup = |id: &SourceId| if id.as_str() == built_in::PIXEL { Dedup::Click } else { Dedup::Each };
    ids.map(move |id| (id.clone(), Arc::new(SourcePolicy { dedup: dedup(&id), ..usual(id) })))
}

/// What could be read of the file, whose problems are with the reader. What has one is left out, or is as in
/// the default file; `None` where not even `public_url` is known. Its ids are put into `ids`.
fn read(root: &Section<'_>, ids: &mut Ids) -> Option<Config> {
    let server = root.section("server", None).and_then(Server::read);
    let store = root.section("store", None).and_then(StoreSettings::read);
    let offers = offer::read_all(root);
    let api = root.section("api", Some(&[])).map(|section| Api::read(section, &offers.advertisers));
    let catalog = read_catalog(root);
    let sources = source::read_all(root, &catalog);
    let creatives = creative::read_all(root, &offers.ids);
    let Partners { affiliates, campaigns, outgoing, affiliate_ids, campaign_ids } =
        campaign::read_all(root, &offers.ids, &creatives);
    let nameable = Known {
        sources: &sources.ids,
        offers: &offers.ids,
        campaigns: &campaign_ids,
        affiliates: &affiliate_ids,
    };
    let destinations = destination::read_all(root, &catalog, &nameable);
    let Filters { rules, country_file } =
        root.section("filters", Some(&[])).map(filters::read).unwrap_or_default();
    let link_settings = root.section("links", None).and_then(LinkSettings::read);
    let tag = root.section("tag", None).and_then(TagSettings::read);
    let pixel = root.section("pixel", None).and_then(PixelSettings::read);
    let network_api = root.section("cake_api", None).and_then(NetworkApi::read);
    root.finish_knowing(|_| None);
    *ids =
        Ids { sources: sources.ids, campaigns: campaign_ids, offers: offers.ids, creatives: creatives.ids };
    let config = Config {
        server: server?,
        store: store.or_else(|| StoreSettings::read(root.default_of("store")?))?,
        api: api.unwrap_or_default(),
        sources: sources.whole,
        destinations,
        affiliates,
        offers: offers.whole,
        creatives: creatives.whole,
        campaigns,
        outgoing,
        filters: rules,
        country_file,
        link_settings: link_settings.or_else(|| LinkSettings::read(root.default_of("links")?))?,
        tag: tag.or_else(|| TagSettings::read(root.default_of("tag")?))?,
        pixel: pixel.or_else(|| PixelSettings::read(root.default_of("pixel")?))?,
        network_api: network_api.or_else(|| NetworkApi::read(root.default_of("cake_api")?))?,
        catalog: Arc::new(catalog),
        warnings: Vec::new(),
    };
    checks::remark(root, &config);
    Some(config)
}
