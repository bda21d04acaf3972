//! The recorded clicks: their list, and one with the conversions that it led to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::ClickId;
use crate::ops;
use crate::ops::missing::Missing;
use crate::view::click::ClickView;
use crate::view::conversion::ListedConversionView;
use crate::view::value::PageView;
use crate::web::api::{Api, Outcome, document};
use crate::web::list_query::{self, Query, conversions_of};

/// A click with the conversions that it led to.
#[derive(Serialize, JsonSchema)]
pub struct ClickWithConversions<'a> {
    #[serde(flatten)]
    click: ClickView<'a>,
    conversions: Vec<ListedConversionView<'a>>,
}

impl Api {
    /// `GET /api/v1/clicks`.
    pub async fn clicks(&self, query: &Query) -> Outcome {
        let page = self.ops.store.clicks(query.click_filter()?, query.page()?).await?;
        document(&PageView::of(&page, |click| ClickView::of(click)))
    }

    /// `GET /api/v1/clicks/{id}`: the click with its conversions, the newest first.
    pub async fn click(&self, id: &str) -> Outcome {
        let id = list_query::id(id, ClickId::parse)?;
        let click = self.ops.store.click(&id).await?.ok_or(Missing::Click)?;
        let (filter, page) = conversions_of(&id);
        let conversions = self.ops.store.conversions(filter, page).await?;
        let now = ops::circumstances(&self.ops).await?;
        let sales = conversions.items.iter();
        document(&ClickWithConversions {
            click: ClickView::of(&click),
            conversions: sales.map(|(one, sent)| ListedConversionView::of(one, sent, &now)).collect(),
        })
    }
}
