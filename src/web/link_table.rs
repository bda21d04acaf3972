//! The links of every campaign, found by the campaign's id or by affiliate and creative.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::{AffiliateId, CampaignId, CreativeId};
use crate::domain::offer::CampaignRef;
use crate::ingest::landing::CarriedPairs;
use crate::template::macros::url::MacroUrl;

/// Where the links of one campaign to one creative lead.
pub struct Link {
    /// Whose click it is, and on what.
    pub campaign_ref: CampaignRef,
    /// Where its visitor is sent, with macros.
    pub landing: MacroUrl,
    /// Parameters of the link that are handed on: names, or beginnings of names with a `*`.
    pub pass: Vec<String>,
    /// Where a visitor goes whom the offer does not take; the server's where the offer has none.
    pub fallback_url: Option<String>,
}

impl Link {
    /// Whether it is the link to this creative.
    pub fn shows(&self, creative: &str) -> bool {
        self.campaign_ref.creative.as_ref().is_some_and(|own| own.as_str() == creative)
    }
}

/// The parameters by which links name affiliate and creative. They are the link's own: no offer is handed
/// them on.
pub const AFFILIATE: &str = "a";
/// The link's parameter that names a creative.
pub const CREATIVE: &str = "c";

/// Every campaign's links.
#[derive(Default)]
pub struct LinkTable {
    /// One for each creative, in the campaign's order; one alone where it has none. Never empty.
    by_campaign: HashMap<CampaignId, Vec<Arc<Link>>>,
    by_creative: HashMap<(AffiliateId, CreativeId), Arc<Link>>,
}

impl LinkTable {
    /// Of one campaign the first link is the one that needs to name no creative. Of two campaigns of one
    /// affiliate with one creative, the first is what `/?a=&c=` names.
    pub fn new(links: impl IntoIterator<Item = Link>) -> LinkTable {
        let mut table = LinkTable::default();
        for link in links {
            let link = Arc::new(link);
            let campaign_ref = &link.campaign_ref;
            if let (Some(affiliate), Some(creative)) = (&campaign_ref.affiliate, &campaign_ref.creative) {
                let pair = (affiliate.clone(), creative.clone());
                table.by_creative.entry(pair).or_insert_with(|| Arc::clone(&link));
            }
            if let Some(campaign) = &campaign_ref.campaign {
                table.by_campaign.entry(campaign.clone()).or_default().push(Arc::clone(&link));
            }
        }
        table
    }

    /// The campaign's link to the creative that is named. Where none is named, or none that the campaign
    /// shows, its first: the visitor reaches the offer, and the affiliate has the click.
    pub fn of_campaign(&self, campaign: &str, creative: Option<&str>) -> Option<&Arc<Link>> {
        let links = self.by_campaign.get(&CampaignId::parse(campaign).ok()?)?;
        let named = creative.and_then(|creative| links.iter().find(|link| link.shows(creative)));
        named.or_else(|| links.first())
    }

    /// The link that these parameters name by `a` and `c`: those of a tracking link, or of the address of
    /// a landing page that visitors reach by a direct link.
    pub fn of_creative(&self, carried: &CarriedPairs<'_>) -> Option<&Arc<Link>> {
        let affiliate = AffiliateId::parse(&carried.link_value(AFFILIATE)?).ok()?;
        let creative = CreativeId::parse(&carried.link_value(CREATIVE)?).ok()?;
        self.by_creative.get(&(affiliate, creative))
    }
}
