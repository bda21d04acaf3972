//! The recorded clicks: their list, and one with the conversions that it led to.

use serde::Serialize;

use crate::domain::ids::{AffiliateId, CampaignId, ClickId, OfferId, VisitorId};
use crate::store::{ClickFilter, ConversionFilter, PageRequest};
use crate::view::click::ClickView;
use crate::view::conversion::ListedConversionView;
use crate::view::page::PageView;
use crate::web::api::{Api, Outcome, Query, Refused, bad, document, missing};

/// The filters of the list.
const CLICKS: &[&str] = &["offer", "campaign", "affiliate", "visitor", "marked", "since", "until"];

/// The most conversions that are shown with their click.
pub const MOST_CONVERSIONS: usize = 100;

#[derive(Serialize)]
struct ClickWithConversions<'a> {
    #[serde(flatten)]
    click: ClickView<'a>,
    conversions: Vec<ListedConversionView<'a>>,
}

/// The conversions that name a click or were joined to it.
pub fn conversions_of(click: &ClickId) -> ConversionFilter {
    ConversionFilter { click_id: Some(click.as_str().to_owned()), ..ConversionFilter::default() }
}

impl Query {
    /// # Errors
    /// A value that its field cannot have.
    pub fn click_filter(&self) -> Result<ClickFilter, Refused> {
        self.only(CLICKS)?;
        let any = "no id in the configuration is written so";
        let marked =
            self.parsed("marked", "it is true or false", |received_text| received_text.parse().ok())?;
        Ok(ClickFilter {
            offer: self.parsed("offer", any, |received_text| OfferId::parse(received_text).ok())?,
            campaign: self.parsed("campaign", any, |received_text| CampaignId::parse(received_text).ok())?,
            affiliate: self
                .parsed("affiliate", any, |received_text| AffiliateId::parse(received_text).ok())?,
            visitor: self.parsed("visitor", "no visitor can have this id", |received_text| {
                VisitorId::parse(received_text).ok()
            })?,
            since: self.time("since")?,
            until: self.time("until")?,
            marked_only: marked.unwrap_or(false),
        })
    }
}

impl Api {
    /// `GET /api/v1/clicks`.
    pub async fn clicks(&self, query: &Query) -> Outcome {
        let page = self.store.clicks(query.click_filter()?, query.page()?).await?;
        document(&PageView::of(&page, |click| ClickView::of(click)))
    }

    /// `GET /api/v1/clicks/{id}`: the click with its conversions, the newest first.
    pub async fn click(&self, id: &str) -> Outcome {
        let id = ClickId::parse(id).map_err(|error| bad("id", id, &error.to_string()))?;
        let click = self.store.click(&id).await?.ok_or_else(|| missing("click"))?;
        let page = PageRequest { cursor: None, limit: MOST_CONVERSIONS };
        let conversions = self.store.conversions(conversions_of(&id), page).await?;
        let now = self.circumstances();
        let sales = conversions.items.iter();
        document(&ClickWithConversions {
            click: ClickView::of(&click),
            conversions: sales.map(|(one, sent)| ListedConversionView::of(one, sent, &now)).collect(),
        })
    }
}
