//! The endpoints for visitors' clicks: tracking links, and the click pixel of pages without JavaScript.
//!
//! A click is durable before its visitor is sent on. Where it cannot be made durable no one is sent on:
//! the conversion of a click that no one knows would be lost without a word, so the visitor's browser is
//! reported to ask again, and does. Of what is more than strangers may have recorded the visitor is sent on without
//! a record, and that is counted.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use metrics::Counter;

use crate::clock::{self, Clock};
use crate::domain::click::{ClickOrigin, find};
use crate::domain::click_size::ClickSize;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::landing::{self, CarriedPairs, VisitorEnricher};
use crate::store::contract::Store;
use crate::store::contract::arrival::{ClickArrival, Screening};
use crate::web::answer::{self, Answer};
use crate::web::health::ProcessHealth;
use crate::web::link_table::{AFFILIATE, CREATIVE, Link, LinkTable};
use crate::web::per_address::LimitKey;
use crate::web::request::ReceivedRequest;
use crate::web::routes::StrangerLimit;
use crate::web::strangers::{StrangerBudgets, StrangerRequest};
use crate::web::unrecorded::UnrecordedReason;
use crate::web::visitor::{self, CookieRule};

/// The parts these endpoints work with.
pub struct LinkEndpoints {
    /// Where each link leads, and which campaign and creative it is of.
    pub table: Arc<LinkTable>,
    /// What is known of a visitor by address and user agent, and what is kept of a link.
    pub enricher: Arc<VisitorEnricher>,
    /// How the visitor is remembered for conversion pixels.
    pub cookie: CookieRule,
    /// Where a click without an offer goes.
    pub fallback_url: Option<String>,
    /// Where a click is durable before its visitor is sent on.
    pub store: Arc<dyn Store>,
    /// Says when a click happened; its id is minted from it.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
    /// How many clicks and bytes strangers may have recorded.
    pub strangers: StrangerBudgets,
    /// What keeps the visitor of an unrecorded click from an offer.
    pub rules: Arc<Ruleset>,
    /// `postbridge_clicks_total`, by where the visitor was sent.
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

/// A click that is on its way to be recorded.
struct ArrivingClick {
    id: ClickId,
    draft: ClickDraft,
    now: Time,
}

/// Where the visitor of a click goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkTarget {
    ToOffer,
    /// An enforced filter keeps the visitor from the offer.
    KeptAway,
}

impl LinkTarget {
    fn of(is_kept_away: bool) -> LinkTarget {
        if is_kept_away { LinkTarget::KeptAway } else { LinkTarget::ToOffer }
    }
}

/// The longest name of a creative that is kept where the campaign does not show it: as long as an id.
const LONGEST_CREATIVE: usize = 64;

/// What to write where a click pixel names no campaign.
const NAME_IT: &str = "write ?campaign= and the id of a [[campaign]]; or, where the page's own address names \
                       it by a and c, referrerpolicy=\"unsafe-url\" on the image";

/// A click on a tracking link, as its path and query name it.
pub struct LinkRequest<'a> {
    /// The campaign in the path; without one, `a` and `c` say which link it is.
    campaign: Option<Cow<'a, str>>,
    carried: CarriedPairs<'a>,
}

impl<'a> LinkRequest<'a> {
    /// `/c/{campaign}`, or `/` with both `a` and `c`.
    pub fn read(path: &'a str, query: &'a [u8]) -> Option<LinkRequest<'a>> {
        let campaign = path.strip_prefix("/c/").map(unescaped);
        if campaign.is_none() && path != "/" {
            return None;
        }
        let carried = CarriedPairs::of_query(query);
        let is_link = campaign.is_some() || [AFFILIATE, CREATIVE].iter().all(|name| carried.names(name));
        is_link.then_some(LinkRequest { campaign, carried })
    }
}

impl LinkEndpoints {
    /// `/c/{campaign}` and `/?a=&c=`: records the click, then sends the visitor on.
    pub async fn follow(
        &self,
        link: LinkRequest<'_>,
        limit: StrangerLimit,
        request: &ReceivedRequest<'_>,
    ) -> Answer {
        let LinkRequest { campaign, carried } = link;
        let creative = carried.link_value(CREATIVE);
        let link = match campaign {
            Some(campaign) => self.table.of_campaign(&campaign, creative.as_deref()),
            None => self.table.of_creative(&carried),
        };
        let Some(link) = link else { return self.elsewhere(self.fallback_url.as_deref()) };
        let Some(mut arriving) = self.arriving(ClickOrigin::Link, link, request, &carried) else {
            return ask_again();
        };
        if let Some(other) = creative.filter(|named| !link.shows(named) && named.len() <= LONGEST_CREATIVE) {
            arriving.draft.params.push((CREATIVE.to_owned(), other.into_owned()));
        }
        let passed = carried.passed(&link.pass, &[AFFILIATE, CREATIVE]);
        let target = link.landing.render_passing(&|name| value(&arriving, name), &passed);
        arriving.draft.landing_url = Some(target.clone());
        arriving.draft.referrer = visitor::referrer(&request.headers);
        let cookie = arriving.draft.context.visitor.as_ref().and_then(|visitor| self.cookie.set(visitor));
        let Some(outcome) = self.record(arriving, (limit, request.limit_key())).await else {
            return ask_again();
        };
        let mut answer = if outcome == LinkTarget::KeptAway {
            self.elsewhere(link.fallback_url.as_deref().or(self.fallback_url.as_deref()))
        } else {
            self.counters.offer.increment(1);
            answer::redirect(&target)
        };
        remember(&mut answer, cookie);
        answer
    }

