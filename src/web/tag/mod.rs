//! The endpoint for landing pages: the tag's script, and what it reports. Only pages of configured origins.

mod kept;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::clock::{self, Clock};
use crate::domain::click_size::ClickSize;
use crate::domain::code::ReasonCode;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::VisitorId;
use crate::domain::offer::CampaignRef;
use crate::domain::postback::RawRequest;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::time::Time;
use crate::ingest::landing::{CarriedPairs, VisitorEnricher};
use crate::ingest::tag::{self, BrowserIdentity, ClickOwner, SeenClick, TagAnswer, TagClick, TagReport};
use crate::store::contract::Store;
use crate::store::contract::operator::ToKeep;
use crate::template::tag_script::{self, TagScript};
use crate::web::answer::{self, Answer};
use crate::web::collect::RefusalBudget;
use crate::web::health::ProcessHealth;
use crate::web::link_table::{CREATIVE, LinkTable};
use crate::web::request::ReceivedRequest;
use crate::web::routes::{BodyLimit, StrangerLimit, TagRoute};
use crate::web::secret_names::SecretNames;
use crate::web::strangers::{StrangerBudgets, StrangerRequest};
use crate::web::target;
use crate::web::visitor::{self, CookieRule};

/// The parts this endpoint works with.
#[derive(Clone)]
pub struct Tag {
    /// Where clicks, events and versions of the script are kept.
    pub store: Arc<dyn Store>,
    /// Says when a message was received: the browser's clock is not believed.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
    /// What is known of a visitor by address and user agent.
    pub enricher: Arc<VisitorEnricher>,
    /// How the visitor is remembered for conversion pixels and later clicks.
    pub cookie: CookieRule,
    /// Today's version, with what the installed destinations need written into it.
    pub script: Arc<TagScript>,
    /// Whether this version of the script is durable: a page that names it by its hash must get it always.
    pub kept: Arc<AtomicBool>,
    /// Whose pages may report, as browsers write an origin. None: the tag is off.
    pub origins: Arc<Vec<String>>,
    /// How often one address may report, and the bytes that strangers may have recorded.
    pub strangers: StrangerBudgets,
    /// The records of what strangers send that cannot be read.
    pub refusals: Arc<RefusalBudget>,
    /// The campaigns that a page may name, by their id or as direct links do.
    pub links: Arc<LinkTable>,
}

/// The path of the script, or of one of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptPath<'a> {
    /// `/tag.js`: the version that the configuration makes.
    Today,
    /// By the hash in `/tag.{hash}.js`.
    Version(&'a str),
}

impl<'a> ScriptPath<'a> {
    /// `None` of any other path.
    pub fn of(path: &'a str) -> Option<ScriptPath<'a>> {
        if path == "/tag.js" {
            return Some(ScriptPath::Today);
        }
        let hash = path.strip_prefix("/tag.")?.strip_suffix(".js")?;
        let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash.then_some(ScriptPath::Version(hash))
    }
}

/// How often the script's own URL is asked again; that of a version never.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

impl Tag {
    /// `/tag.js`, or `/tag.{hash}.js` of today's version or of an earlier one.
    pub async fn script(&self, path: ScriptPath<'_>, request: &ReceivedRequest<'_>) -> Option<Answer> {
        let headers = &request.headers;
        let ScriptPath::Version(hash) = path else { return Some(self.today(headers)) };
        if hash == self.script.hash {
            // For ever only what will still be there after the next start.
            let cached = if self.keep_version().await { IMMUTABLE } else { FRESH };
            return Some(served(&self.script, headers, cached));
        }
        match self.store.kept_text(tag_script::file_name(hash)).await {
            Ok(text) => text.map(|text| served(&TagScript::of(text), headers, IMMUTABLE)),
            Err(error) => Some(self.health.not_kept(&error)),
        }
    }

    /// `/tag.js`: today's version, asked again every hour.
    fn today(&self, headers: &HeaderMap) -> Answer {
        if self.origins.is_empty() {
            return answer::error(StatusCode::NOT_FOUND, ErrorCode::TagOff, OFF, NAME_IT);
        }
        served(&self.script, headers, FRESH)
    }

    /// Keeps today's version for the pages that name it by its hash; whether it is durable now.
    pub async fn keep_version(&self) -> bool {
        if self.kept.load(Ordering::Acquire) {
            return true;
        }
        match self
            .store
            .keep(ToKeep::Text { name: self.script.file_name(), text: self.script.text.clone() })
            .await
        {
            Ok(()) => self.kept.store(true, Ordering::Release),
            Err(error) => self.health.store_failed(&error),
        }
        self.kept.load(Ordering::Acquire)
    }

