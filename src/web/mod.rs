//! The endpoints for HTTP: one page that says who answers which path, and what each may use.
//!
//! Nothing here decides about a conversion, sends to a platform or knows the engine behind the store.

pub mod access;
pub mod access_log;
mod admit;
pub mod answer;
pub mod api;
pub mod auth;
pub mod body_mask;
pub mod cake;
pub mod click;
pub mod click_body;
pub mod click_budget;
pub mod collect;
pub mod connections;
pub mod encoding;
pub mod guesses;
mod handler;
pub mod health;
pub mod import_limit;
pub mod link_table;
pub mod links;
mod list_query;
pub mod listen;
pub mod once_a_minute;
pub mod pages;
pub mod per_address;
pub mod pixel;
pub mod proxy;
pub mod request;
mod route;
mod snippets;
pub mod tag;
pub mod target;
pub mod tls;
pub mod unrecorded;
pub mod visitor;

use std::sync::Arc;

use http::{Method, StatusCode, header};
use ipnet::IpNet;
use parking_lot::RwLock;

use crate::domain::postback::EncodedBody;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::suppression::ListChange;
use crate::web::access::Access;
use crate::web::access_log::TokenArea;
use crate::web::answer::Answer;
use crate::web::api::suppression::Submission;
use crate::web::auth::RequiredRight;
use crate::web::cake::AdvertiserApi;
use crate::web::list_query::Query;
use crate::web::proxy::HidingProxies;
use crate::web::request::ReceivedRequest;
use crate::web::route::WebRoute;

/// Everything that answers, as configured now. Reloading swaps it whole.
pub struct Router {
    pub postbacks: collect::Postbacks,
    pub clicks: click::Clicks,
    pub api: api::Api,
    /// What advertisers and the network's own programs ask, at `/api/2/`.
    pub network_api: AdvertiserApi,
    pub tag: tag::Tag,
    pub links: links::LinkEndpoints,
    pub pixels: pixel::PixelEndpoints,
    pub pages: pages::Pages,
    pub tokens: auth::Tokens,
    pub access: Arc<Access>,
    pub trusted_proxies: Vec<IpNet>,
    pub hiding_proxies: Arc<HidingProxies>,
    /// Whether the listeners speak TLS.
    pub is_tls: bool,
    /// Whether `/metrics` needs no token, also where it is not on a listener of its own.
    pub open_metrics: bool,
    /// The largest body that is taken, in bytes; a source's template may say another.
    pub max_body_bytes: usize,
    pub metrics: health::MetricsPage,
}

/// Which paths a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerSide {
    /// Everything: no `admin_listen` is configured.
    Whole,
    /// What networks and visitors need.
    Public,
    /// Pages, API and metrics.
    Admin,
}

/// One listener's answers.
#[derive(Clone)]
pub struct WebListener {
    current: Arc<RwLock<Arc<Router>>>,
    side: ListenerSide,
}

impl WebListener {
    pub fn new(router: Router, side: ListenerSide) -> WebListener {
        WebListener { current: Arc::new(RwLock::new(Arc::new(router))), side }
    }

    /// The same answers for another listener; a swap reaches both.
    pub fn on_side(&self, side: ListenerSide) -> WebListener {
        WebListener { current: Arc::clone(&self.current), side }
    }

    /// Swaps everything that answers; requests on their way keep what they began with.
    pub fn swap(&self, router: Router) {
        *self.current.write() = Arc::new(router);
    }

    fn router(&self) -> Arc<Router> {
        Arc::clone(&self.current.read())
    }
}

impl Router {
    /// The answer to a body that cannot be read, on every path but a postback's, which keeps a record of it.
    fn unread(route: &WebRoute<'_>, request: &ReceivedRequest<'_>) -> Option<Answer> {
        let problem = request.encoded.as_ref().and_then(EncodedBody::problem);
        let problem = if request.is_too_large { Some(BodyProblem::TooLarge) } else { problem };
        let problem =
            problem.filter(|_| request.method != Method::GET && !matches!(route, WebRoute::Postback(_)))?;
        let status = match problem {
            BodyProblem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyProblem::UnsupportedEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        };
        if matches!(route, WebRoute::NetworkApi(_)) {
            return Some(AdvertiserApi::unread(status, &problem.into()));
        }
        Some(answer::refused(status, &problem))
    }

    /// The route table.
    async fn answer(&self, side: ListenerSide, route: WebRoute<'_>, request: ReceivedRequest<'_>) -> Answer {
        let api::Api { ops, health } = &self.api;
        match route {
            WebRoute::Alive => return health.livez(&ops.clock),
            WebRoute::Ready => return health.readyz(ops.store.as_ref(), &ops.clock).await,
            WebRoute::Metrics if side != ListenerSide::Public => return self.metrics(side, &request).await,
            WebRoute::Api(rest) if side != ListenerSide::Public => return self.api(rest, &request).await,
            _ => {}
        }
        if let Some(answer) = Router::unread(&route, &request) {
            return answer;
        }
        let answered = match route {
            WebRoute::Page | WebRoute::Metrics | WebRoute::Api(_) => None,
            open if side != ListenerSide::Admin => self.open(open, &request).await,
            _ => None,
        };
        match answered {
            Some(answer) => answer,
            None if side != ListenerSide::Public => {
                self.page(request).await.unwrap_or_else(answer::not_found)
            }
            None => answer::not_found(),
        }
    }

