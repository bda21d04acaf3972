//! The endpoints for conversion pixels: `/pixel.gif`, `/pixel.js`, and `/p.ashx` as other networks write it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::clock::Clock;
use crate::domain::claim::is_held;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::conversion::no_click;
use crate::domain::postback::{KeptHeaders, RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::remark::RemarkCode;
use crate::domain::reporter::{BuiltInSource, Keyless, ParamSpelling, ReportRoute, Reporter};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::ingest::landing::CarriedPairs;
use crate::ingest::pixel::{self, PixelCaller};
use crate::ingest::submit::{Received, count, submit};
use crate::store::contract::Store;
use crate::store::contract::arrival::{Finding, Receipt};
use crate::store::contract::change::ConversionRef;
use crate::store::contract::error::StoreError;
use crate::web::answer::{self, Answer};
use crate::web::collect::{REFUSED_BYTES as STRANGER_BYTES, RefusalBudget};
use crate::web::health::ProcessHealth;
use crate::web::request::ReceivedRequest;
use crate::web::routes::{PixelRoute, StrangerLimit};
use crate::web::secret_names::SecretNames;
use crate::web::strangers::{StrangerBudgets, StrangerRequest};
use crate::web::{proxy, target, visitor};

/// The parts these endpoints work with.
pub struct PixelEndpoints {
    /// The offers, each with the routes that it opens to reports.
    pub rules: Arc<Ruleset>,
    /// How often one address may report.
    pub strangers: StrangerBudgets,
    /// What keeps calls that make no conversion from filling the disk: anyone can send them.
    pub budget: Arc<RefusalBudget>,
    /// Where a conversion is durable before the page is answered.
    pub store: Arc<dyn Store>,
    /// Says when a report was received.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
}

/// What the page or server wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PixelFormat {
    Image,
    Script,
    /// The body of a frame.
    Frame,
    /// A server asks: plain text.
    Text,
}

/// What became of it, as the caller hears it.
enum PixelReply {
    /// It counts, or has counted already; with what the caller should know.
    Success(Option<String>),
    Not(String),
}

/// The word that callers of `p.ashx` look for.
const SUCCESS: &str = "SUCCESS";

impl PixelEndpoints {
    /// Takes a conversion in. Runs to its end even when the page goes away.
    pub async fn receive(
        &self,
        (route, limit): (PixelRoute, StrangerLimit),
        request: &ReceivedRequest<'_>,
    ) -> Answer {
        let now = self.clock.now();
        if !self.strangers.admits(StrangerRequest { limit, key: request.limit_key(), now }) {
            metrics::counter!("postbridge_refused_total", "reason_code" => "pixel_rate").increment(1);
            return too_many();
        }
        if !self.health.admits_visitor() {
            return answer::disk_low();
        }
        let query = request.head.query();
        let (spelling, form) = match route {
            PixelRoute::Short => (ParamSpelling::Short, form(&CarriedPairs::of_query(query))),
            PixelRoute::Script => (ParamSpelling::Long, PixelFormat::Script),
            PixelRoute::Image => (ParamSpelling::Long, PixelFormat::Image),
        };
        let route = if form == PixelFormat::Text { ReportRoute::Server } else { ReportRoute::Pixel };
        let keyless = Keyless {
            route,
            spelling,
            visitor: visitor::known(&visitor::cookies(&request.headers)),
            user_agent: visitor::browser(request).user_agent.filter(|_| route == ReportRoute::Pixel),
            hops: request
                .sender
                .hidden_by
                .map(|_| proxy::hops(request.peer, &request.headers))
                .unwrap_or_default(),
        };
        let caller = PixelCaller { keyless: &keyless, sender: Some(request.sender) };
        let reported = pixel::read(&self.rules, query, caller);
        let line = target::masked_values(&request.head.line);
        let headers = request.kept_headers(&[], &SecretNames::API_KEY);
        let call = PixelCall { line, headers, keyless, peer: request.sender.address, at: now };
        let word = match reported {
            Ok(reported) => self.take(reported, call).await,
            Err(rejection) => keep(self.store.as_ref(), &self.budget, call, rejection).await,
        };
        match word {
            Ok(word) => form.says(&word),
            Err(error) => self.health.not_kept(&error),
        }
    }

    async fn take(&self, reported: pixel::PixelReport, call: PixelCall) -> Result<PixelReply, StoreError> {
        let store = self.store.as_ref();
        let mapped = match pixel::find(store, reported).await? {
            Ok(mapped) => Finding::Mapped(Box::new(mapped)),
            Err(problem) => return keep(store, &self.budget, call, problem.into()).await,
        };
        let receipt = match submit(store, call.received(None), mapped).await {
            Err(StoreError::Surplus(rejection)) => return keep(store, &self.budget, call, rejection).await,
            receipt => receipt?,
        };
        count(BuiltInSource::Pixel, &receipt);
        worded(store, &receipt).await
    }
}

/// A call as it was received.
struct PixelCall {
    /// The request line, secrets masked.
    line: Vec<u8>,
    headers: KeptHeaders,
    keyless: Keyless,
    peer: IpAddr,
    at: Time,
}