    /// Takes a click or an event. 204 when it is durable.
    pub async fn receive(
        &self,
        (report, limit): (TagRoute, StrangerLimit),
        request: &ReceivedRequest<'_>,
    ) -> Answer {
        let origin = match self.admitted(&request.headers) {
            Ok(origin) => origin,
            Err(answer) => return *answer,
        };
        let stranger = StrangerRequest { limit, key: request.limit_key(), now: self.clock.now() };
        let mut answer = if !self.strangers.admits(stranger) {
            too_many()
        } else if request.body.len() > BodyLimit::TAG_BYTES {
            let what = format!(
                "the body has {} bytes; at most {} are taken",
                request.body.len(),
                BodyLimit::TAG_BYTES
            );
            answer::error(StatusCode::PAYLOAD_TOO_LARGE, RejectionCode::BodyTooLarge, what, "send less")
        } else if !request.content_type().as_deref().is_some_and(is_plain_text) {
            answer::error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ErrorCode::NotPlainText,
                "the content type is not text/plain",
                ErrorCode::NotPlainText.fix(),
            )
        } else {
            match report {
                TagRoute::Click => self.click(request, stranger).await,
                TagRoute::Event => self.event(request, stranger).await,
            }
        };
        let allowed = answer.headers_mut();
        allowed.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        allowed.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        allowed.insert(header::VARY, HeaderValue::from_static("Origin"));
        answer
    }

    /// The origin of the page that asks, if it may.
    fn admitted(&self, headers: &HeaderMap) -> Result<HeaderValue, Box<Answer>> {
        let refused = |what: &str, hint: &str| {
            metrics::counter!("postbridge_refused_total", "reason_code" => "origin").increment(1);
            Box::new(answer::error(StatusCode::FORBIDDEN, ErrorCode::OriginRefused, what, hint))
        };
        if self.origins.is_empty() {
            return Err(refused(OFF, NAME_IT));
        }
        let Some(origin) = origin_of(headers) else {
            return Err(refused(
                "the request does not say which page sent it",
                "browsers do; from a server use POST /api/v1/clicks",
            ));
        };
        let known = self.origins.contains(&origin);
        match HeaderValue::from_str(&origin) {
            Ok(value) if known => Ok(value),
            _ => Err(refused("this page's origin is not among `[tag] origins`", NAME_IT)),
        }
    }

    async fn click(&self, request: &ReceivedRequest<'_>, stranger: StrangerRequest) -> Answer {
        let now = stranger.now;
        let reported = match read::click(&request.body, now) {
            Ok(reported) => reported,
            Err(error) => {
                return answer::refused(StatusCode::BAD_REQUEST, &BodyProblem::InvalidMessage { error });
            }
        };
        if !self.health.admits_visitor() {
            // The page keeps the click and sends it again.
            return answer::disk_low();
        }
        let visitor = match visitor::known(&visitor::cookies(&request.headers)) {
            Some(known) => BrowserIdentity::Known(known),
            None => match clock::entropy::<16>() {
                Ok(entropy) => BrowserIdentity::New(VisitorId::mint(now.as_millis(), entropy)),
                Err(error) => {
                    tracing::error!(%error, "the operating system gave no entropy for a visitor id");
                    return answer::unavailable();
                }
            },
        };
        let campaign_ref = |click: &TagClick, carried: &CarriedPairs<'_>| self.campaign_ref(click, carried);
        let whose = ClickOwner { browser: visitor::browser(request), visitor, campaign_ref: &campaign_ref };
        let mut seen = SeenClick::new(&self.enricher, reported, whose, now);
        if !seen.is_refused() {
            match self.strangers.admit_click(stranger, &seen.click) {
                // The tag keeps it and sends it again.
                None => return too_many_bytes(),
                Some(ClickSize::Full) => {}
                Some(ClickSize::Short) => seen.click.fit(ClickSize::Short),
            }
        }
        match tag::click(self.store.as_ref(), seen, now).await {
            Ok(visitor) => {
                metrics::counter!("postbridge_clicks_total", "to" => "tag").increment(1);
                remembered(visitor.and_then(|visitor| self.cookie.set(&visitor)))
            }
            Err(error) => self.health.not_kept(&error),
        }
    }

    /// Whose click it is. What the page's own address says is this visitor's: `pb_campaign`, which the tag
    /// reads itself, then `a` and `c` of a direct link; what is written on the script is every visitor's.
    fn campaign_ref(&self, click: &TagClick, carried: &CarriedPairs<'_>) -> Option<CampaignRef> {
        let creative = carried.link_value(CREATIVE);
        let named = click.campaign.as_deref().and_then(|id| self.links.of_campaign(id, creative.as_deref()));
        let direct = self.links.of_creative(carried);
        let found = match carried.link_value("pb_campaign") {
            Some(_) => named.or(direct),
            None => direct.or(named),
        };
        found.map(|link| link.campaign_ref.clone())
    }

