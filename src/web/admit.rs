//! Who a request is of: by its connection, and by its token; and what that lets it do.

use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode};

use crate::web::access::{TokenCheck, denied};
use crate::web::access_log::{Area, Reason};
use crate::web::answer::{self, Answer};
use crate::web::auth::{Holder, Need};
use crate::web::import_limit::Look;
use crate::web::per_address::LimitKey;
use crate::web::{Asked, Side, Site, proxy};

impl Site {
    /// The largest plain body of a request to this path, in bytes.
    pub(super) fn body_limit(&self, path: &str, headers: &HeaderMap, peer: IpAddr) -> usize {
        let import = || self.import_limit(path, headers, (peer, Look::Uncounted));
        self.postbacks.body_limit(path).or_else(import).unwrap_or(self.max_body_bytes)
    }

    /// Whether this connection is https: by our own TLS, or as a declared proxy says.
    pub(super) fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.is_tls || proxy::says_https(peer, headers, &self.trusted_proxies)
    }

    /// Whose requests a limit by address counts this one with.
    pub(super) fn limit_key(&self, asked: &Asked) -> LimitKey {
        let key = proxy::limit_key(asked.peer, asked.client, &asked.headers, &self.trusted_proxies);
        if let LimitKey::UndeclaredProxy(proxy) = key {
            self.undeclared_proxies.note(proxy, self.operations.clock.now());
        }
        key
    }

    /// Who may do what this request needs, by its bearer token.
    ///
    /// # Errors
    /// The 401, 403 or 429.
    pub(super) fn let_in(&self, asked: &Asked, area: Area, need: Need) -> Result<Holder<'_>, Box<Answer>> {
        let check = TokenCheck { key: self.limit_key(asked), area, now: self.operations.clock.now() };
        let holder = self.access.bearer(&self.tokens, &asked.headers, check);
        let holder = holder.map_err(|why| Box::new(denied(&self.tokens, why)))?;
        holder.may(need).inspect_err(|_| {
            self.access.log.refused(area, Reason::LacksRight, Some(holder.name), check.now);
        })?;
        Ok(holder)
    }

    /// `/metrics`.
    pub(super) fn metrics(&self, side: Side, asked: &Asked) -> Answer {
        if asked.method != Method::GET {
            return answer::method_not_allowed("GET");
        }
        let is_open = self.open_metrics || side == Side::Admin;
        if !is_open && let Err(refused) = self.let_in(asked, Area::Metrics, Need::Look) {
            return *refused;
        }
        answer::body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", (self.operations.metrics)())
    }
}

/// What a request of `/api/v1` changes, and the id of it. A click that is recorded changes nothing.
pub(super) fn change_of<'p>(method: &Method, parts: &[&'p str]) -> Option<(&'static str, &'p str)> {
    match (parts, method.as_str()) {
        (["conversions", id, "status"], "POST") => Some(("conversion: status", id)),
        (["postbacks", id, "retry"], "POST") => Some(("postback: mapped again", id)),
        (["deliveries", id, "retry"], "POST") => Some(("delivery: sent again", id)),
        (["suppression", list, ..], "POST") => Some(("suppression list: entries", list)),
        (["suppression", list], "DELETE") => Some(("suppression list: removed", list)),
        _ => None,
    }
}