impl PixelCall {
    /// What is kept of it: anyone can send any number of bytes. One that failed for its route alone is kept with
    /// what it takes to read it again, unless it is too long for that.
    fn received(&self, rejection: Option<&Rejection>) -> Received {
        let may_reopen = rejection.is_some_and(Rejection::may_reopen);
        let mut room = STRANGER_BYTES.saturating_sub(self.line.len());
        let is_whole = self.line.len() <= STRANGER_BYTES;
        let reporter = (may_reopen && is_whole).then(|| {
            let mut keyless = self.keyless.clone();
            keyless.user_agent = keyless.user_agent.filter(|agent| agent.len() <= room);
            room -= keyless.user_agent.as_ref().map_or(0, String::len);
            Box::new(Reporter::Keyless(keyless))
        });
        let line = self.line.get(..STRANGER_BYTES).unwrap_or(&self.line).to_vec();
        let mut headers = self.headers.clone();
        headers.fit(room, &[]);
        let peer = Some(self.peer);
        let raw = RawRequest { line, headers, body: Vec::new(), peer, encoded: None, reporter, proof: None };
        Received { source: Some(BuiltInSource::Pixel.id()), raw, received_at: self.at, mapping: None }
    }
}

/// Keeps a call that makes no conversion, within the budget.
async fn keep(
    store: &dyn Store,
    budget: &RefusalBudget,
    call: PixelCall,
    rejection: Rejection,
) -> Result<PixelReply, StoreError> {
    if !budget.keeps_one() {
        metrics::counter!("postbridge_refused_total", "reason_code" => "turned_away").increment(1);
        return Ok(PixelReply::Not(rejection.line()));
    }
    let receipt = submit(store, call.received(Some(&rejection)), Finding::Quarantined(rejection)).await?;
    count(BuiltInSource::Pixel, &receipt);
    worded(store, &receipt).await
}

/// What a receipt means to who reported it. A conversion that was scrubbed does not count, and says why; one
/// without its click counts, and earns nothing to anyone.
async fn worded(store: &dyn Store, receipt: &Receipt) -> Result<PixelReply, StoreError> {
    let (id, repeat) = match &receipt.verdict {
        Verdict::Quarantined(rejection) | Verdict::Refused(rejection) => {
            return Ok(PixelReply::Not(rejection.line()));
        }
        Verdict::Ignored(reason) => return Ok(PixelReply::Not(reason.line())),
        Verdict::Accepted { conversion } | Verdict::Updated { conversion } => (conversion, None),
        Verdict::Duplicate { conversion } => (conversion, Some("reported before, counted once")),
    };
    let Some(conversion) = store.conversion_now(ConversionRef::Id(*id)).await? else {
        return Ok(PixelReply::Success(repeat.map(str::to_owned)));
    };
    if conversion.status == Status::Scrubbed {
        let reason = conversion.reason.as_ref();
        let code = reason.map_or(Status::Scrubbed.as_str(), |reason| reason.code().as_str());
        let why = reason.map_or_else(|| "the network scrubbed it".to_owned(), CodedReason::sentence);
        return Ok(PixelReply::Not(format!("{code}: it does not count: {why}")));
    }
    // Which sale was the first is the network's business.
    let further = is_held(&conversion).then_some(RemarkCode::SecondSaleOfClick);
    let further = further.map(|code| format!("{}: {}", code.as_str(), code.meaning()));
    let no_click = no_click(&conversion).map(|remark| remark.line());
    let said = repeat.map(str::to_owned).into_iter().chain(no_click).chain(further);
    let said: Vec<String> = said.collect();
    Ok(PixelReply::Success(Some(said.join("; ")).filter(|said| !said.is_empty())))
}

/// `f=js|img|pb`; without it a frame.
fn form(carried: &CarriedPairs<'_>) -> PixelFormat {
    match carried.get("f").unwrap_or_default().to_ascii_lowercase().as_str() {
        "js" => PixelFormat::Script,
        "img" => PixelFormat::Image,
        "pb" => PixelFormat::Text,
        _ => PixelFormat::Frame,
    }
}

impl PixelFormat {
    /// 200 whatever became of it: a page cannot fix it, and its visitor sees nothing.
    fn says(self, word: &PixelReply) -> Answer {
        let text = match word {
            PixelReply::Success(None) => SUCCESS.to_owned(),
            PixelReply::Success(Some(remark)) => format!("{SUCCESS}: {remark}"),
            PixelReply::Not(why) => why.clone(),
        };
        match self {
            PixelFormat::Image => with_result(answer::image(), &text),
            // A comment cannot be left from within.
            PixelFormat::Script => {
                plain("text/javascript; charset=utf-8", format!("/* {} */\n", text.replace("*/", "* /")))
            }
            PixelFormat::Frame => {
                let text = handlebars::html_escape(&text);
                plain(
                    "text/html; charset=utf-8",
                    format!("<!doctype html><html lang=\"en\"><title>pixel</title><p>{text}</p></html>\n"),
                )
            }
            PixelFormat::Text => plain("text/plain; charset=utf-8", text + "\n"),
        }
    }
}

fn plain(content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = answer::body(StatusCode::OK, content_type, text);
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    answer.headers_mut().insert(policy, HeaderValue::from_static("cross-origin"));
    answer
}

/// An image says nothing to a person; its header does.
fn with_result(mut answer: Answer, text: &str) -> Answer {
    let visible: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    if let Ok(value) = HeaderValue::from_str(&visible) {
        answer.headers_mut().insert(HeaderName::from_static("x-pixel-result"), value);
    }
    answer
}

fn too_many() -> Answer {
    answer::too_many(
        "more conversions a second from one address than `[pixel] max_per_second_per_ip`",
        "raise it for a server that reports many, or send slower",
    )
}
