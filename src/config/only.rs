//! `[destination.only]`: which conversions a destination takes, by ids that the file knows.

use crate::config::names::OFFER;
use crate::config::names::SOURCE;
use crate::config::names::{AFFILIATE, CAMPAIGN};
use crate::domain::built_in;
use crate::domain::ids::{AffiliateId, CampaignId, OfferId, SourceId};
use crate::domain::routing::Only;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::event_name;

/// The ids that may be named; also of tables that were left out for a problem.
pub struct Known<'a> {
    pub sources: &'a [SourceId],
    pub offers: &'a [OfferId],
    pub campaigns: &'a [CampaignId],
    pub affiliates: &'a [AffiliateId],
}

/// Reads the table; what names no such thing is a problem.
pub fn read(section: Table<'_>, known: &Known<'_>) -> Only {
    let built_in = built_in::ALL.iter().filter_map(|id| SourceId::parse(id).ok());
    let sources: Vec<SourceId> = known.sources.iter().cloned().chain(built_in).collect();
    let source = |text: &Text| SOURCE.one_of(text, &sources);
    let offer = |text: &Text| OFFER.one_of(text, known.offers);
    let campaign = |text: &Text| CAMPAIGN.one_of(text, known.campaigns);
    let affiliate = |text: &Text| AFFILIATE.one_of(text, known.affiliates);
    let events = section.all_parsed("event", event_name).unwrap_or_default();
    let only = Only {
        sources: section.all_parsed("source", source).unwrap_or_default(),
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        offers: section.all_parsed("offer", offer).unwrap_or_default(),
        campaigns: section.all_parsed("campaign", campaign).unwrap_or_default(),
        affiliates: section.all_parsed("affiliate", affiliate).unwrap_or_default(),
    };
    for key in ["source", "event", "offer", "campaign", "affiliate"] {
        if section.has(key) && section.is_empty_list(key) {
            let what = format!("`{key}` in [destination.only] is an empty list");
            section.problem(key, what, format!("name at least one {key}, or leave the key out to take all"));
        }
    }
    section.finish();
    only
}
