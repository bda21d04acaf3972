//! The clicks: their list, and one with what the filters said of it and what became of it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::configuration::Config;
use crate::domain::click::{Click, ClickKind, ClickOrigin};
use crate::domain::consent::Consent;
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::ids::ClickId;
use crate::ops::missing::Missing;
use crate::view::click::{ClickView, FilterVerdictView};
use crate::web::list_query::{self, Query, conversions_of};
use crate::web::pages::conversions::SaleLine;
use crate::web::pages::list::{Filters, ListTemplate};
use crate::web::pages::offer_pages::{NamedCampaignRef, named};
use crate::web::pages::route::segment;
use crate::web::pages::{PageContent, PageExit, Pages, document};

const CLICKS: ListTemplate = ListTemplate {
    template: "clicks",
    path: "/clicks",
    title: "Clicks",
    filters: list_query::CLICKS,
    fixed: &[],
};

impl Pages {
    /// `/clicks`, newest first.
    pub(super) async fn clicks(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        let (filters, store) = (Filters::read(query), &self.ops.store);
        let read = |filter, page| store.clicks(filter, page);
        let found = filters.find(CLICKS, Query::click_filter, read).await?;
        let own = json!({"filter": self.click_filters(&filters)});
        Ok(filters.page(CLICKS, &found, |click| ClickLine::of(click, &self.config), own))
    }

    fn click_filters(&self, filters: &Filters) -> Value {
        let config = &self.config;
        json!({
            "offer": filters.get("offer"),
            "offers": config.offers.iter().map(|one| one.terms.id.as_str()).collect::<Vec<_>>(),
            "campaign": filters.get("campaign"),
            "campaigns": config.campaigns.iter().map(|one| one.campaign.id.as_str()).collect::<Vec<_>>(),
            "affiliate": filters.get("affiliate"),
            "affiliates": config.affiliates.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
            "marked": filters.get("marked") == "true",
            "since": filters.minute("since"),
            "until": filters.minute("until"),
        })
    }

    /// `/clicks/{id}`.
    pub(super) async fn click(&self, id: &str) -> Result<PageContent, PageExit> {
        let found = match ClickId::parse(id) {
            Ok(id) => self.ops.store.click(&id).await?,
            Err(_) => None,
        };
        let click = found.ok_or(Missing::Click)?;
        let (filter, page) = conversions_of(&click.id);
        let sales = self.ops.store.conversions(filter, page).await?;
        let lines = sales.items.iter().map(|(one, deliveries)| SaleLine::of(one, deliveries));
        let data = document(&ClickPage {
            path: path(&click.id),
            belongs_to: click.context.campaign_ref.as_ref().map(|placed| named(&self.config, placed)),
            facts: ClickRemarks::of(&click),
            unfiltered: unfiltered(click.context.origin),
            kind_note: kind_note(click.context.kind),
            consent: (!click.context.consent.is_empty()).then(|| consent(click.context.consent.answers())),
            verdicts: click.context.verdicts.iter().map(FilterRow::of).collect(),
            click: ClickView::of(&click),
            items: lines.collect(),
        });
        Ok(PageContent::new("click", &format!("Click {}", click.id), data))
    }
}

/// The page of a click.
pub fn path(click: &ClickId) -> String {
    format!("/clicks/{}", segment(click.as_str()))
}

/// What the template `click` shows.
#[derive(Serialize)]
struct ClickPage<'a> {
    path: String,
    click: ClickView<'a>,
    belongs_to: Option<NamedCampaignRef<'a>>,
    facts: ClickRemarks,
    /// Why no filter checked it, where none did.
    unfiltered: &'static str,
    kind_note: &'static str,
    consent: Option<String>,
    verdicts: Vec<FilterRow>,
    items: Vec<SaleLine<'a>>,
}

/// One line of the list.
#[derive(Serialize)]
struct ClickLine<'a> {
    path: String,
    click: ClickView<'a>,
    belongs_to: Option<NamedCampaignRef<'a>>,
    facts: ClickRemarks,
    /// The filters that hit.
    marks: Vec<FilterRow>,
}

impl<'a> ClickLine<'a> {
    fn of(click: &'a Click, config: &'a Config) -> ClickLine<'a> {
        let marks = click.context.verdicts.iter().filter(|verdict| verdict.hit.is_some());
        ClickLine {
            path: path(&click.id),
            click: ClickView::of(click),
            belongs_to: click.context.campaign_ref.as_ref().map(|placed| named(config, placed)),
            facts: ClickRemarks::of(click),
            marks: marks.map(FilterRow::of).collect(),
        }
    }
}

/// What follows from how a click was made.
#[derive(Serialize)]
struct ClickRemarks {
    is_visit: bool,
    is_blocked: bool,
    /// Device, browser and system in one line.
    machine: Option<String>,
}

impl ClickRemarks {
    fn of(click: &Click) -> ClickRemarks {
        let context = &click.context;
        let machine = context.agent.as_ref().map(|agent| {
            let parts = [Some(agent.device.as_str()), agent.browser.as_deref(), agent.system.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
        });
        ClickRemarks { is_visit: context.kind == ClickKind::Visit, is_blocked: context.is_blocked(), machine }
    }
}

fn unfiltered(origin: ClickOrigin) -> &'static str {
    match origin {
        ClickOrigin::Api => "An own server recorded it: filters check only what visitors’ browsers send.",
        ClickOrigin::Link | ClickOrigin::Tag | ClickOrigin::Pixel => "No filter had anything to check of it.",
    }
}

fn kind_note(kind: ClickKind) -> &'static str {
    match kind {
        ClickKind::Visit => "Someone clicked.",
        ClickKind::Head => "A program asked whether the link is alive; it counts nowhere.",
        ClickKind::Prefetch => "The browser fetched ahead; it counts nowhere.",
        ClickKind::Preview => "A messenger or social network drew a preview; it counts nowhere.",
    }
}

fn consent(consent: Consent) -> String {
    let word = |said: Option<bool>| match said {
        Some(true) => "given",
        Some(false) => "refused",
        None => "not said",
    };
    format!(
        "ad user data: {} · ad personalization: {}",
        word(consent.ad_user_data),
        word(consent.ad_personalization)
    )
}

/// What a filter said, and what that did to the click.
#[derive(Serialize)]
struct FilterRow {
    #[serde(flatten)]
    verdict: FilterVerdictView,
    outcome: &'static str,
}

impl FilterRow {
    fn of(verdict: &FilterVerdict) -> FilterRow {
        let outcome = match (&verdict.hit, verdict.blocks()) {
            (None, _) => "passed",
            (Some(_), true) => "blocked",
            (Some(_), false) => "marked",
        };
        FilterRow { verdict: FilterVerdictView::of(verdict), outcome }
    }
}
