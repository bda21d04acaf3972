//! The tag's endpoint, made of a configuration: what its script is given, and whose pages may report it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::AcrossReloads;
use crate::config::configuration::Config;
use crate::ingest::landing::{Landing, VisitorEnricher};
use crate::template::tag_script::{LinkGroup, TagConfig, TagScript};
use crate::web::link_table::LinkTable;
use crate::web::strangers::StrangerBudgets;
use crate::web::tag::Tag;
use crate::web::visitor::CookieRule;

/// Builds the endpoint. Where the tag is on, today's version of the script is kept from now on.
pub fn endpoint(
    shared: &AcrossReloads,
    config: &Config,
    (enricher, cookie, links): (&Arc<VisitorEnricher>, CookieRule, &Arc<LinkTable>),
    strangers: &StrangerBudgets,
) -> Tag {
    let script = TagScript::new(&tag_config(config, &enricher.landing));
    let tag = Tag {
        store: Arc::clone(&shared.store),
        clock: shared.clock.clone(),
        health: Arc::clone(&shared.health),
        enricher: Arc::clone(enricher),
        cookie,
        script: Arc::new(script),
        kept: Arc::default(),
        origins: Arc::new(config.tag.origins.clone()),
        strangers: strangers.clone(),
        refusals: Arc::clone(&shared.budget),
        links: Arc::clone(links),
    };
    if !config.tag.origins.is_empty() {
        let tag = tag.clone();
        // One that cannot be kept now is kept when a page asks for it.
        tokio::spawn(async move { tag.keep_version().await });
    }
    tag
}

/// What the script is given: the click parameters and cookies of every platform that is known, and which
/// links lead to which kind of network.
fn tag_config(config: &Config, landing: &Landing) -> TagConfig {
    // A campaign's own parameters change from page to page, and make no new click.
    let marks_click = |name: &&String| !name.starts_with("utm_");
    let mut groups: BTreeMap<&str, LinkGroup> = BTreeMap::new();
    for source in &config.sources {
        let Some(param) = source.template.link_param() else { continue };
        let group = groups.entry(source.template.name()).or_insert_with(|| LinkGroup {
            name: source.template.name().to_owned(),
            param: param.to_owned(),
            query: source.template.link_query().to_vec(),
            hosts: Vec::new(),
            paths: Vec::new(),
        });
        group.hosts.extend_from_slice(&source.link_hosts);
        group.paths.extend_from_slice(&source.link_paths);
    }
    TagConfig {
        public_url: config.server.public_url.clone(),
        direct: direct(config),
        params: landing.params.as_slice().iter().filter(marks_click).cloned().collect(),
        cookies: landing.cookies.as_slice().to_vec(),
        groups: groups.into_values().collect(),
    }
}

/// What a direct link carries. Where no campaign is configured there is none, and a page's own `a` and `c`
/// are not mistaken for one.
fn direct(config: &Config) -> Vec<String> {
    let names: &[&str] =
        if config.campaigns.is_empty() { &[] } else { &["a", "c", "s1", "s2", "s3", "s4", "s5"] };
    names.iter().map(|name| (*name).to_owned()).collect()
}
