//! What is answered while the store is being opened: that the process is alive. All else is to be sent again.

use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;

use crate::domain::forwarding::is_declared;
use crate::http1::refusal::{HttpRefusal, HttpRefusalKind};
use crate::http1::target::RawHead;
use crate::web::answer::{self, Answer};
use crate::web::cake::AdvertiserApi;
use crate::web::links::{self, LinkRequest};
use crate::web::proxy;
use crate::web::routes::{self, Endpoint};

/// What is known of a listener's requests before there is a store: nothing of what they ask for is looked at.
pub struct Opening {
    /// `[server] trusted_proxies`: their connections are exempt from one address's share, already now.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the listeners speak TLS.
    pub is_tls: bool,
}

/// The answer of the wire to whatever it does not hand on. A request that is refused for its form or its size is
/// recorded while the store is open; its sender, who may not send again what was answered 400, is to send it then.
pub const NOT_YET: HttpRefusal = HttpRefusal {
    retry_after: Some(5),
    ..HttpRefusal::new(
        HttpRefusalKind::Overloaded,
        "the relay has just started and its store is being opened; the request was not taken",
        "send it again in a few seconds",
    )
};

impl Opening {
    /// 200 of `/livez`; everything else is 503 with `Retry-After`, in the form that its senders read.
    pub fn answer(&self, method: &Method, head: &RawHead) -> Answer {
        let path = head.path();
        let row = routes::find(path).and_then(|found| found.rows.row(method));
        let endpoint = row.map(|row| row.endpoint);
        match endpoint {
            Some(Endpoint::Alive) => return answer::text(StatusCode::OK, "ok\n"),
            Some(Endpoint::Ready) => {
                let text = answer::text(StatusCode::SERVICE_UNAVAILABLE, "the store is being opened\n");
                return answer::again_after(text, "5");
            }
            _ => count(),
        }
        // As a link is read when there are routes: `/` with its parameters is one, and else a page.
        if LinkRequest::read(path, head.query()).is_some() {
            return links::ask_again();
        }
        match endpoint {
            Some(Endpoint::NetworkApi(_)) => AdvertiserApi::store_opening(),
            Some(Endpoint::Page(_)) if method == Method::GET || method == Method::HEAD => {
                answer::ask_again("Postbridge has just started and opens its store: trying again.")
            }
            _ => answer::store_opening(),
        }
    }

    /// Whether this connection is https: by our own TLS, or as a declared proxy says.
    pub fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.is_tls || proxy::says_https(peer, headers, &self.trusted_proxies)
    }

    /// Whether this peer may have more connections than one address's share.
    pub fn is_exempt(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || is_declared(peer, &self.trusted_proxies)
    }
}

/// Counts a request that was not taken.
pub fn count() {
    metrics::counter!("postbridge_refused_total", "reason_code" => "store_opening").increment(1);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_declared_proxy_is_exempt_from_the_share_and_believed_about_https_before_there_are_routes() {
        let [proxy, visitor] = ["192.0.2.7", "198.51.100.9"].map(|address| address.parse().unwrap());
        let opening = Opening { trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()], is_tls: false };
        assert_eq!([proxy, visitor].map(|peer| opening.is_exempt(peer)), [true, false]);
        assert!(opening.is_exempt("127.0.0.1".parse().unwrap()), "the machine itself is");
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert_eq!([proxy, visitor].map(|peer| opening.is_https(peer, &headers)), [true, false]);
        let by_tls = Opening { is_tls: true, ..opening };
        assert!(by_tls.is_https(visitor, &HeaderMap::new()));
    }
}
