//! The clicks: their list, and one with what the filters said of it and what it came to.

use http::StatusCode;
use serde_json::{Value, json};

use crate::domain::click::{Click, ClickKind};
use crate::domain::consent::Consent;
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::PageRequest;
use crate::web::api::Refused;
use crate::web::api::clicks::{MOST_CONVERSIONS, conversions_of};
use crate::web::pages::conversions::{self, Filters, Found};
use crate::web::pages::program::Program;
use crate::web::pages::route::segment;
use crate::web::pages::{Pages, Sheet, Stop, advice, conversion};

impl Pages {
    /// `/clicks`, newest first.
    pub(super) async fn clicks(&self, query: &[u8]) -> Result<Sheet, Stop> {
        let filters = Filters::read(query);
        let found = self.found_clicks(&filters).await;
        filters.sheet(("clicks", "Clicks"), found, self.click_filters(&filters))
    }

    async fn found_clicks(&self, filters: &Filters) -> Result<Found, Refused> {
        let query = filters.query()?;
        let page = self.store.clicks(query.click_filter()?, query.page()?).await?;
        let now = self.clock.now();
        let items = page.items.iter().map(|click| line(click, &self.program, now)).collect();
        Ok(Found { items, next_cursor: page.next_cursor })
    }

    fn click_filters(&self, filters: &Filters) -> Value {
        let program = &self.program;
        json!({
            "offer": filters.get("offer"),
            "offers": program.offers.iter().map(|one| one.terms.id.as_str()).collect::<Vec<_>>(),
            "campaign": filters.get("campaign"),
            "campaigns": program.campaigns.iter().map(|one| one.campaign.id.as_str()).collect::<Vec<_>>(),
            "affiliate": filters.get("affiliate"),
            "affiliates": program.affiliates.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
            "marked": filters.get("marked") == "true",
            "since": filters.minute("since"),
            "until": filters.minute("until"),
        })
    }

    /// `/clicks/{id}`.
    pub(super) async fn click(&self, id: &str) -> Result<Sheet, Stop> {
        let found = match ClickId::parse(id) {
            Ok(id) => self.store.click(&id).await?,
            Err(_) => None,
        };
        let click = found.ok_or_else(|| {
            Stop::Refused(
                StatusCode::NOT_FOUND,
                "No click with this id is kept".to_owned(),
                "It may be past `keep_clicks_days`, or was never recorded. Look for it under Clicks."
                    .to_owned(),
            )
        })?;
        let page = PageRequest { cursor: None, limit: MOST_CONVERSIONS };
        let sales = self.store.conversions(conversions_of(&click.id), page).await?;
        let now = self.clock.now();
        let lines = sales.items.iter().map(|(one, deliveries)| conversions::line(one, deliveries, now));
        let data = json!({
            "path": path(&click.id),
            "click": conversion::click(&click),
            "distance": advice::distance(click.at, now),
            "placement": click.passage.placement.as_ref().map(|placed| self.program.placement(placed)),
            "passage": passage(&click),
            "verdicts": click.passage.verdicts.iter().map(verdict).collect::<Vec<_>>(),
            "items": lines.collect::<Vec<_>>(),
        });
        Ok(Sheet::new("click", &format!("Click {}", click.id), data))
    }
}

/// The page of a click.
pub fn path(click: &ClickId) -> String {
    format!("/clicks/{}", segment(click.as_str()))
}

fn line(click: &Click, program: &Program, now: Time) -> Value {
    let marks = click.passage.verdicts.iter().filter(|verdict| verdict.hit.is_some());
    json!({
        "path": path(&click.id),
        "id": click.id.as_str(),
        "at": click.at.to_string(),
        "distance": advice::distance(click.at, now),
        "placement": click.passage.placement.as_ref().map(|placed| program.placement(placed)),
        "passage": passage(click),
        "marks": marks.map(verdict).collect::<Vec<_>>(),
    })
}

fn passage(click: &Click) -> Value {
    let passage = &click.passage;
    let agent = passage.agent.as_ref();
    let machine = agent.map(|agent| {
        let parts = [Some(agent.device.as_str()), agent.browser.as_deref(), agent.system.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    });
    json!({
        "origin": passage.origin.word(),
        "kind": passage.kind.word(),
        "kind_note": kind_note(passage.kind),
        "is_visit": passage.kind == ClickKind::Visit,
        "billable": passage.is_billable(),
        "blocked": passage.is_blocked(),
        "visitor": passage.visitor.as_ref().map(|visitor| visitor.as_str()),
        "machine": machine,
        "bot": agent.and_then(|agent| agent.bot.as_deref()),
        "country": passage.country,
        "consent": (!passage.consent.is_empty()).then(|| consent(passage.consent.answers())),
    })
}

fn kind_note(kind: ClickKind) -> &'static str {
    match kind {
        ClickKind::Visit => "Somebody clicked.",
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

fn verdict(verdict: &FilterVerdict) -> Value {
    let outcome = match (&verdict.hit, verdict.blocks()) {
        (None, _) => "passed",
        (Some(_), true) => "blocked",
        (Some(_), false) => "marked",
    };
    json!({
        "filter": verdict.filter.word(),
        "mode": verdict.mode.word(),
        "outcome": outcome,
        "reason": verdict.hit,
    })
}
