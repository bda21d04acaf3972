//! The doors for conversion pixels: `/pixel.gif`, `/pixel.js`, and `/p.ashx` as other networks write it.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::ambient::Clock;
use crate::domain::conversion::Status;
use crate::domain::missing_click::no_click;
use crate::domain::postback::{Fault, RawRequest, Verdict};
use crate::domain::rulebook::{Rulebook, built_in::PIXEL};
use crate::domain::time::Time;
use crate::ingest::pixel::{self, LONG, SHORT, Teller, Unfit};
use crate::ingest::visit::Carried;
use crate::store::{ConversionRef, Receipt, Store, StoreError};
use crate::web::answer::{self, Answer};
use crate::web::health::Health;
use crate::web::per_address::PerAddress;
use crate::web::target;
use crate::web::visitor::{self, Request};

/// The parts these doors work with.
pub struct Pixels {
    pub rules: Arc<Rulebook>,
    pub limit: PerAddress,
    pub strangers: Strangers,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub health: Arc<Health>,
}

/// What keeps requests that name no offer from filling the disk: anybody can send them.
pub struct Strangers(DefaultDirectRateLimiter);

/// The most of them that leave a record in a second.
const RECORDS_PER_SECOND: NonZeroU32 = match NonZeroU32::new(10) {
    Some(ten) => ten,
    None => NonZeroU32::MIN,
};
/// The most bytes of one that are kept.
const STRANGER_BYTES: usize = 2048;

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers(RateLimiter::direct(Quota::per_second(RECORDS_PER_SECOND)))
    }
}

/// What the page or server wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Image,
    Script,
    /// The body of a frame.
    Frame,
    /// A server asks: plain text.
    Text,
}

/// What became of it, as the caller is told.
enum Word {
    /// It counts, or has counted already; with what the caller should know.
    Success(Option<String>),
    Not(String),
}

/// The word that callers of `p.ashx` look for.
const SUCCESS: &str = "SUCCESS";

/// Whether a path is a conversion pixel's.
pub fn is_pixel(path: &str) -> bool {
    matches!(path, "/pixel.gif" | "/pixel.js" | "/p.ashx")
}

impl Pixels {
    /// Takes a conversion in. Runs to its end even when the page goes away.
    pub async fn receive(&self, path: &str, request: Request<'_>, line: &[u8]) -> Answer {
        if request.method != Method::GET {
            return answer::method_not_allowed("GET");
        }
        let now = self.clock.now();
        if !self.limit.admits(request.limit_key, now) {
            metrics::counter!("postbridge_refused_total", "reason" => "pixel_rate").increment(1);
            return too_many();
        }
        if !self.health.disk_space().records_visitors() {
            metrics::counter!("postbridge_refused_total", "reason" => "disk").increment(1);
            return answer::disk_low();
        }
        let (dialect, form) = match path {
            "/p.ashx" => (&SHORT, form(&Carried::of_query(request.query))),
            "/pixel.js" => (&LONG, Form::Script),
            _ => (&LONG, Form::Image),
        };
        let raw = RawRequest {
            line: target::masked_values(line),
            content_type: None,
            body: Vec::new(),
            peer: Some(request.client),
            encoded: None,
        };
        let by_server = form == Form::Text;
        let teller = Teller {
            visitor: visitor::known(&visitor::cookies(request.headers)),
            browser: (!by_server).then(|| visitor::browser(request)),
        };
        let word = match pixel::read(&self.rules, request.query, dialect, teller) {
            Ok(told) => self.take(told, raw, now).await,
            Err(Unfit::Bad(fault)) => self.refuse(raw, now, fault).await,
            Err(Unfit::NoOffer(fault)) => self.turn_away(raw, now, fault).await,
        };
        word.map_or_else(answer::unavailable, |word| form.says(&word))
    }

    async fn take(&self, told: pixel::Told, raw: RawRequest, now: Time) -> Option<Word> {
        let store = Arc::clone(&self.store);
        self.finished(async move {
            let receipt = pixel::receive(store.as_ref(), told, raw, now).await?;
            count(&receipt);
            worded(store.as_ref(), &receipt).await
        })
        .await
    }

