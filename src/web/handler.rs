//! What the listeners hand over: a request becomes the answer of the router that is configured then.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::domain::error_code::ErrorCode;
use crate::http1::Refusal;
use crate::http1::target::RawHead;
use crate::web::answer::{self, Answer};
use crate::web::encoding::{self, DecodedBody};
use crate::web::request::ReceivedRequest;
use crate::web::route::WebRoute;
use crate::web::{ListenerSide, WebListener, import_limit, proxy};

/// How long browsers use https only.
const ONE_YEAR: HeaderValue = HeaderValue::from_static(crate::http1::refusal::ONE_YEAR);

impl crate::http1::Handler for WebListener {
    async fn handle(&self, request: Request<Incoming>, head: RawHead, peer: SocketAddr) -> Answer {
        let router = self.router();
        let (parts, body) = request.into_parts();
        let body = if body.is_end_stream() {
            Bytes::new()
        } else {
            match body.collect().await {
                Ok(body) => body.to_bytes(),
                // The wire has answered (too large, too slow) or the sender is gone.
                Err(_) => {
                    return answer::error(
                        StatusCode::BAD_REQUEST,
                        ErrorCode::BadBody,
                        "the body did not arrive whole",
                        "send it again",
                    );
                }
            }
        };
        let peer = peer.ip().to_canonical();
        let sender = proxy::sender(peer, &parts.headers, &router.trusted_proxies);
        let is_https = router.is_https(peer, &parts.headers);
        let route = WebRoute::of(&router.postbacks, head.path(), head.query());
        let DecodedBody { body, encoded, is_too_large } = match body.is_empty() {
            true => DecodedBody { body, encoded: None, is_too_large: false },
            false => {
                let limit = router.body_limit(&route, (&parts.headers, peer));
                encoding::plain(&parts.headers, body, limit)
            }
        };
        let asked = ReceivedRequest {
            method: parts.method,
            headers: parts.headers,
            head: &head,
            body,
            encoded,
            is_too_large,
            sender,
            peer,
            is_https,
            secrets: &router.secrets,
        };
        router.note_hiding(&route, &asked);
        let mut answer = router.answer(self.side, route, asked).await;
        if is_https {
            answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ONE_YEAR);
        }
        answer
    }

    fn larger_body(
        &self,
        path: &str,
        head: &[u8],
        peer: SocketAddr,
    ) -> Result<Option<usize>, crate::http1::refusal::HttpRefusal> {
        let router = self.router();
        match router.postbacks.body_limit(path) {
            None if self.side != ListenerSide::Public => {
                let headers = import_limit::headers_of(head);
                router.larger_import(path, &headers, peer.ip().to_canonical())
            }
            limit => Ok(limit),
        }
    }

    fn is_known(&self, path: &str) -> bool {
        self.router().postbacks.enter(path).is_some_and(|entered| entered.is_ok())
    }

    fn is_exempt(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || self.router().trusted_proxies.iter().any(|proxy| proxy.contains(&peer))
    }

    async fn refused(&self, refusal: Refusal, peer: SocketAddr) {
        self.router().postbacks.keep_unread(&refusal, peer.ip().to_canonical()).await;
    }
}
