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
pub(crate) mod click;
pub mod click_body;
pub mod click_budget;
pub mod collect;
pub mod connections;
pub mod encoding;
pub mod guesses;
mod handler;
pub mod header_mask;
pub mod health;
pub(crate) mod import_limit;
pub(crate) mod link_table;
pub(crate) mod links;
mod list_query;
pub mod listen;
pub mod once_a_minute;
pub(crate) mod opening;
pub mod pages;
pub mod per_address;
pub(crate) mod pixel;
pub mod proxy;
pub mod request;
mod route;
pub mod routes;
pub mod secret_names;
mod snippets;
pub(crate) mod strangers;
pub(crate) mod tag;
pub mod target;
pub mod tls;
pub mod unrecorded;
pub mod visitor;

use std::sync::Arc;

use http::{Method, StatusCode};
use ipnet::IpNet;
use parking_lot::RwLock;

use crate::domain::postback::EncodedBody;
use crate::domain::rejection::body::BodyProblem;
use crate::web::access::Access;
use crate::web::access_log::TokenArea;
use crate::web::answer::Answer;
use crate::web::api::ApiRequest;
use crate::web::auth::RequiredRight;
use crate::web::cake::AdvertiserApi;
use crate::web::opening::Opening;
use crate::web::proxy::HidingProxies;
use crate::web::request::ReceivedRequest;
use crate::web::route::{RouteArea, WebRoute};
use crate::web::routes::{ApiCall, BodyLimit, Endpoint, Permission, RouteRow, RouteSide};

/// Everything that answers, as configured now. Reloading swaps it whole.
pub(crate) struct Router {
    /// `/{key}/collect/{source}`.
    pub postbacks: collect::Postbacks,
    /// `POST /api/v1/clicks`, which alone of the API records what visitors did.
    pub clicks: click::Clicks,
    /// The rest of `/api/v1`, the two health checks, and what both work with.
    pub api: api::Api,
    /// What advertisers and the network's own programs ask, at `/api/2/`.
    pub network_api: AdvertiserApi,
    /// The script and what it reports.
    pub tag: tag::Tag,
    /// `/c/{campaign}`, its form with `a` and `c`, and the click pixel.
    pub links: links::LinkEndpoints,
    /// `/pixel.gif`, `/pixel.js` and `/p.ashx`.
    pub pixels: pixel::PixelEndpoints,
    /// What answers where no other row does.
    pub pages: pages::Pages,
    /// Who may use the API; of the last configuration that was read whole.
    pub tokens: auth::Tokens,
    /// What is masked wherever it is in a request that is kept.
    pub secrets: auth::KnownSecrets,
    /// Counts wrong tokens and logs changes; outlives a reload.
    pub access: Arc<Access>,
    /// `[server] trusted_proxies`: their `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Takes note of proxies that forward and are not among those.
    pub hiding_proxies: Arc<HidingProxies>,
    /// Whether the listeners speak TLS.
    pub is_tls: bool,
    /// Whether `/metrics` needs no token, also where it is not on a listener of its own.
    pub open_metrics: bool,
    /// The largest body that is taken, in bytes; a source's template may say another.
    pub max_body_bytes: usize,
    /// `/metrics`.
    pub metrics: health::MetricsPage,
}

/// Which paths a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenerSide {
    /// Everything: no `admin_listen` is configured.
    Whole,
    /// What networks and visitors need.
    Public,
    /// Pages, API and metrics.
    Admin,
}

/// One listener's answers.
#[derive(Clone)]
pub(crate) struct WebListener {
    current: Arc<RwLock<Answering>>,
    side: ListenerSide,
}

/// What answers now.
#[derive(Clone)]
enum Answering {
    /// The store is being opened, and there are no routes yet.
    Opening(Arc<Opening>),
    Routes(Arc<Router>),
}

impl WebListener {
    /// A listener that answers before the store is open, until routes are swapped in.
    pub fn new(opening: Opening, side: ListenerSide) -> WebListener {
        WebListener { current: Arc::new(RwLock::new(Answering::Opening(Arc::new(opening)))), side }
    }

    /// The same answers for another listener; a swap reaches both.
    pub fn on_side(&self, side: ListenerSide) -> WebListener {
        WebListener { current: Arc::clone(&self.current), side }
    }

    /// Swaps everything that answers; requests on their way keep what they began with.
    pub fn swap(&self, router: Router) {
        *self.current.write() = Answering::Routes(Arc::new(router));
    }

    fn answering(&self) -> Answering {
        self.current.read().clone()
    }
}

