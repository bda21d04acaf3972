//! The doors for visitors' clicks: tracking links, and the click pixel of pages without JavaScript.
//!
//! A click is durable before its visitor is sent on. Where it cannot be made durable nobody is sent on:
//! the conversion of a click that nobody knows would be lost without a word, so the visitor's browser is
//! told to ask again, and does.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use metrics::Counter;

use crate::ambient::{self, Clock};
use crate::domain::click::{Origin, find};
use crate::domain::ids::{AffiliateId, CampaignId, ClickId, CreativeId, VisitorId};
use crate::domain::offer::Placement;
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::visit::{self, Carried, Sight};
use crate::store::{ClickReceipt, Store};
use crate::template::macro_url::MacroUrl;
use crate::web::answer::{self, Answer};
use crate::web::health::Health;
use crate::web::visitor::{self, CookieRule, Request};

/// Where the tracking link of one campaign leads.
pub struct Link {
    pub placement: Placement,
    pub landing: MacroUrl,
    /// Parameters of the link that are handed on: names, or beginnings of names with a `*`.
    pub pass: Vec<String>,
    /// Where a visitor goes whom the offer does not take; the server's where the offer has none.
    pub fallback_url: Option<String>,
}

/// Every campaign's link.
#[derive(Default)]
pub struct LinkTable {
    by_campaign: HashMap<CampaignId, Arc<Link>>,
    by_creative: HashMap<(AffiliateId, CreativeId), Arc<Link>>,
}

impl LinkTable {
    /// Of two campaigns of one affiliate with one creative, the first is what `/?a=&c=` names.
    pub fn new(links: impl IntoIterator<Item = Link>) -> LinkTable {
        let mut table = LinkTable::default();
        for link in links {
            let link = Arc::new(link);
            let placement = &link.placement;
            if let (Some(affiliate), Some(creative)) = (&placement.affiliate, &placement.creative) {
                let pair = (affiliate.clone(), creative.clone());
                table.by_creative.entry(pair).or_insert_with(|| Arc::clone(&link));
            }
            if let Some(campaign) = &placement.campaign {
                table.by_campaign.insert(campaign.clone(), Arc::clone(&link));
            }
        }
        table
    }

    fn of_campaign(&self, campaign: &str) -> Option<&Arc<Link>> {
        self.by_campaign.get(&CampaignId::parse(campaign).ok()?)
    }

    fn of_creative(&self, carried: &Carried) -> Option<&Arc<Link>> {
        let affiliate = AffiliateId::parse(&carried.get("a")?).ok()?;
        let creative = CreativeId::parse(&carried.get("c")?).ok()?;
        self.by_creative.get(&(affiliate, creative))
    }
}

/// The parts these doors work with.
pub struct Links {
    pub table: LinkTable,
    pub sight: Arc<Sight>,
    pub cookie: CookieRule,
    /// Where a click without an offer goes.
    pub fallback_url: Option<String>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub health: Arc<Health>,
    pub counters: LinkCounters,
}

/// Handles made once, so that counting costs no look-up.
pub struct LinkCounters {
    offer: Counter,
    fallback: Counter,
    nowhere: Counter,
    pixel: Counter,
}

impl Default for LinkCounters {
    fn default() -> LinkCounters {
        let counter = |to| metrics::counter!("postbridge_clicks_total", "to" => to);
        LinkCounters {
            offer: counter("offer"),
            fallback: counter("fallback"),
            nowhere: counter("nowhere"),
            pixel: counter("pixel"),
        }
    }
}

/// A click that is on its way to be recorded, and whose it is.
struct Arriving {
    id: ClickId,
    visitor: VisitorId,
    draft: ClickDraft,
    now: Time,
}

/// `/c/{campaign}`, or `/` with both `a` and `c`: a visitor's click on a tracking link.
pub fn is_link(path: &str, query: &[u8]) -> bool {
    let names = |wanted: &str| Carried::of_query(query).get(wanted).is_some();
    path.starts_with("/c/") || (path == "/" && names("a") && names("c"))
}

impl Links {
    /// `/c/{campaign}` and `/?a=&c=`: records the click, then sends the visitor on.
    pub async fn follow(&self, path: &str, request: Request<'_>) -> Answer {
        if request.method != Method::GET && request.method != Method::HEAD {
            return answer::method_not_allowed("GET, HEAD");
        }
        let carried = Carried::of_query(request.query);
        let (link, own): (_, &[&str]) = match path.strip_prefix("/c/") {
            Some(campaign) => (self.table.of_campaign(&unescaped(campaign)), &[]),
            None => (self.table.of_creative(&carried), &["a", "c"]),
        };
        let Some(link) = link else { return self.elsewhere(self.fallback_url.as_deref()) };
        let Some(mut arriving) = self.arriving(Origin::Link, link, request, &carried) else {
            return ask_again();
        };
        let passed = carried.passed(&link.pass, own);
        let target = link.landing.render_passing(&|name| value(&arriving, name), &passed);
        arriving.draft.landing_url = Some(target.clone());
        arriving.draft.referrer = visitor::referrer(request.headers);
        let visitor = arriving.visitor.clone();
        let Some(receipt) = self.record(arriving).await else { return ask_again() };
        let mut answer = if receipt.click.passage.is_blocked() {
            self.elsewhere(link.fallback_url.as_deref().or(self.fallback_url.as_deref()))
        } else {
            self.counters.offer.increment(1);
            answer::redirect(&target)
        };
        self.remember(&mut answer, &visitor);
        answer
    }

