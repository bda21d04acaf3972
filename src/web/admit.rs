//! Who a request is of: by its connection, and by its token; and what that lets it do.

use std::net::IpAddr;

use http::HeaderMap;

use crate::domain::forwarding::HidingProxy;
use crate::web::access::{TokenCheck, denied};
use crate::web::access_log::{Reason, TokenArea};
use crate::web::answer::Answer;
use crate::web::auth::{RequiredRight, TokenHolder};
use crate::web::request::ReceivedRequest;
use crate::web::route::WebRoute;
use crate::web::routes::{Permission, RouteRow};
use crate::web::{ListenerSide, Router, proxy};

impl Router {
    /// The largest plain body of a request, in bytes.
    pub(super) fn body_limit(&self, route: &WebRoute<'_>, (headers, peer): (&HeaderMap, IpAddr)) -> usize {
        let limit = match route {
            WebRoute::Postback(Ok(endpoint)) => endpoint.network.template.max_body_bytes(),
            WebRoute::Listed(found) => self.import_limit(found.rows, headers, peer),
            _ => None,
        };
        limit.unwrap_or(self.max_body_bytes)
    }

    /// Whether this connection is https: by our own TLS, or as a declared proxy says.
    pub(super) fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.is_tls || proxy::says_https(peer, headers, &self.trusted_proxies)
    }

    /// Notes the proxy that hides whose this request is, on every path; one that is declared only where visitors
    /// ask: what a program on the proxy's machine asks, it asks for itself.
    pub(super) fn note_hiding(&self, route: &WebRoute<'_>, asked: &ReceivedRequest<'_>) {
        let Some(proxy) = asked.sender.hidden_by else { return };
        let is_noted = match proxy {
            HidingProxy::Undeclared(_) => true,
            HidingProxy::Silent(_) => route.is_visitors(),
        };
        if is_noted {
            self.hiding_proxies.note(proxy, self.api.ops.clock.now());
        }
    }

    /// Who may do what this request needs, by its bearer token.
    ///
    /// # Errors
    /// The 401, 403 or 429.
    pub(super) fn let_in(
        &self,
        asked: &ReceivedRequest<'_>,
        area: TokenArea,
        need: RequiredRight,
    ) -> Result<TokenHolder<'_>, Box<Answer>> {
        let now = self.api.ops.clock.reading();
        let check = TokenCheck { key: asked.limit_key(), area, now, is_signed_in: false };
        let holder = self.access.bearer(&self.tokens, &asked.headers, check);
        let holder = holder.map_err(|why| Box::new(denied(&self.tokens, why)))?;
        holder.may(need).inspect_err(|_| {
            self.access.log.refused(area, Reason::LacksRight, Some(holder.name), check.now.wall);
        })?;
        Ok(holder)
    }

    /// `/metrics`, of which the configuration may open the row.
    pub(super) async fn metrics(
        &self,
        (row, side): (&RouteRow, ListenerSide),
        asked: &ReceivedRequest<'_>,
    ) -> Answer {
        let is_open = self.open_metrics || side == ListenerSide::Admin;
        if let Permission::Token(need) = row.permission
            && !is_open
            && let Err(refused) = self.let_in(asked, TokenArea::Metrics, need)
        {
            return *refused;
        }
        self.metrics.answer().await
    }
}
