//! The offers with what an advertiser needs of each: postback address and pixels. And the campaigns' links.

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::creative::Creative;
use crate::config::links::CreativeLinks;
use crate::config::offer::{CampaignConfig, OfferConfig};
use crate::config::outgoing::Outgoing;
use crate::domain::click::Click;
use crate::domain::event::EventName;
use crate::domain::ids::OfferId;
use crate::domain::money::Money;
use crate::domain::offer::{self, Caps, Disposition, Payout, day_of};
use crate::domain::reporter::{ReportRoute, report_by_line};
use crate::domain::reports::FurtherSales;
use crate::domain::routing::RouteScope;
use crate::domain::time::{DAY_MS, Time};
use crate::store::contract::lookup::{ClickFilter, PageRequest, ReportQuery};
use crate::template::macros::url::MacroUrl;
use crate::web::pages::links::click_pixel;
use crate::web::pages::offer_pages::{named, postback_view, reports_of};
use crate::web::pages::route::segment;
use crate::web::pages::{PageContent, PageExit, Pages};
use crate::web::snippets::OfferSnippets;

/// How many of today's clicks are counted for a page: a bounded read, not a scan.
const MOST_COUNTED: usize = 1000;

impl Pages {
    /// `/offers`.
    pub(super) fn offers(&self) -> PageContent {
        let items: Vec<Value> = self.config.offers.iter().map(|offer| self.offer_card(offer)).collect();
        PageContent::new("offers", "Offers", json!({"items": items}))
    }

    /// `/offers/{id}`.
    pub(super) async fn offer(&self, id: &str) -> Result<PageContent, PageExit> {
        let found = OfferId::parse(id).ok().and_then(|id| self.config.offer(&id));
        let offer = found.ok_or_else(|| {
            PageExit::Refused(
                StatusCode::NOT_FOUND,
                "No offer with this id is configured".to_owned(),
                "The offers are under `[[offer]]` in `postbridge.toml`; see Offers.".to_owned(),
            )
        })?;
        let config = &self.config;
        let mine = config.campaigns.iter().filter(|one| one.campaign.offer == offer.terms.id);
        let creatives = config.creatives.iter().filter(|one| one.offer == offer.terms.id);
        let data = json!({
            "offer": self.offer_card(offer),
            "landing": offer.landing.shown(),
            "pass": offer.pass.join(", "),
            "fallback_url": offer.fallback_url,
            "tracking": tracking(&config.server.public_url, &offer.terms),
            "today": self.today(&offer.terms.id).await?,
            "creatives": creatives.map(creative_card).collect::<Vec<_>>(),
            "campaigns": mine.map(|campaign| self.campaign_card(campaign)).collect::<Vec<_>>(),
        });
        Ok(PageContent::new("offer", &offer.name, data))
    }

    /// `/campaigns`.
    pub(super) fn campaigns(&self) -> PageContent {
        let campaigns = &self.config.campaigns;
        let items: Vec<Value> = campaigns.iter().map(|campaign| self.campaign_card(campaign)).collect();
        let is_idle = |postback: &&Outgoing| {
            postback.route.scope != RouteScope::AnySale
                && !campaigns.iter().any(|one| reports_of(postback, &one.campaign))
        };
        let for_all: Vec<Value> = self.config.outgoing.iter().filter(is_idle).map(postback_view).collect();
        PageContent::new("campaigns", "Campaigns", json!({"items": items, "idle_postbacks": for_all}))
    }

    /// `/tag`.
    pub(super) fn tag(&self) -> PageContent {
        let (config, script) = (&self.config, &self.tag_script);
        let base = &config.server.public_url;
        // Where no site may use it, it is not shown.
        let script = (!config.tag.origins.is_empty()).then(|| {
            json!({
                "snippet": format!("<script async src=\"{base}/tag.js\" data-campaign=\"CAMPAIGN\"></script>"),
                "pinned": format!(
                    "<script async src=\"{base}/{}\" integrity=\"{}\" crossorigin=\"anonymous\" data-campaign=\"CAMPAIGN\"></script>",
                    script.file_name(), script.integrity
                ),
                "waiting": format!("<script async src=\"{base}/tag.js\" data-campaign=\"CAMPAIGN\" data-consent=\"wait\"></script>"),
                "consent": "postbridge.consent({ad_user_data: true, ad_personalization: true})",
                "origins": config.tag.origins,
            })
        });
        let pixels: Vec<Value> = config
            .campaigns
            .iter()
            .map(|one| {
                let image = click_pixel(base, &one.campaign, None);
                json!({"campaign": one.campaign.id.as_str(), "name": one.name, "pixel": image})
            })
            .collect();
        PageContent::new("tag", "Tag", json!({"script": script, "pixels": pixels}))
    }

    fn offer_card(&self, offer: &OfferConfig) -> Value {
        let terms = &offer.terms;
        let campaigns = self.config.campaigns.iter().filter(|one| one.campaign.offer == terms.id).count();
        let revenue = terms.revenue.map(|amount| Money::new(amount, terms.currency).to_string());
        json!({
            "id": terms.id.as_str(),
            "path": format!("/offers/{}", segment(terms.id.as_str())),
            "name": offer.name,
            "status": terms.status.as_str(),
            "advertiser": terms.advertiser.as_ref().map(|id| id.as_str()),
            "payout": payout(terms),
            "revenue": revenue,
            "caps": caps(terms.caps),
            "session": terms.session(),
            "cookie": format!("{} days, {}", terms.click_cookie_days, terms.model.as_str()),
            "disposition": disposition(terms.disposition),
            "accepts_value": terms.accept_pixel_value,
            "campaigns": campaigns,
        })
    }

