//! The pages: server-rendered, signed in by token, whole without JavaScript. Who may see which. What a form
//! changes is done by `ops`.

mod actions;
mod advice;
mod api;
mod clicks;
mod clock;
mod conversion;
mod conversions;
mod deliveries;
mod destinations;
mod engine;
mod erasures;
mod exchange;
mod form;
mod links;
mod list;
mod mapping;
mod notices;
pub mod offer_pages;
mod offers;
mod partners;
mod preview;
mod quarantine;
mod raw;
mod route;
pub mod session;
mod sign_in;
mod sources;
mod suppression;
mod test_event;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::configuration::Config;
use crate::ops::Ops;
use crate::ops::missing::Missing;
use crate::preview::Forecast;
use crate::store::contract::error::StoreError;
use crate::template::tag_script::TagScript;
use crate::web::access::Access;
use crate::web::answer::{self, Answer};
use crate::web::auth::{RequiredRight, Tokens};
use crate::web::health::ProcessHealth;
use crate::web::list_query::BadParameter;
use crate::web::pages::offer_pages::PostbackUrl;
use crate::web::pages::session::{Flash, Sessions, SignedIn, capitalised, sentence};
use crate::web::per_address::LimitKey;
use crate::web::proxy::HidingProxies;
use crate::web::routes::{PageCall, Permission, RouteRow};
use crate::web::unrecorded::Unrecorded;

/// The parts the pages work with.
#[derive(Clone)]
pub struct Pages {
    /// What the forms do, and all that the pages look up.
    pub ops: Ops,
    /// Hears of a store that failed.
    pub health: Arc<ProcessHealth>,
    /// What a person signs in with.
    pub tokens: Tokens,
    /// Outlives a reload of the configuration.
    pub sessions: Arc<Sessions>,
    /// Counts wrong tokens by address, and logs sign-ins and changes.
    pub access: Arc<Access>,
    /// Named on the pages until they are declared.
    pub hiding_proxies: Arc<HidingProxies>,
    /// The clicks of which no record is kept.
    pub unrecorded: Arc<Unrecorded>,
    /// What is configured, for the pages that show it.
    pub config: Arc<Config>,
    /// The tag's script as it is served now.
    pub tag_script: Arc<TagScript>,
    /// Each source's postback URL.
    pub urls: Arc<BTreeMap<String, PostbackUrl>>,
    /// What sending would make of a delivery.
    pub forecast: Forecast,
}

/// A request for a page.
pub struct BrowserRequest {
    /// Forms are `POST`; everything else looks.
    pub method: Method,
    /// The path as it was received, up to the `?`.
    pub path: String,
    /// The raw query.
    pub query: Vec<u8>,
    /// The session's cookie and `Origin` are read.
    pub headers: HeaderMap,
    /// A form, urlencoded.
    pub body: Bytes,
    /// Whose requests are counted together where there is a limit by address.
    pub limit_key: LimitKey,
    /// Whether this connection is https.
    pub is_https: bool,
}

/// Why something other than the page is answered.
enum PageExit {
    /// No one is signed in.
    SignIn,
    /// Status, what is wrong, and how to fix it.
    Refused(StatusCode, String, String),
    Store(StoreError),
}

impl From<StoreError> for PageExit {
    fn from(error: StoreError) -> PageExit {
        PageExit::Store(error)
    }
}

impl From<Missing> for PageExit {
    fn from(missing: Missing) -> PageExit {
        let what = capitalised(&missing.to_string());
        PageExit::Refused(StatusCode::NOT_FOUND, what, sentence(missing.hint()))
    }
}

impl From<BadParameter> for PageExit {
    fn from(BadParameter(message): BadParameter) -> PageExit {
        PageExit::Refused(StatusCode::BAD_REQUEST, message, BadParameter::HINT.to_owned())
    }
}

fn no_such_page() -> PageExit {
    let hint = "Go on from one of the pages above.".to_owned();
    PageExit::Refused(StatusCode::NOT_FOUND, "There is no such page".to_owned(), hint)
}

/// One page to make: its template, its title (which is also its place in the navigation), its data.
struct PageContent {
    status: StatusCode,
    template: &'static str,
    title: String,
    data: Value,
}

