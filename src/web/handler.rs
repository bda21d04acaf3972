//! What the listeners hand over: a request becomes the answer of the router that is configured then, if there is one.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::domain::error_code::ErrorCode;
use crate::domain::forwarding::is_declared;
use crate::http1::Refusal;
use crate::http1::refusal::HttpRefusal;
use crate::http1::target::RawHead;
use crate::web::answer::{self, Answer};
use crate::web::encoding::{self, DecodedBody};
use crate::web::opening::{self, NOT_YET};
use crate::web::request::ReceivedRequest;
use crate::web::route::WebRoute;
use crate::web::{Answering, ListenerSide, Router, WebListener, import_limit, proxy};

/// How long browsers use https only.
const ONE_YEAR: HeaderValue = HeaderValue::from_static(crate::http1::refusal::ONE_YEAR);

impl crate::http1::Handler for WebListener {
    async fn handle(&self, request: Request<Incoming>, head: RawHead, peer: SocketAddr) -> Answer {
        let answering = self.answering();
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
        let (mut answer, is_https) = match answering {
            Answering::Opening(opening) => {
                (opening.answer(&parts.method, &head), opening.is_https(peer, &parts.headers))
            }
            Answering::Routes(router) => router.answer_read(self.side, (parts, body), &head, peer).await,
        };
        if is_https {
            answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ONE_YEAR);
        }
        answer
    }

    fn larger_body(&self, path: &str, head: &[u8], peer: SocketAddr) -> Result<Option<usize>, HttpRefusal> {
        let Answering::Routes(router) = self.answering() else { return Err(NOT_YET) };
        match router.postbacks.body_limit(path) {
            None if self.side != ListenerSide::Public => {
                let headers = import_limit::headers_of(head);
                router.larger_import(path, &headers, peer.ip().to_canonical())
            }
            limit => Ok(limit),
        }
    }

    fn is_known(&self, path: &str) -> bool {
        match self.answering() {
            Answering::Opening(_) => false,
            Answering::Routes(router) => router.postbacks.enter(path).is_some_and(|entered| entered.is_ok()),
        }
    }

    fn is_exempt(&self, peer: IpAddr) -> bool {
        match self.answering() {
            Answering::Opening(opening) => opening.is_exempt(peer),
            Answering::Routes(router) => peer.is_loopback() || is_declared(peer, &router.trusted_proxies),
        }
    }

    fn refusal_for(&self, why: HttpRefusal) -> HttpRefusal {
        match self.answering() {
            Answering::Opening(_) => NOT_YET,
            Answering::Routes(_) => why,
        }
    }

    async fn refused(&self, refusal: Refusal, peer: SocketAddr) {
        match self.answering() {
            Answering::Opening(_) => opening::count(),
            Answering::Routes(router) => {
                router.postbacks.keep_unread(&refusal, peer.ip().to_canonical()).await;
            }
        }
    }
}

impl Router {
    /// Answers a request whose body is here, and says whether its connection is https.
    async fn answer_read(
        &self,
        side: ListenerSide,
        (parts, body): (Parts, Bytes),
        head: &RawHead,
        peer: IpAddr,
    ) -> (Answer, bool) {
        let sender = proxy::sender(peer, &parts.headers, &self.trusted_proxies);
        let is_https = self.is_https(peer, &parts.headers);
        let route = WebRoute::of(&self.postbacks, head.path(), head.query());
        let DecodedBody { body, encoded, is_too_large } = match body.is_empty() {
            true => DecodedBody { body, encoded: None, is_too_large: false },
            false => {
                let limit = self.body_limit(&route, (&parts.headers, peer));
                encoding::plain(&parts.headers, body, limit)
            }
        };
        let asked = ReceivedRequest {
            method: parts.method,
            headers: parts.headers,
            head,
            body,
            encoded,
            is_too_large,
            sender,
            peer,
            is_https,
            secrets: &self.secrets,
        };
        self.note_hiding(&route, &asked);
        (self.answer(side, route, asked).await, is_https)
    }
}
