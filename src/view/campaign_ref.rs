//! Which offer a click or a conversion belongs to, and who brought it.

use serde::Serialize;

use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use crate::domain::offer::Placement;

/// The ids as they were when the click was recorded.
#[derive(Serialize)]
pub struct CampaignRefView<'a> {
    offer: &'a OfferId,
    campaign: Option<&'a CampaignId>,
    affiliate: Option<&'a AffiliateId>,
    creative: Option<&'a CreativeId>,
}

impl<'a> CampaignRefView<'a> {
    pub fn of(placement: &'a Placement) -> CampaignRefView<'a> {
        CampaignRefView {
            offer: &placement.offer,
            campaign: placement.campaign.as_ref(),
            affiliate: placement.affiliate.as_ref(),
            creative: placement.creative.as_ref(),
        }
    }
}