/// A view as the data of a template.
fn document(view: &impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_else(|error| {
        tracing::error!(%error, "the data of a page could not be made");
        Value::Null
    })
}

impl PageContent {
    fn new(template: &'static str, title: &str, data: Value) -> PageContent {
        PageContent { status: StatusCode::OK, template, title: title.to_owned(), data }
    }
}

impl Pages {
    /// Answers what is one of the pages' paths; `None` for every other.
    pub async fn answer(&self, request: BrowserRequest) -> Option<Answer> {
        let Some((rows, id)) = route::page(&request.path, &request.query) else { return self.lost(&request) };
        let Some(row) = rows.row(&request.method) else {
            let mut refused = self.message(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address does not take that method",
                "Go on from one of the pages.",
            );
            answer::allow(&mut refused, &rows.allow);
            return Some(refused);
        };
        let call = row.page()?;
        match call {
            PageCall::Style => return Some(engine::style()),
            PageCall::SignIn => return Some(self.sign_in(&request)),
            PageCall::Home => return Some(engine::redirect("/conversions")),
            _ => {}
        }
        let visitor = self.visitor(&request);
        let outcome = match &visitor {
            None => Err(PageExit::SignIn),
            Some(visitor) if request.method == Method::POST => {
                self.act(visitor, (row, call, &id), &request).await
            }
            Some(visitor) => match self.admits(visitor, row) {
                Ok(()) => {
                    self.show(visitor, (call, &id), &request).await.map(|page| self.page(Some(visitor), page))
                }
                Err(stop) => Err(stop),
            },
        };
        Some(outcome.unwrap_or_else(|stop| self.stopped(visitor.as_ref(), stop, &request)))
    }

    /// Whether someone who is signed in may do what a row does.
    fn admits(&self, visitor: &SignedIn, row: &RouteRow) -> Result<(), PageExit> {
        match row.permission {
            Permission::Session(need) => self.may(visitor, need),
            _ => Ok(()),
        }
    }

    /// A person in a browser who mistyped is reported as a person; a script gets the API's answer.
    fn lost(&self, request: &BrowserRequest) -> Option<Answer> {
        let accepts = request.headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
        let reads_pages = request.method == Method::GET && accepts.is_some_and(|a| a.contains("text/html"));
        let visitor = self.visitor(request).filter(|_| reads_pages)?;
        Some(self.stopped(Some(&visitor), no_such_page(), request))
    }

    async fn show(
        &self,
        visitor: &SignedIn,
        (call, id): (PageCall, &str),
        request: &BrowserRequest,
    ) -> Result<PageContent, PageExit> {
        match call {
            PageCall::Conversion => self.conversion(id).await,
            PageCall::Clicks => self.clicks(&request.query).await,
            PageCall::Click => self.click(id).await,
            PageCall::Quarantine => self.quarantine(&request.query).await,
            PageCall::DeadLetters => self.dead_letters(&request.query).await,
            PageCall::Deliveries => self.deliveries(&request.query).await,
            PageCall::Sources => self.plain_sources(visitor).await,
            PageCall::Destinations => self.destinations(None).await,
            PageCall::Clock => Ok(self.clock_page()),
            PageCall::Offers => Ok(self.offers()),
            PageCall::Offer => self.offer(id).await,
            PageCall::Campaigns => Ok(self.campaigns()),
            PageCall::GenerateLink => Ok(self.generate_link(&request.query)),
            PageCall::Tag => Ok(self.tag()),
            PageCall::Api => Ok(self.api_page()),
            PageCall::Erasures => self.erasures(&request.query).await,
            PageCall::Erasure => self.erasure(id).await,
            PageCall::ErasureWork => self.erasure_work(),
            PageCall::SuppressionLists => self.lists().await,
            PageCall::SuppressionList => self.list(id, &request.query).await,
            PageCall::Conversions => self.conversions(&request.query).await,
            PageCall::Irreversible => self.irreversible(&request.query).await,
            // Answered to everyone, or by a form alone.
            PageCall::Style
            | PageCall::Home
            | PageCall::SignIn
            | PageCall::SignOut
            | PageCall::SetStatus
            | PageCall::RetryDelivery
            | PageCall::Reprocess
            | PageCall::Preview
            | PageCall::LintUrl
            | PageCall::SendTest
            | PageCall::ConfirmClock
            | PageCall::Erase
            | PageCall::ChooseList
            | PageCall::Suppress
            | PageCall::Unsuppress
            | PageCall::RemoveList => Err(no_such_page()),
        }
    }

