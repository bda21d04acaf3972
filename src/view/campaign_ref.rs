//! Which offer a click or a conversion belongs to, and who brought it.

use serde::Serialize;

use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use crate::domain::offer::CampaignRef;

/// The ids as they were when the click was recorded.
#[derive(Serialize)]
pub struct CampaignRefView<'a> {
    offer: &'a OfferId,
    campaign: Option<&'a CampaignId>,
    affiliate: Option<&'a AffiliateId>,
    creative: Option<&'a CreativeId>,
}

impl<'a> CampaignRefView<'a> {
    pub fn of(campaign_ref: &'a CampaignRef) -> CampaignRefView<'a> {
        CampaignRefView {
            offer: &campaign_ref.offer,
            campaign: campaign_ref.campaign.as_ref(),
            affiliate: campaign_ref.affiliate.as_ref(),
            creative: campaign_ref.creative.as_ref(),
        }
    }
}