    fn campaign_card(&self, card: &CampaignConfig) -> Value {
        let (config, campaign) = (&self.config, &card.campaign);
        let links = config.links(card);
        let postbacks = config.outgoing.iter().filter(|postback| reports_of(postback, campaign));
        json!({
            "id": campaign.id.as_str(),
            "name": card.name,
            "link": config.tracking_link(card),
            "by_creative": links.first().map(|first| &first.by_creative),
            "others": links.iter().skip(1).map(|links| self.creative_link(links)).collect::<Vec<_>>(),
            "generate": format!("/generate-link?campaign={}", segment(campaign.id.as_str())),
            "belongs_to": named(config, &campaign.campaign_ref()),
            "offer_path": format!("/offers/{}", segment(campaign.offer.as_str())),
            "postbacks": postbacks.map(postback_view).collect::<Vec<_>>(),
        })
    }

    /// The link to a creative that the campaign's own link does not lead to.
    fn creative_link(&self, links: &CreativeLinks) -> Value {
        let id = links.creative.as_str();
        let name = self.config.creative(&links.creative).map(|creative| &creative.name);
        json!({"id": id, "name": name.filter(|name| *name != id), "link": links.tracking})
    }

    /// What the offer had on this UTC day.
    async fn today(&self, offer: &OfferId) -> Result<Value, PageExit> {
        let midnight = Time::from_millis(day_of(self.ops.clock.now()).saturating_mul(DAY_MS));
        let report = ReportQuery {
            from: midnight,
            offers: Some(vec![offer.clone()]),
            limit: 1,
            ..ReportQuery::default()
        };
        let conversions = self.ops.store.report(report).await?.total;
        let filter = ClickFilter { offer: Some(offer.clone()), since: midnight, ..ClickFilter::default() };
        let page = PageRequest { cursor: None, limit: MOST_COUNTED };
        let clicks = self.ops.store.clicks(filter, page).await?;
        let counted =
            clicks.items.iter().filter(|click: &&std::sync::Arc<Click>| click.context.is_billable());
        Ok(json!({
            "conversions": conversions,
            "clicks": counted.count(),
            "more_clicks": clicks.next_cursor.is_some(),
        }))
    }
}

/// One creative of the offer, for those who look at its terms.
fn creative_card(creative: &Creative) -> Value {
    let id = creative.id.as_str();
    let name = Some(&creative.name).filter(|name| *name != id);
    json!({"id": id, "name": name, "landing": creative.landing.as_ref().map(MacroUrl::shown)})
}

/// What the advertiser gets: the address to call, and the pixels for the page after the sale.
fn tracking(base: &str, offer: &offer::Offer) -> Value {
    let snippets = OfferSnippets::of(base, offer);
    let reports = &offer.reports;
    let closed = ReportRoute::ALL.into_iter().filter(|route| !reports.opens(*route));
    let closed: Vec<Value> = closed.map(|route| closed_route(offer, route)).collect();
    json!({
        "postback": snippets.postback,
        "pixels": snippets.pixels.map(|pixels| json!({
            "image": pixels.image,
            "script": pixels.script,
            "classic_image": pixels.classic_image,
        })),
        "classic_postback": snippets.classic_postback,
        "events": reports.events.iter().map(EventName::as_str).collect::<Vec<_>>().join(", "),
        "from": reports.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "repeats": reports.further == FurtherSales::Count,
        "closed": closed,
        "by_percent": matches!(offer.payout, Some(Payout::Percent(_))),
    })
}

/// A way to report that the offer does not open, and the line that does.
fn closed_route(offer: &offer::Offer, route: ReportRoute) -> Value {
    let what = match route {
        ReportRoute::Api => "The postback URL of the API, with a key",
        ReportRoute::Pixel => "Image and JavaScript pixels on the page after the sale",
        ReportRoute::Server => "A postback URL without a key, in the older shape",
    };
    json!({"what": what, "line": report_by_line(&offer.reports.by, route)})
}

fn payout(offer: &offer::Offer) -> Option<String> {
    offer.payout.map(|payout| match payout {
        Payout::Fixed(amount) => Money::new(amount, offer.currency).to_string(),
        Payout::Percent(percent) => format!("{percent} % of the sale"),
    })
}

fn caps(caps: Caps) -> Vec<String> {
    let cap = |most: Option<u64>, what: &str| most.map(|most| format!("{most} {what} a day"));
    let both = [cap(caps.clicks_per_day, "clicks"), cap(caps.conversions_per_day, "conversions")];
    both.into_iter().flatten().collect()
}

fn disposition(disposition: Disposition) -> String {
    match (disposition.status.as_str(), disposition.after_hours) {
        (word, 0) => format!("{word} at once"),
        (word, hours) => format!("pending, then {word} after {hours} hours"),
    }
}