    /// Lays a page out. The data's members stand next to `layout`.
    fn page(&self, visitor: Option<&SignedIn>, page: PageContent) -> Answer {
        let flash = visitor.and_then(|visitor| self.sessions.take(visitor));
        let mut data = page.data;
        if let Value::Object(members) = &mut data {
            let layout = json!({
                "title": page.title,
                "style": engine::STYLE_PATH.as_str(),
                "now": self.ops.clock.now(),
                "visitor": visitor.map(|visitor| &visitor.name),
                "csrf": visitor.map(|visitor| &visitor.csrf),
                "may_change": visitor.is_some_and(|visitor| self.allows(visitor, RequiredRight::Change)),
                "places": visitor.map(|_| places(&page.title)),
                "flash": flash.map(|flash| flash_view(&flash)),
            });
            members.insert("layout".to_owned(), layout);
        }
        engine::page(page.status, page.template, &data)
    }

    /// A page that only says something.
    fn message(&self, status: StatusCode, what: &str, hint: &str) -> Answer {
        self.said(None, status, what, hint)
    }

    fn said(&self, visitor: Option<&SignedIn>, status: StatusCode, what: &str, hint: &str) -> Answer {
        let data = json!({"what": what, "hint": hint, "code": Value::Null});
        let title = status.canonical_reason().unwrap_or("Message");
        self.page(visitor, PageContent { status, template: "message", title: title.to_owned(), data })
    }

    fn stopped(&self, visitor: Option<&SignedIn>, stop: PageExit, request: &BrowserRequest) -> Answer {
        match stop {
            PageExit::SignIn => self.ask_to_sign_in(request),
            PageExit::Refused(status, what, hint) => self.said(visitor, status, &what, &hint),
            PageExit::Store(StoreError::Cursor(_)) => self.said(
                visitor,
                StatusCode::BAD_REQUEST,
                "The address names a place in the list that there is not",
                "Go back to the first page of the list and on from there.",
            ),
            PageExit::Store(error @ StoreError::Corrupt { .. }) => self.said(
                visitor,
                StatusCode::INTERNAL_SERVER_ERROR,
                &error.to_string(),
                "The record is damaged on disk; the rest of the store goes on.",
            ),
            PageExit::Store(error) => {
                self.health.store_failed(&error);
                let what = match error {
                    StoreError::Unavailable { .. } => "The store does not answer now",
                    _ => "The store failed; Postbridge stops and starts again",
                };
                let hint = "Try again in a few seconds. The log names the cause.";
                let mut answer = self.said(visitor, StatusCode::SERVICE_UNAVAILABLE, what, hint);
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                answer
            }
        }
    }
}

/// The places of the navigation in two groups; the one whose title is shown is the current one.
fn places(title: &str) -> Value {
    const ACTIVITY: &[(&str, &str)] = &[
        ("/conversions", "Conversions"),
        ("/clicks", "Clicks"),
        ("/quarantine", "Quarantine"),
        ("/dead-letters", "Dead letters"),
        ("/irreversible", "Irreversible"),
    ];
    const SET_UP: &[(&str, &str)] = &[
        ("/sources", "Sources"),
        ("/destinations", "Destinations"),
        ("/offers", "Offers"),
        ("/campaigns", "Campaigns"),
        ("/generate-link", "Generate link"),
        ("/tag", "Tag"),
        ("/suppression", "Suppression"),
        ("/erasures", "Erasures"),
    ];
    let links = |places: &[(&str, &str)]| -> Value {
        let link =
            |(path, name): &(&str, &str)| json!({"path": path, "name": name, "current": *name == title});
        places.iter().map(link).collect()
    };
    json!([{"name": "Activity", "links": links(ACTIVITY)}, {"name": "Set up", "links": links(SET_UP)}])
}

fn flash_view(flash: &Flash) -> Value {
    json!({
        "good": flash.good,
        "text": flash.text,
        "hint": flash.hint,
        "link": flash.link.as_ref().map(|(path, words)| json!({"path": path, "words": words})),
    })
}

/// Whether the browser says that another site made this request.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}
