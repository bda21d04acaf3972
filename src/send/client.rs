//! Sends one request and brings back what was received, whatever it is. It never follows, repeats or decides.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response, redirect, retry};

use crate::domain::delivery::{OutgoingRequest, PlatformResponse, Reply};
use crate::domain::exchange::{NoAnswer, SendRefused};
use crate::send::guard::{Resolver, check_url};

/// The most of an answer's body that is kept, in bytes. The rest is not read.
pub const KEPT_BODY: usize = 64 * 1024;
/// For each further event of a request, so much more of the answer is read.
const BODY_OF_AN_EVENT: usize = 4 * 1024;
/// The most of an answer's headers that is kept, in bytes of names and values.
const KEPT_HEADERS: usize = 16 * 1024;

/// What holds for every request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SendPolicy {
    /// Whether addresses outside the public internet may be reached.
    pub allow_private_network: bool,
    /// Resolving the name and connecting, TLS included, together.
    pub connect_timeout_ms: u64,
    /// The whole attempt, from the look-up to the last byte kept.
    pub timeout_ms: u64,
}

impl Default for SendPolicy {
    fn default() -> SendPolicy {
        SendPolicy { allow_private_network: false, connect_timeout_ms: 5_000, timeout_ms: 30_000 }
    }
}

/// The HTTP client could not be made: the system offers no usable TLS roots.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the HTTP client could not be made: {0}")]
pub struct ClientError(String);

/// An HTTP client with one policy and its own pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: SendPolicy,
}

impl Client {
    /// A client for one policy.
    ///
    /// # Errors
    /// When TLS cannot be set up on this machine.
    pub fn new(policy: SendPolicy) -> Result<Client, ClientError> {
        Client::build_by(policy, Client::builder(policy))
    }

    /// A client that connects to `address` for this host name; the port is the URL's.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn to(policy: SendPolicy, name: &str, address: SocketAddr) -> Result<Client, ClientError> {
        Client::build_by(policy, Client::builder(policy).resolve(name, address))
    }

    fn build_by(policy: SendPolicy, builder: reqwest::ClientBuilder) -> Result<Client, ClientError> {
        let http = builder.build().map_err(|cause| ClientError(innermost(&cause)))?;
        Ok(Client { http, policy })
    }

    fn builder(policy: SendPolicy) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("postbridge/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // Our log of attempts must equal what left, so nothing is sent twice behind it.
            .retry(retry::never())
            // A proxy from the environment would resolve names past our check.
            .no_proxy()
            .dns_resolver(Resolver::new(policy.allow_private_network))
            .connect_timeout(Duration::from_millis(policy.connect_timeout_ms))
            // Shorter than the idle time of common load balancers: a connection they have closed
            // already would turn an attempt into one whose outcome no one knows.
            .pool_idle_timeout(Duration::from_secs(15))
            .pool_max_idle_per_host(128)
            .http1_only()
            .referer(false)
    }

    /// Sends the request and waits for the answer or the deadline, whichever is first.
    pub async fn send(&self, request: &OutgoingRequest) -> Reply {
        self.send_with(request, 1).await
    }

    /// The same for a request with so many events, whose answer may say something of each.
    pub async fn send_with(&self, request: &OutgoingRequest, events: usize) -> Reply {
        let most = KEPT_BODY.saturating_add(events.saturating_sub(1).saturating_mul(BODY_OF_AN_EVENT));
        let request = match self.build(request) {
            Ok(request) => request,
            Err(refused) => return Reply::Forbidden(refused),
        };
        let deadline = Duration::from_millis(self.policy.timeout_ms);
        let exchange = async {
            match self.http.execute(request).await {
                Ok(response) => read(response, most).await,
                Err(cause) => failed(cause),
            }
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(reply) => reply,
            Err(_late) => Reply::Failed(NoAnswer::Timeout { after_ms: self.policy.timeout_ms }),
        }
    }

    fn build(&self, request: &OutgoingRequest) -> Result<Request, SendRefused> {
        let url = check_url(&request.url, self.policy.allow_private_network)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| SendRefused::Method(request.method.clone()))?;
        let mut built = Request::new(method, url);
        *built.headers_mut() = headers(&request.headers)?;
        if !request.body.is_empty() {
            *built.body_mut() = Some(request.body.clone().into());
        }
        Ok(built)
    }
}

/// The value of a header may be a secret: a fault names the header only.
fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, SendRefused> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let parsed =
            HeaderName::try_from(name.as_str()).map_err(|_| SendRefused::HeaderName(name.clone()))?;
        let value =
            HeaderValue::try_from(value.as_str()).map_err(|_| SendRefused::HeaderValue(name.clone()))?;
        headers.append(parsed, value);
    }
    Ok(headers)
}

async fn read(mut response: Response, most: usize) -> Reply {
    let status = response.status().as_u16();
    let headers = kept_headers(response.headers());
    let mut body: Vec<u8> = Vec::new();
    let mut truncated = false;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = most.saturating_sub(body.len());
                if chunk.len() > room {
                    body.extend(chunk.iter().take(room));
                    truncated = true;
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => break,
            Err(cause) => {
                let cause = innermost(&cause.without_url());
                return Reply::Failed(NoAnswer::BrokeOff { status, cause });
            }
        }
    }
    Reply::Answer(PlatformResponse { status, headers, body, truncated })
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = KEPT_HEADERS;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let size = name.as_str().len() + value.len();
        if size > room {
            break;
        }
        room -= size;
        kept.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    kept
}

fn failed(cause: reqwest::Error) -> Reply {
    let cause = cause.without_url();
    if let Some(refused) = refusal(&cause) {
        return Reply::Forbidden(refused.clone());
    }
    let innermost = innermost(&cause);
    Reply::Failed(match (cause.is_timeout(), cause.is_connect()) {
        (true, _) => NoAnswer::ConnectTimeout,
        (false, true) => NoAnswer::NoConnection { cause: innermost },
        (false, false) => NoAnswer::ConnectionEnded { cause: innermost },
    })
}

fn refusal(cause: &reqwest::Error) -> Option<&SendRefused> {
    let mut link: Option<&(dyn Error + 'static)> = Some(cause);
    while let Some(error) = link {
        if let Some(refused) = error.downcast_ref::<SendRefused>() {
            return Some(refused);
        }
        link = error.source();
    }
    None
}

/// The cause at the bottom: the layers above it only say that there is one.
fn innermost(error: &dyn Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