    /// What networks, advertisers and visitors' browsers ask for.
    async fn open(&self, route: WebRoute<'_>, request: &ReceivedRequest<'_>) -> Option<Answer> {
        Some(match route {
            WebRoute::NetworkApi(rest) => self.network_api.answer(rest, request).await,
            WebRoute::Tag(report) => self.tag.receive(report, request).await,
            WebRoute::Postback(entered) => self.postbacks.receive(entered, request).await,
            WebRoute::ClickPixel => self.links.pixel(request).await,
            WebRoute::Script(path) => return self.tag.script(path, request).await,
            WebRoute::Pixel(path) => self.pixels.receive(path, request).await,
            WebRoute::Link(links) => self.links.follow(links, request).await,
            WebRoute::Alive | WebRoute::Ready | WebRoute::Metrics | WebRoute::Api(_) | WebRoute::Page => {
                return None;
            }
        })
    }

    async fn page(&self, request: ReceivedRequest<'_>) -> Option<Answer> {
        let request = pages::BrowserRequest {
            limit_key: request.limit_key(),
            is_https: request.is_https,
            method: request.method,
            path: request.head.path().to_owned(),
            query: request.head.query().to_vec(),
            headers: request.headers,
            body: request.body,
        };
        self.pages.answer(request).await
    }

    async fn api(&self, path: &str, request: &ReceivedRequest<'_>) -> Answer {
        let holder = match self.let_in(request, TokenArea::Api, RequiredRight::of(&request.method)) {
            Ok(holder) => holder,
            Err(refused) => return *refused,
        };
        // Only now: how much is inflated depends on the token.
        if let Some(answer) = Router::unread(&WebRoute::Api(path), request) {
            return answer;
        }
        let parts: Vec<&str> = path.split('/').collect();
        let query = match Query::read(request.head.query()) {
            Ok(query) => query,
            Err(bad) => return self.api.answer(Err(bad.into())),
        };
        let (get, post) = (request.method == Method::GET, request.method == Method::POST);
        let outcome = match parts.as_slice() {
            ["clicks"] if post => return self.clicks.record(&request.body).await,
            ["clicks"] if get => self.api.clicks(&query).await,
            ["clicks", id] if get => self.api.click(&decoded(id)).await,
            ["clicks"] => return answer::method_not_allowed("GET, POST"),
            ["suppression", rest @ ..] => {
                match self.suppression(rest, request, (&query, holder.name)).await {
                    Ok(outcome) => outcome,
                    Err(answer) => return *answer,
                }
            }
            ["conversions"] if get => self.api.conversions(&query).await,
            ["conversions", id] if get => self.api.conversion(id).await,
            ["conversions", id, "status"] if post => {
                self.api.set_status(id, &request.body, holder.name).await
            }
            ["postbacks"] if get => self.api.postbacks(&query).await,
            ["postbacks", id] if get => self.api.postback(id).await,
            ["postbacks", id, "retry"] if post => self.api.retry_postback(id).await,
            ["deliveries"] if get => self.api.deliveries(&query).await,
            ["destinations"] if get => self.api.destinations(&query),
            ["clock"] if get => self.api.clock(),
            ["clock", "confirm"] if post => self.api.confirm_clock(holder.name),
            ["deliveries", id, "retry"] if post => self.api.retry(&decoded(id)).await,
            ["conversions" | "postbacks" | "deliveries" | "destinations" | "clock"]
            | ["conversions" | "postbacks" | "clicks", _] => {
                return answer::method_not_allowed("GET");
            }
            ["postbacks" | "deliveries", _, "retry"]
            | ["conversions", _, "status"]
            | ["clock", "confirm"] => {
                return answer::method_not_allowed("POST");
            }
            _ => return answer::not_found(),
        };
        if let (Ok(_), Some((what, id))) = (&outcome, api::change_of(&request.method, &parts)) {
            self.access.log.changed(holder.name, TokenArea::Api, what, &decoded(id));
        }
        self.api.answer(outcome)
    }

    /// # Errors
    /// The answer where nothing was asked of a list.
    async fn suppression(
        &self,
        parts: &[&str],
        request: &ReceivedRequest<'_>,
        by: (&Query, &str),
    ) -> Result<api::Outcome, Box<Answer>> {
        let (query, actor) = by;
        let list = parts.first().map(|list| decoded(list)).unwrap_or_default();
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let reported =
            Submission { list: &list, content_type: content_type.unwrap_or(""), body: &request.body, actor };
        Ok(match (parts, request.method.as_str()) {
            ([], "GET") => self.api.lists(query).await,
            ([_], "GET") => self.api.listed(&list, query).await,
            ([_], "POST") => self.api.suppress(ListChange::Add, &reported, query).await,
            ([_, "remove"], "POST") => self.api.suppress(ListChange::TakeOff, &reported, query).await,
            ([_], "DELETE") => self.api.remove_list(&list).await,
            ([], _) => return Err(Box::new(answer::method_not_allowed("GET"))),
            ([_], _) => return Err(Box::new(answer::method_not_allowed("GET, POST, DELETE"))),
            ([_, "remove"], _) => return Err(Box::new(answer::method_not_allowed("POST"))),
            _ => return Err(Box::new(answer::not_found())),
        })
    }
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