    /// `/click.gif?campaign=…`: the page that shows it is where the visitor landed.
    pub async fn pixel(&self, request: Request<'_>) -> Answer {
        if request.method != Method::GET {
            return answer::method_not_allowed("GET");
        }
        let carried = Carried::of_query(request.query);
        let campaign = carried.get("campaign");
        let named = campaign.as_deref().and_then(|campaign| self.table.of_campaign(campaign));
        let Some(link) = named.or_else(|| self.table.of_creative(&carried)) else {
            self.counters.nowhere.increment(1);
            let hint = "write ?campaign= and the id of a [[campaign]]";
            return answer::error(StatusCode::NOT_FOUND, "unknown_campaign", "no such campaign", hint);
        };
        let page = visitor::referrer(request.headers);
        let query = page.as_deref().and_then(|page| page.split_once('?')).map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let carried = carried.before(Carried::of_query(query.as_bytes()));
        let Some(mut arriving) = self.arriving(Origin::Pixel, link, request, &carried) else {
            return answer::unavailable();
        };
        arriving.draft.landing_url = page;
        let visitor = arriving.visitor.clone();
        if self.record(arriving).await.is_none() {
            return answer::unavailable();
        }
        self.counters.pixel.increment(1);
        let mut answer = answer::image();
        self.remember(&mut answer, &visitor);
        answer
    }

    /// The click as it will be recorded; `None` where the system has no entropy for its ids.
    fn arriving(
        &self,
        origin: Origin,
        link: &Link,
        request: Request<'_>,
        carried: &Carried,
    ) -> Option<Arriving> {
        let entropy = |what| {
            ambient::entropy::<16>()
                .inspect_err(|error| tracing::error!(%error, what, "the operating system gave no entropy"))
                .ok()
        };
        let now = self.clock.now();
        let id = ClickId::mint(now.as_millis(), entropy("for a click id")?);
        let cookies = visitor::cookies(request.headers);
        let visitor = match visitor::known(&cookies) {
            Some(visitor) => visitor,
            None => VisitorId::mint(now.as_millis(), entropy("for a visitor id")?),
        };
        let mut draft = self.sight.draft(origin, visitor::browser(request), carried, &cookies);
        draft.id = Some(id.clone());
        draft.passage.placement = Some(link.placement.clone());
        draft.passage.visitor = Some(visitor.clone());
        Some(Arriving { id, visitor, draft, now })
    }

    /// Records the click, on a task of its own: a visitor who goes away does not undo it.
    async fn record(&self, arriving: Arriving) -> Option<ClickReceipt> {
        let (store, health) = (Arc::clone(&self.store), Arc::clone(&self.health));
        let task = tokio::spawn(async move {
            let Arriving { id, draft, now, .. } = arriving;
            visit::record(store.as_ref(), draft, now, id)
                .await
                .inspect_err(|error| health.store_failed(error))
                .ok()
        });
        task.await.ok().flatten()
    }

    /// The fallback for whom no offer takes; a page where there is none.
    fn elsewhere(&self, fallback: Option<&str>) -> Answer {
        match fallback {
            Some(fallback) => {
                self.counters.fallback.increment(1);
                answer::redirect(fallback)
            }
            None => {
                self.counters.nowhere.increment(1);
                page(StatusCode::NOT_FOUND, "This link leads nowhere any more.")
            }
        }
    }

    fn remember(&self, answer: &mut Answer, visitor: &VisitorId) {
        if let Some(cookie) = self.cookie.set(visitor) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        // The offer may know the site that the visitor comes from, and not more of it.
        let policy = HeaderValue::from_static("strict-origin-when-cross-origin");
        answer.headers_mut().insert(header::REFERRER_POLICY, policy);
    }
}

/// What a macro of the landing URL stands for.
fn value(arriving: &Arriving, name: &str) -> Option<String> {
    let draft = &arriving.draft;
    let placement = draft.passage.placement.as_ref()?;
    match name {
        "click_id" => Some(arriving.id.to_string()),
        "offer_id" => Some(placement.offer.to_string()),
        "campaign_id" => placement.campaign.as_ref().map(ToString::to_string),
        "affiliate_id" => placement.affiliate.as_ref().map(ToString::to_string),
        "creative_id" => placement.creative.as_ref().map(ToString::to_string),
        sub_id => find(&draft.sub_ids, sub_id).map(str::to_owned),
    }
}

fn unescaped(segment: &str) -> String {
    let segment = segment.strip_suffix('/').unwrap_or(segment);
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// 503 for a visitor: the browser asks again by itself.
fn ask_again() -> Answer {
    let mut answer = page(StatusCode::SERVICE_UNAVAILABLE, "One moment, please: trying again.");
    let soon = HeaderValue::from_static("5");
    answer.headers_mut().insert(header::RETRY_AFTER, soon.clone());
    answer.headers_mut().insert(header::REFRESH, soon);
    answer
}

/// A page for a visitor, who is no reader of JSON.
fn page(status: StatusCode, sentence: &str) -> Answer {
    let html =
        format!("<!doctype html><html lang=\"en\"><title>{sentence}</title><p>{sentence}</p></html>\n");
    let mut answer = answer::body(status, "text/html; charset=utf-8", html);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
