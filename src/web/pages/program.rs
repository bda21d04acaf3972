//! The network's side as it is configured, with just what the pages show of it.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, DestinationId, OfferId};
use crate::domain::offer::{Campaign, CampaignRef, Offer};
use crate::domain::routing::{Changes, Route, Scope};
use crate::template::destination::rendering::Mode;
use crate::template::diagnostic::Problem;

/// Offers, the campaigns that bring them clicks, and what partners get.
#[derive(Clone, Default)]
pub struct Program {
    /// What every address begins with; no slash at its end.
    pub public_url: String,
    pub offers: Vec<OfferCard>,
    pub campaigns: Vec<CampaignCard>,
    /// The creatives that have a table of their own.
    pub creatives: Vec<CreativeCard>,
    /// Each affiliate with its name.
    pub affiliates: Vec<(AffiliateId, String)>,
    pub postbacks: Vec<PostbackCard>,
    pub tag: Option<TagCard>,
}

/// One offer as the configuration has it.
#[derive(Clone)]
pub struct OfferCard {
    pub terms: Arc<Offer>,
    pub name: String,
    /// The landing page's address, as written.
    pub landing: String,
    /// The parameters of the link that are handed on.
    pub pass: Vec<String>,
    pub fallback_url: Option<String>,
}

/// One campaign with its link.
#[derive(Clone)]
pub struct CampaignCard {
    pub campaign: Arc<Campaign>,
    pub name: Option<String>,
    /// The tracking link, whole.
    pub link: String,
    /// What it shows, the first being what the link leads to.
    pub creatives: Vec<CreativeLink>,
}

/// One creative as the configuration has it.
#[derive(Clone)]
pub struct CreativeCard {
    pub id: CreativeId,
    pub offer: OfferId,
    pub name: String,
    /// Its own page's address, as written; where it has none, it leads to the offer's.
    pub landing: Option<String>,
}

/// One creative of a campaign, with what leads to it.
#[derive(Clone)]
pub struct CreativeLink {
    pub id: CreativeId,
    pub name: Option<String>,
    /// The tracking link, whole.
    pub link: String,
    /// The same by affiliate and creative.
    pub by_creative: String,
    /// The landing page itself, or why there is no link that leads there directly.
    pub direct: Result<DirectLink, Problem>,
}

/// A link that leads to a landing page directly.
#[derive(Clone)]
pub struct DirectLink {
    pub url: String,
    pub origin: String,
    /// Whether the tag takes clicks of that origin.
    pub takes_tag: bool,
}

/// One outgoing postback.
#[derive(Clone)]
pub struct PostbackCard {
    pub id: DestinationId,
    pub route: Route,
    /// The address as written, macros and all.
    pub url: String,
    /// Factor on the payout that is sent.
    pub scale: Decimal,
    pub mode: Mode,
}

/// The URL to paste at a network.
#[derive(Clone)]
pub struct PostbackUrl {
    /// Who has it can report sales: shown only to those who may change things.
    pub whole: String,
    /// The same with its key masked.
    pub masked: String,
}

/// The tag's script as it is served now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCard {
    /// The path of this very version, kept permanently: `/tag.{hash}.js`.
    pub pinned_path: String,
    /// `sha384-…`, for the `integrity` attribute.
    pub integrity: String,
    /// The sites that may use it.
    pub origins: Vec<String>,
}

impl Program {
    /// The offer with this id.
    pub fn offer(&self, id: &str) -> Option<&OfferCard> {
        self.offers.iter().find(|offer| offer.terms.id.as_str() == id)
    }

    fn offer_name(&self, id: &OfferId) -> Option<&str> {
        self.offer(id.as_str()).map(|offer| offer.name.as_str())
    }

    /// The affiliate's name.
    pub fn affiliate_name(&self, id: &AffiliateId) -> Option<&str> {
        self.affiliates.iter().find(|(known, _)| known == id).map(|(_, name)| name.as_str())
    }

    fn campaign_name(&self, id: &CampaignId) -> Option<&str> {
        let found = self.campaigns.iter().find(|one| one.campaign.id == *id)?;
        found.name.as_deref()
    }

    fn creative_name(&self, id: &CreativeId) -> Option<&str> {
        self.creatives.iter().find(|creative| creative.id == *id).map(|creative| creative.name.as_str())
    }

    /// Where a click or conversion belongs, each id with its name where it is configured still.
    pub fn named<'a>(&'a self, campaign_ref: &'a CampaignRef) -> NamedCampaignRef<'a> {
        let campaign = campaign_ref.campaign.as_ref();
        let affiliate = campaign_ref.affiliate.as_ref();
        let creative = campaign_ref.creative.as_ref();
        NamedCampaignRef {
            offer: Named::of(campaign_ref.offer.as_str(), self.offer_name(&campaign_ref.offer)),
            campaign: campaign.map(|id| Named::of(id.as_str(), self.campaign_name(id))),
            affiliate: affiliate.map(|id| Named::of(id.as_str(), self.affiliate_name(id))),
            creative: creative.map(|id| Named::of(id.as_str(), self.creative_name(id))),
        }
    }
}

/// Where a click or conversion belongs, with names.
#[derive(Serialize)]
pub struct NamedCampaignRef<'a> {
    offer: Named<'a>,
    campaign: Option<Named<'a>>,
    affiliate: Option<Named<'a>>,
    creative: Option<Named<'a>>,
}

/// An id with its name, where that says more.
#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn of(id: &'a str, name: Option<&'a str>) -> Named<'a> {
        Named { id, name: name.filter(|name| *name != id) }
    }
}

impl PostbackCard {
    /// As the pages show it.
    pub fn view(&self) -> Value {
        let route = &self.route;
        let on: Vec<&str> = route.on.iter().flatten().map(|status| status.as_str()).collect();
        let mut terms = Vec::new();
        if route.delay_ms > 0 {
            terms.push(format!("{} s after the conversion", route.delay_ms / 1000));
        }
        if route.percent < 100 {
            terms.push(format!("{} % of the conversions", route.percent));
        }
        if self.scale != Decimal::ONE {
            terms.push(format!("payout × {}", self.scale));
        }
        if self.mode != Mode::Live {
            terms.push(format!("mode {}", self.mode.as_str()));
        }
        json!({
            "id": self.id.as_str(),
            "url": self.url,
            "whose": self.whose(),
            "on": on.join(" or "),
            "when": match route.changes {
                Changes::Ignore => "once each",
                Changes::Send => "and again at each change",
            },
            "terms": terms,
        })
    }

    fn whose(&self) -> String {
        match &self.route.scope {
            Scope::Campaign(id) => format!("the campaign {id}"),
            Scope::Affiliate(id) => format!("the affiliate {id}"),
            Scope::AnyCampaign | Scope::Any => "all campaigns".to_owned(),
        }
    }

    /// Whether it reports conversions of this campaign.
    pub fn reports_of(&self, campaign: &Campaign) -> bool {
        match &self.route.scope {
            Scope::Campaign(id) => campaign.id == *id,
            Scope::Affiliate(id) => campaign.affiliate == *id,
            Scope::AnyCampaign | Scope::Any => true,
        }
    }
}
