//! The shipped postbridge.toml, which is the default; and every table of a file, read in the order in which they
//! name each other.

use std::sync::{Arc, LazyLock};

use crate::config::campaign::{self, Partners};
use crate::config::configuration::Config;
use crate::config::destination::{self, NamableIds};
use crate::config::endpoints::{LinkSettings, NetworkApiConfig, PixelSettings, TagSettings};
use crate::config::filters::{self, FiltersConfig};
use crate::config::server::{ApiConfig, Server, StoreSettings};
use crate::config::templates::read_catalog;
use crate::config::{checks, creative, offer, source};
use crate::domain::ids::{CampaignId, CreativeId, OfferId, SourceId};
use crate::template::toml_doc::table::Table;

/// The ids of all tables of a file, also of those with a problem.
#[derive(Default)]
pub struct TableIds {
    /// Of every `[[source]]`.
    pub sources: Vec<SourceId>,
    /// Of every `[[campaign]]`.
    pub campaigns: Vec<CampaignId>,
    /// Of every `[[offer]]`.
    pub offers: Vec<OfferId>,
    /// Of every `[[creative]]`.
    pub creatives: Vec<CreativeId>,
}

/// What could be read of the file, whose problems are with the reader. What has one is left out, or is as in
/// the default file; `None` where not even `public_url` is known. Its ids are put into `ids`.
pub fn read(root: &Table<'_>, ids: &mut TableIds) -> Option<Config> {
    let server = root.table_or_default("server").and_then(Server::read);
    let store = root.table_or_default("store").and_then(StoreSettings::read);
    let offers = offer::read_all(root);
    let api = root.table("api").map(|section| ApiConfig::read(section, &offers.advertisers));
    let catalog = read_catalog(root);
    let sources = source::read_all(root, &catalog);
    let creatives = creative::read_all(root, &offers.ids);
    let Partners { affiliates, campaigns, outgoing, affiliate_ids, campaign_ids } =
        campaign::read_all(root, &catalog, (&offers.ids, &creatives));
    let nameable = NamableIds {
        sources: &sources.ids,
        offers: &offers.ids,
        campaigns: &campaign_ids,
        affiliates: &affiliate_ids,
    };
    let destinations = destination::read_all(root, &catalog, &nameable);
    let FiltersConfig { rules, country_file } = root.table("filters").map(filters::read).unwrap_or_default();
    let link_settings = root.table_or_default("links").and_then(LinkSettings::read);
    let tag = root.table_or_default("tag").and_then(TagSettings::read);
    let pixel = root.table_or_default("pixel").and_then(PixelSettings::read);
    let network_api = root.table_or_default("cake_api").and_then(NetworkApiConfig::read);
    root.finish();
    *ids = TableIds {
        sources: sources.ids,
        campaigns: campaign_ids,
        offers: offers.ids,
        creatives: creatives.ids,
    };
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
        network_api: network_api.or_else(|| NetworkApiConfig::read(root.default_of("cake_api")?))?,
        catalog: Arc::new(catalog),
        warnings: Vec::new(),
    };
    checks::remark(root, &config);
    Some(config)
}

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