    async fn refuse(&self, raw: RawRequest, now: Time, fault: Fault) -> Option<Word> {
        let store = Arc::clone(&self.store);
        self.finished(async move {
            let receipt = pixel::quarantine(store.as_ref(), raw, now, fault).await?;
            count(&receipt);
            worded(store.as_ref(), &receipt).await
        })
        .await
    }

    /// Keeps a request that names no offer, within the budget.
    async fn turn_away(&self, mut raw: RawRequest, now: Time, fault: Fault) -> Option<Word> {
        if self.strangers.0.check().is_err() {
            metrics::counter!("postbridge_refused_total", "reason" => "turned_away").increment(1);
            return Some(Word::Not(sentence(&fault)));
        }
        raw.line.truncate(STRANGER_BYTES);
        self.refuse(raw, now, fault).await
    }

    /// On a task of its own: a page that is left drops the request, not the write.
    async fn finished(
        &self,
        work: impl Future<Output = Result<Word, StoreError>> + Send + 'static,
    ) -> Option<Word> {
        let health = Arc::clone(&self.health);
        let task =
            tokio::spawn(async move { work.await.inspect_err(|error| health.store_failed(error)).ok() });
        task.await.ok().flatten()
    }
}

fn count(receipt: &Receipt) {
    let verdict = receipt.verdict.word();
    metrics::counter!("postbridge_postbacks_total", "source" => PIXEL, "verdict" => verdict).increment(1);
}

/// What a receipt means to who told it. A conversion that was scrubbed does not count, and says why; one
/// without its click counts, and earns nothing to anyone.
async fn worded(store: &dyn Store, receipt: &Receipt) -> Result<Word, StoreError> {
    let (id, repeat) = match &receipt.verdict {
        Verdict::Quarantined(fault) | Verdict::Refused(fault) => return Ok(Word::Not(sentence(fault))),
        Verdict::Accepted { conversion } | Verdict::Updated { conversion } => (conversion, None),
        Verdict::Duplicate { conversion } => (conversion, Some("told before, counted once")),
    };
    let Some(conversion) = store.conversion_now(ConversionRef::Id(*id)).await? else {
        return Ok(Word::Success(repeat.map(str::to_owned)));
    };
    if conversion.status == Status::Scrubbed {
        let why = conversion.reason.unwrap_or_else(|| "the network scrubbed it".to_owned());
        return Ok(Word::Not(format!("it does not count: {why}")));
    }
    let no_click = no_click(&conversion).map(|remark| format!("{}: {}", remark.code(), remark.sentence()));
    let said: Vec<String> = repeat.map(str::to_owned).into_iter().chain(no_click).collect();
    Ok(Word::Success(Some(said.join("; ")).filter(|said| !said.is_empty())))
}

fn sentence(fault: &Fault) -> String {
    format!("{}; {}", fault.reason, fault.hint)
}

/// `f=js|img|pb`; without it a frame.
fn form(carried: &Carried) -> Form {
    match carried.get("f").unwrap_or_default().to_ascii_lowercase().as_str() {
        "js" => Form::Script,
        "img" => Form::Image,
        "pb" => Form::Text,
        _ => Form::Frame,
    }
}

impl Form {
    /// 200 whatever became of it: a page cannot mend it, and its visitor sees nothing.
    fn says(self, word: &Word) -> Answer {
        let text = match word {
            Word::Success(None) => SUCCESS.to_owned(),
            Word::Success(Some(remark)) => format!("{SUCCESS}: {remark}"),
            Word::Not(why) => why.clone(),
        };
        match self {
            Form::Image => with_result(answer::image(), &text),
            // A comment cannot be left from within.
            Form::Script => {
                plain("text/javascript; charset=utf-8", format!("/* {} */\n", text.replace("*/", "* /")))
            }
            Form::Frame => {
                let text = handlebars::html_escape(&text);
                plain(
                    "text/html; charset=utf-8",
                    format!("<!doctype html><html lang=\"en\"><title>pixel</title><p>{text}</p></html>\n"),
                )
            }
            Form::Text => plain("text/plain; charset=utf-8", text + "\n"),
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
        "raise it for a server that tells many, or send slower",
    )
}