    /// `/click.gif`: the page that shows it is where the visitor landed. Whose visitor it is says the
    /// page's own address, as a direct link does, else the image's `campaign`, or its `a` and `c`.
    pub async fn pixel(&self, limit: StrangerLimit, request: &ReceivedRequest<'_>) -> Answer {
        let page = visitor::referrer(&request.headers);
        let on_page = CarriedPairs::of_address(page.as_deref().unwrap_or_default());
        let on_image = CarriedPairs::of_query(request.head.query());
        let direct = self.table.of_creative(&on_page);
        let campaign = on_image.link_value("campaign").map(Cow::into_owned);
        // What is written on the image is the same for all its visitors; a direct link is this one's.
        let carried = if direct.is_some() { on_page.before(on_image) } else { on_image.before(on_page) };
        let named = || self.table.of_campaign(campaign.as_deref()?, carried.link_value(CREATIVE).as_deref());
        let Some(link) = direct.or_else(named).or_else(|| self.table.of_creative(&carried)) else {
            self.counters.nowhere.increment(1);
            return answer::error(
                StatusCode::NOT_FOUND,
                ErrorCode::UnknownCampaign,
                "no such campaign",
                NAME_IT,
            );
        };
        let Some(mut arriving) = self.arriving(ClickOrigin::Pixel, link, request, &carried) else {
            return answer::unavailable();
        };
        arriving.draft.landing_url = page;
        let cookie = arriving.draft.context.visitor.as_ref().and_then(|visitor| self.cookie.set(visitor));
        if self.record(arriving, (limit, request.limit_key())).await.is_none() {
            return answer::unavailable();
        }
        self.counters.pixel.increment(1);
        let mut answer = answer::image();
        remember(&mut answer, cookie);
        answer
    }

    /// The click as it will be recorded; `None` where the system has no entropy for its ids.
    fn arriving(
        &self,
        origin: ClickOrigin,
        link: &Link,
        request: &ReceivedRequest<'_>,
        carried: &CarriedPairs<'_>,
    ) -> Option<ArrivingClick> {
        let entropy = |what| {
            clock::entropy::<16>()
                .inspect_err(|error| tracing::error!(%error, what, "the operating system gave no entropy"))
                .ok()
        };
        let now = self.clock.now();
        let id = ClickId::mint(now.as_millis(), entropy("for a click id")?);
        let cookies = visitor::cookies(&request.headers);
        let visitor = match visitor::known(&cookies) {
            Some(visitor) => visitor,
            None => VisitorId::mint(now.as_millis(), entropy("for a visitor id")?),
        };
        let mut draft = self.enricher.draft(origin, visitor::browser(request), carried, &cookies);
        draft.context.campaign_ref = Some(link.campaign_ref.clone());
        draft.context.visitor = Some(visitor);
        Some(ArrivingClick { id, draft, now })
    }

    /// Records the click. `None` where it could not be made durable.
    async fn record(
        &self,
        arriving: ArrivingClick,
        (limit, key): (StrangerLimit, LimitKey),
    ) -> Option<LinkTarget> {
        let ArrivingClick { id, draft, now } = arriving;
        let mut click = draft.into_click(id, now);
        let admitted = if self.health.disk_space().records_visitors() {
            self.strangers.admit_click(StrangerRequest { limit, key, now }, &click)
        } else {
            self.strangers.clicks.unrecorded.count(UnrecordedReason::Disk, now);
            None
        };
        match admitted {
            None => return Some(LinkTarget::of(landing::is_kept_away(&self.rules, &mut click))),
            Some(ClickSize::Full) => {}
            Some(ClickSize::Short) => click.fit(ClickSize::Short),
        }
        let arrival = ClickArrival { click, screening: Screening::Filters };
        let recorded = self.store.record_click(arrival).await;
        let receipt = recorded.inspect_err(|error| self.health.store_failed(error)).ok()?;
        Some(LinkTarget::of(receipt.click.context.is_blocked()))
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
                answer::page(StatusCode::NOT_FOUND, "This link leads nowhere any more.")
            }
        }
    }
}

fn remember(answer: &mut Answer, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    // The offer may know the site that the visitor was on, and not more of it.
    let policy = HeaderValue::from_static("strict-origin-when-cross-origin");
    answer.headers_mut().insert(header::REFERRER_POLICY, policy);
}

/// What a macro of the landing URL is replaced by.
fn value(arriving: &ArrivingClick, name: &str) -> Option<String> {
    let draft = &arriving.draft;
    let campaign_ref = draft.context.campaign_ref.as_ref()?;
    match name {
        "click_id" => Some(arriving.id.to_string()),
        "offer_id" => Some(campaign_ref.offer.to_string()),
        "campaign_id" => campaign_ref.campaign.as_ref().map(ToString::to_string),
        "affiliate_id" => campaign_ref.affiliate.as_ref().map(ToString::to_string),
        "creative_id" => campaign_ref.creative.as_ref().map(ToString::to_string),
        sub_id => find(&draft.sub_ids, sub_id).map(str::to_owned),
    }
}

fn unescaped(segment: &str) -> Cow<'_, str> {
    let segment = segment.strip_suffix('/').unwrap_or(segment);
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
}

/// 503 for a visitor: the browser asks again automatically.
pub fn ask_again() -> Answer {
    answer::ask_again("One moment, please: trying again.")
}
