//! The links of campaigns, as affiliates are handed them.

use crate::config::configuration::Config;
use crate::config::creative::Creative;
use crate::config::offer::{CampaignConfig, OfferConfig};
use crate::domain::ids::{CreativeId, OfferId};
use crate::template::diagnostic::Problem;
use crate::template::macros::url::MacroUrl;

/// What leads visitors to one creative of a campaign.
#[derive(Debug, Clone)]
pub struct CreativeLinks {
    /// The creative that these links lead to.
    pub creative: CreativeId,
    /// Records the click, then sends the visitor on.
    pub tracking: String,
    /// The same by affiliate and creative.
    pub by_creative: String,
    /// The landing page itself, which records the click; or why there is no such link.
    pub direct: Result<DirectLinkConfig, Problem>,
}

/// The address of a landing page that carries the tag or the click pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectLinkConfig {
    /// The landing page's own address, with `a` and `c`.
    pub url: String,
    /// The page's origin, as browsers write it.
    pub origin: String,
    /// Whether the tag takes clicks of that origin. Where it does not, only the click pixel works there.
    pub takes_tag: bool,
}

impl Config {
    /// The link that a campaign's affiliate sends visitors to, by the campaign alone.
    pub fn tracking_link(&self, campaign: &CampaignConfig) -> String {
        format!("{}/c/{}", self.server.public_url, campaign.campaign.id)
    }

    /// The links of every creative of a campaign, in its order.
    pub fn links(&self, campaign: &CampaignConfig) -> Vec<CreativeLinks> {
        let creatives = campaign.campaign.creatives.iter();
        creatives.map(|creative| self.links_of(campaign, creative)).collect()
    }

    /// The links of one creative of a campaign.
    pub fn links_of(&self, campaign: &CampaignConfig, creative: &CreativeId) -> CreativeLinks {
        let base = &self.server.public_url;
        let bare = self.tracking_link(campaign);
        let is_first = campaign.campaign.creatives.first() == Some(creative);
        CreativeLinks {
            creative: creative.clone(),
            tracking: if is_first { bare } else { format!("{bare}?c={creative}") },
            by_creative: format!("{base}/?a={}&c={creative}", campaign.campaign.affiliate),
            direct: self.direct_link(campaign, creative),
        }
    }

    fn direct_link(
        &self,
        campaign: &CampaignConfig,
        creative: &CreativeId,
    ) -> Result<DirectLinkConfig, Problem> {
        let run = &campaign.campaign;
        let page = self.landing(&run.offer, Some(creative));
        let page = page.ok_or_else(|| Problem::new(format!("there is no offer `{}`", run.offer), ""))?;
        let known = |name: &str| match name {
            "campaign_id" => Some(run.id.to_string()),
            "offer_id" => Some(run.offer.to_string()),
            "affiliate_id" => Some(run.affiliate.to_string()),
            "creative_id" => Some(creative.to_string()),
            _ => None,
        };
        let url = page.direct(&known, &[("a", run.affiliate.as_str()), ("c", creative.as_str())])?;
        let origin = url::Url::parse(&url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let takes_tag = self.tag.origins.contains(&origin);
        Ok(DirectLinkConfig { url, origin, takes_tag })
    }

    /// Where visitors of a creative go, or those of an offer's links that name none.
    pub fn landing(&self, offer: &OfferId, creative: Option<&CreativeId>) -> Option<&MacroUrl> {
        let own = creative.and_then(|id| self.creative(id)).and_then(|creative| creative.landing.as_ref());
        own.or_else(|| self.offer(offer).map(|offer| &offer.landing))
    }

    /// The offer with this id.
    pub fn offer(&self, id: &OfferId) -> Option<&OfferConfig> {
        self.offers.iter().find(|offer| offer.terms.id == *id)
    }

    /// The creative with this id, where it has a table of its own.
    pub fn creative(&self, id: &CreativeId) -> Option<&Creative> {
        self.creatives.iter().find(|creative| creative.id == *id)
    }
}
