//! `[[affiliate]]` and `[[campaign]]`: who brings clicks to which offer, and the postbacks that notify them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::config::creative::Creatives;
use crate::config::names::OFFER;
use crate::config::names::{AFFILIATE, CAMPAIGN};
use crate::config::offer::{Affiliate, CampaignConfig};
use crate::config::outgoing::{self, Outgoing};
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use crate::domain::offer;
use crate::domain::routing::RouteScope;
use crate::template::catalog::Catalog;
use crate::template::toml_doc::table::Table;

/// Who brings clicks, and what notifies them of conversions.
#[derive(Default)]
pub struct Partners {
    pub affiliates: Vec<Affiliate>,
    pub campaigns: Vec<CampaignConfig>,
    /// Postbacks of affiliates, of campaigns, and for all.
    pub outgoing: Vec<Outgoing>,
    /// The ids of all, also of those left out.
    pub affiliate_ids: Vec<AffiliateId>,
    pub campaign_ids: Vec<CampaignId>,
}

/// What the tables of this file may name.
struct DeclaredTables<'k> {
    offers: &'k [OfferId],
    creatives: &'k Creatives,
    affiliates: Vec<AffiliateId>,
    campaigns: Vec<CampaignId>,
    /// Which campaign each pair of affiliate and creative means.
    links: HashMap<(AffiliateId, CreativeId), CampaignId>,
}

/// Reads every `[[affiliate]]`, `[[campaign]]` and `[[postback]]`; what has a problem is left out, its
/// problems kept. `offers` are the ids of all offers, also of those left out.
pub fn read_all(
    root: &Table<'_>,
    catalog: &Catalog,
    (offers, creatives): (&[OfferId], &Creatives),
) -> Partners {
    let mut partners = Partners::default();
    let mut known = DeclaredTables {
        offers,
        creatives,
        affiliates: Vec::new(),
        campaigns: Vec::new(),
        links: HashMap::new(),
    };
    for section in root.tables("affiliate") {
        read_affiliate((root, catalog), section, &mut known.affiliates, &mut partners);
    }
    for section in root.tables("campaign") {
        read_campaign((root, catalog), section, &mut known, &mut partners);
    }
    partners.outgoing.extend(outgoing::read_for_all(root, catalog));
    (partners.affiliate_ids, partners.campaign_ids) = (known.affiliates, known.campaigns);
    partners
}

fn read_affiliate<'a>(
    (root, catalog): (&Table<'a>, &Catalog),
    section: Table<'a>,
    ids: &mut Vec<AffiliateId>,
    partners: &mut Partners,
) {
    let id = AFFILIATE.own(&section, ids);
    let name = section.text("name").map(|text| text.value);
    let scope = id.clone().map(RouteScope::Affiliate);
    partners.outgoing.extend(outgoing::read_of((root, catalog), &section, scope));
    section.finish();
    if let Some(id) = id {
        partners.affiliates.push(Affiliate { name: name.unwrap_or_else(|| id.to_string()), id });
    }
}

fn read_campaign<'a>(
    (root, catalog): (&Table<'a>, &Catalog),
    section: Table<'a>,
    known: &mut DeclaredTables<'_>,
    partners: &mut Partners,
) {
    let id = CAMPAIGN.own(&section, &mut known.campaigns);
    let name = section.text("name").map(|text| text.value);
    let offer = section.required("offer", "\"565\"", |text| OFFER.one_of(text, known.offers));
    let affiliate =
        section.required("affiliate", "\"200\"", |text| AFFILIATE.one_of(text, &known.affiliates));
    let (creatives, is_right) = known.creatives.listed(&section, offer.as_ref());
    let scope = id.clone().map(RouteScope::Campaign);
    partners.outgoing.extend(outgoing::read_of((root, catalog), &section, scope));
    if let (Some(id), Some(affiliate)) = (&id, &affiliate) {
        check_links(&section, (id, affiliate, &creatives), &mut known.links);
    }
    section.finish();
    if let (Some(id), Some(offer), Some(affiliate), true) = (id, offer, affiliate, is_right) {
        let campaign = offer::Campaign { id, offer, affiliate, creatives };
        partners.campaigns.push(CampaignConfig { campaign: Arc::new(campaign), name });
    }
}

/// A link by affiliate and creative means one campaign.
fn check_links(
    section: &Table<'_>,
    (id, affiliate, creatives): (&CampaignId, &AffiliateId, &[CreativeId]),
    links: &mut HashMap<(AffiliateId, CreativeId), CampaignId>,
) {
    for creative in creatives {
        match links.entry((affiliate.clone(), creative.clone())) {
            Entry::Vacant(place) => {
                place.insert(id.clone());
            }
            Entry::Occupied(other) => {
                let what = format!(
                    "the campaign `{}` has the same affiliate and creative: the link \
                     /?a={affiliate}&c={creative} could mean either",
                    other.get()
                );
                section.problem("creative", what, "give each campaign of an affiliate creatives of its own");
            }
        }
    }
}
