//! `GET tracking.json`: what an advertiser pastes to report an offer's conversions.

use serde::Serialize;
use serde_json::Value;

use crate::ingest::advertiser::LONGEST_TEXT;
use crate::ingest::parameters::ParamReader;
use crate::template::source::params::Params;
use crate::web::cake::caller::KeyHolder;
use crate::web::cake::envelope::{text, whole};
use crate::web::cake::{AdvertiserApi, CakeResult};
use crate::web::snippets::OfferSnippets;

/// The parameters that it reads.
pub(super) const NAMES: [&str; 2] = ["api_key", "offer_id"];

/// As the offer's page shows them, placeholders and all: those that `report_by` opens.
#[derive(Serialize)]
struct Tracking {
    request_status: &'static str,
    offer_id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    postback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_pixel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    javascript_pixel: Option<String>,
    /// Of `p.ashx`, without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_postback_url: Option<String>,
}

impl AdvertiserApi {
    pub(super) fn tracking(&self, caller: &KeyHolder, params: &Params) -> CakeResult {
        let reader = ParamReader::new(params, &NAMES, LONGEST_TEXT);
        let offer = self.reached(&reader, |offer| caller.sees(offer))?;
        let snippets = OfferSnippets::of(&self.public_url, offer);
        Ok(text(&Tracking {
            request_status: "Success",
            offer_id: whole(offer.id.as_str()),
            postback_url: snippets.postback,
            image_pixel: snippets.pixels.as_ref().map(|pixels| pixels.image.clone()),
            javascript_pixel: snippets.pixels.map(|pixels| pixels.script),
            server_postback_url: snippets.classic_postback,
        }))
    }
}