impl Router {
    /// The answer to a body that cannot be read, where the row reads one; a postback's keeps a record of it.
    fn unread(row: Option<&RouteRow>, area: RouteArea, request: &ReceivedRequest<'_>) -> Option<Answer> {
        let is_looked_at = row.is_some_and(|row| !matches!(row.body, BodyLimit::Unread | BodyLimit::Source));
        let problem = request.encoded.as_ref().and_then(EncodedBody::problem);
        let problem = if request.is_too_large { Some(BodyProblem::TooLarge) } else { problem };
        let problem = problem.filter(|_| is_looked_at && request.method != Method::GET)?;
        let status = match problem {
            BodyProblem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyProblem::UnsupportedEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        };
        if area == RouteArea::NetworkApi {
            return Some(AdvertiserApi::unread(status, &problem.into()));
        }
        Some(answer::refused(status, &problem))
    }

    /// Answers by the row of the table that the path and the method have.
    async fn answer(&self, side: ListenerSide, route: WebRoute<'_>, request: ReceivedRequest<'_>) -> Answer {
        let area = route.area();
        if area == RouteArea::Api && side != ListenerSide::Public {
            return self.api(route, request).await;
        }
        let rows = route.rows().filter(|rows| rows.first().is_some_and(|row| side.serves(row.side)));
        let row = rows.and_then(|rows| rows.row(&request.method));
        if let Some(rows) = rows.filter(|_| row.is_none() && area == RouteArea::Open) {
            return answer::method_not_allowed(&rows.allow);
        }
        if let Some(answer) = Router::unread(row, area, &request) {
            return answer;
        }
        let answered = match (area, row) {
            (RouteArea::NetworkApi, _) if side != ListenerSide::Admin => {
                Some(self.network_api.answer(rows, &request).await)
            }
            (RouteArea::Open, Some(row)) => self.open((row, side), route, &request).await,
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

    /// What networks, visitors' browsers and operators ask for; `None` of a script that there is not.
    async fn open(
        &self,
        (row, side): (&'static RouteRow, ListenerSide),
        route: WebRoute<'_>,
        request: &ReceivedRequest<'_>,
    ) -> Option<Answer> {
        let api::Api { ops, health } = &self.api;
        Some(match (route, row.endpoint) {
            (WebRoute::Postback(entered), _) => self.postbacks.receive(entered, request).await,
            (WebRoute::Link(_, link), _) => self.links.follow(link, row.strangers, request).await,
            (WebRoute::Script(_, path), _) => return self.tag.script(path, request).await,
            (_, Endpoint::ClickPixel) => self.links.pixel(row.strangers, request).await,
            (_, Endpoint::Pixel(route)) => self.pixels.receive((route, row.strangers), request).await,
            (_, Endpoint::Tag(route)) => self.tag.receive((route, row.strangers), request).await,
            (_, Endpoint::Alive) => health.livez(&ops.clock),
            (_, Endpoint::Ready) => health.readyz(ops.store.as_ref(), &ops.clock).await,
            (_, Endpoint::Metrics) => self.metrics((row, side), request).await,
            _ => return None,
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

    /// `/api/v1`. What a caller may not do is answered before what there is not.
    async fn api(&self, route: WebRoute<'_>, request: ReceivedRequest<'_>) -> Answer {
        let row = route.rows().and_then(|rows| rows.row(&request.method));
        let need = match row.map(|row| row.permission) {
            Some(Permission::Token(need)) => need,
            _ => RequiredRight::of(&request.method),
        };
        let holder = match self.let_in(&request, TokenArea::Api, need) {
            Ok(holder) => holder,
            Err(refused) => return *refused,
        };
        let WebRoute::Listed(found) = &route else { return answer::not_found() };
        let Some(row) = row else { return answer::method_not_allowed(&found.rows.allow) };
        // Only now: how much is inflated depends on the token.
        if let Some(answer) = Router::unread(Some(row), RouteArea::Api, &request) {
            return answer;
        }
        let Endpoint::Api(call) = row.endpoint else { return answer::not_found() };
        if call == ApiCall::RecordClick {
            return self.clicks.record(&request.body).await;
        }
        let id = found.id();
        let asked = ApiRequest {
            id: &id,
            query: request.head.query(),
            content_type: request.content_type().unwrap_or_default().into_owned(),
            body: &request.body,
            actor: holder.name,
        };
        let outcome = self.api.call(call, &asked).await;
        if let (Ok(_), Some(change)) = (&outcome, row.change) {
            self.access.log.changed(holder.name, TokenArea::Api, change, &id);
        }
        self.api.answer(outcome)
    }
}

impl ListenerSide {
    /// Whether a listener of this side serves a row.
    fn serves(self, row: RouteSide) -> bool {
        match (self, row) {
            (ListenerSide::Whole, _) | (_, RouteSide::Both) => true,
            (ListenerSide::Public, side) => side == RouteSide::Public,
            (ListenerSide::Admin, side) => side == RouteSide::Admin,
        }
    }
}