    async fn event(&self, request: &ReceivedRequest<'_>, stranger: StrangerRequest) -> Answer {
        let now = stranger.now;
        let visitor = visitor::known(&visitor::cookies(&request.headers));
        let reported = match read::event(&request.body, now) {
            // What a visitor refuses is taken as long as postbacks are: it keeps data from being sent.
            Ok(TagReport::Answer(_)) if !self.health.admits_postback() => return answer::disk_low(),
            Ok(TagReport::Answer(answer)) => return self.consent(answer, visitor, now).await,
            _ if !self.health.admits_visitor() => return answer::disk_low(),
            Ok(TagReport::Event(event)) => Ok(event),
            Err(error) => Err(error),
        };
        let said = reported
            .as_ref()
            .ok()
            .map(|event| TagAnswer { click: event.click.clone(), consent: event.consent });
        let answer = match &reported {
            Ok(_) => taken(),
            Err(error) => {
                let problem = BodyProblem::InvalidMessage { error: error.clone() };
                answer::refused(StatusCode::BAD_REQUEST, &problem)
            }
        };
        let mut raw = request.raw_with(target::masked_values(&request.head.line), &[], &SecretNames::API_KEY);
        let cut = kept::cut(&mut raw);
        match &reported {
            Ok(_) if !self.budget_takes(request, &raw, stranger) => return too_many_bytes(),
            Err(_) if !self.refusals.keeps_one() => {
                let code = RejectionCode::InvalidMessage.as_str();
                metrics::counter!("postbridge_refused_total", "reason_code" => code).increment(1);
                return answer;
            }
            _ => {}
        }
        let reported = match reported {
            Ok(mut event) => {
                event.notes.extend(cut);
                Ok(event)
            }
            Err(error) => Err(kept::unreadable(&error, cut)),
        };
        if let Some(said) = said
            && let Err(error) = tag::answer(self.store.as_ref(), said, visitor, now).await
        {
            return self.health.not_kept(&error);
        }
        match tag::event(self.store.as_ref(), (raw, now), reported).await {
            Ok(()) => answer,
            Err(error) => self.health.not_kept(&error),
        }
    }

    /// Whether an event's bytes are within what strangers may have recorded.
    fn budget_takes(
        &self,
        request: &ReceivedRequest<'_>,
        raw: &RawRequest,
        stranger: StrangerRequest,
    ) -> bool {
        // What it says is in its conversion too, and its link in what it is sent apart by.
        let bytes = raw.bytes() + 2 * request.body.len();
        let takes = self.strangers.admits_bytes(stranger, bytes);
        if !takes {
            metrics::counter!("postbridge_refused_total", "reason_code" => "event_bytes").increment(1);
        }
        takes
    }

    /// What a visitor answered, and nothing else. 204 when it is durable.
    async fn consent(&self, reported: TagAnswer, visitor: Option<VisitorId>, now: Time) -> Answer {
        match tag::answer(self.store.as_ref(), reported, visitor, now).await {
            Ok(()) => taken(),
            Err(error) => self.health.not_kept(&error),
        }
    }
}

const OFF: &str = "the tag is off: no origins are configured";
const NAME_IT: &str = "name the landing page's origin under `[tag] origins`: \"https://shop.example\"";

/// What browsers say of the page that asks; where `Origin` is absent, the origin of the referrer.
fn origin_of(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        return Some(origin.to_ascii_lowercase());
    }
    let referrer = url::Url::parse(text(header::REFERER)?).ok()?;
    Some(referrer.origin().ascii_serialization())
}

fn is_plain_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/plain")
}

/// 204: it is durable, and there is nothing to say.
fn taken() -> Answer {
    let mut answer = Answer::new(http_body_util::Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn remembered(visitor: Option<HeaderValue>) -> Answer {
    let mut answer = taken();
    if let Some(visitor) = visitor {
        answer.headers_mut().insert(header::SET_COOKIE, visitor);
    }
    answer
}

fn too_many() -> Answer {
    answer::too_many("more than `[tag] max_per_second_per_ip` from this address", "wait a second")
}

fn too_many_bytes() -> Answer {
    answer::too_many(
        "more bytes of clicks and events than `[links] max_kib_per_second`",
        "send it again later",
    )
}

/// The script, compressed where the browser takes it so; nothing where it has this version already.
fn served(script: &TagScript, headers: &HeaderMap, cached: HeaderValue) -> Answer {
    let says = |name, wanted: &str| {
        headers.get_all(name).iter().any(|value: &HeaderValue| {
            value.to_str().is_ok_and(|value| value.split(',').any(|one| one.trim().starts_with(wanted)))
        })
    };
    // Compressed or not it is the same script: a weak tag, which a proxy that compresses leaves alone.
    let etag = format!("W/\"{}\"", script.hash);
    let mut answer = if says(header::IF_NONE_MATCH, &etag) {
        let mut answer = taken();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else if says(header::ACCEPT_ENCODING, "gzip") {
        let gzip = Bytes::from(script.gzip.clone());
        let mut answer = answer::body(StatusCode::OK, "text/javascript; charset=utf-8", gzip);
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        answer
    } else {
        answer::body(StatusCode::OK, "text/javascript; charset=utf-8", script.text.clone())
    };
    let reported = answer.headers_mut();
    reported.insert(header::CACHE_CONTROL, cached);
    reported.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // Any page may load it, also with `crossorigin`, which `integrity` needs.
    reported.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    reported.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        reported.insert(header::ETAG, etag);
    }
    answer
}
