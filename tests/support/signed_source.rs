//! A source whose network signs, and what becomes of its postbacks, without a socket.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use postbridge::clock::Clock;
use postbridge::config::configuration::Config;
use postbridge::domain::forwarding::{HidingProxy, Sender};
use postbridge::domain::ids::Seq;
use postbridge::domain::postback::Postback;
use postbridge::domain::time::Time;
use postbridge::http1::head;
use postbridge::http1::target::RawHead;
use postbridge::ingest::postback::{self, Network, ReprocessError};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::contract::lookup::{PageRequest, PostbackFilter};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::memory::Memory;
use postbridge::web::auth::{Keys, KnownSecrets};
use postbridge::web::collect::{Postbacks, SourceEndpoint};
use postbridge::web::encoding;
use postbridge::web::request::ReceivedRequest;
use postbridge::web::secret_names::SecretNames;
use serde_json::Value;

/// The key in the path.
pub const KEY: &str = "path-key-0123456789";

/// One source, `signed`, of a template with a click id, an amount and a `[verify]`.
pub struct SignedSource {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    template: String,
    source: String,
    config: Config,
    postbacks: Postbacks,
    secrets: KnownSecrets,
}

/// A request as a sender writes it.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub peer: Option<std::net::IpAddr>,
    /// By a proxy that no one declared.
    pub is_forwarded: bool,
}

impl Outgoing {
    /// A GET of the source's path with this query.
    pub fn get(query: &str) -> Outgoing {
        let target = format!("/{KEY}/collect/signed?{query}");
        Outgoing { method: "GET", target, ..Outgoing::default() }
    }

    /// A POST to the source's path of a body of this type.
    pub fn post(kind: &str, body: &str) -> Outgoing {
        let target = format!("/{KEY}/collect/signed");
        let post = Outgoing { method: "POST", target, body: body.into(), ..Outgoing::default() };
        post.header("content-type", kind)
    }

    /// The same with this body.
    pub fn body(self, body: Vec<u8>) -> Outgoing {
        Outgoing { body, ..self }
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Outgoing {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What was answered.
pub struct Answered {
    pub status: u16,
    pub json: Value,
}

impl Answered {
    /// The verdict, and the code where there is one.
    pub fn verdict(&self) -> (&str, &str) {
        let word = |name: &str| self.json[name].as_str().unwrap_or_default();
        (word("status"), word("reason_code"))
    }
}

/// When the clock begins.
pub fn noon() -> Time {
    Time::parse("2025-11-28T12:00:00Z").unwrap()
}

impl SignedSource {
    /// A new one; `verify` are the lines of the template's `[verify]` and what follows, `source` further lines of the
    /// `[[source]]`.
    pub fn new(verify: &str, source: &str) -> SignedSource {
        let store = Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap();
        SignedSource::on(Arc::new(store), Clock::fixed(noon()), verify, source)
    }

    /// The same store after a change of the configuration.
    pub fn with(&self, source: &str) -> SignedSource {
        SignedSource::on(Arc::clone(&self.store), self.clock.clone(), &self.template, source)
    }

    /// The same store after a proxy was declared.
    pub fn behind(&self, proxy: &str) -> SignedSource {
        let mut behind =
            SignedSource::on(Arc::clone(&self.store), self.clock.clone(), &self.template, &self.source);
        behind.config.server.trusted_proxies = vec![proxy.parse::<std::net::IpAddr>().unwrap().into()];
        behind
    }

    /// One on this store.
    pub fn on(store: Arc<dyn Store>, clock: Clock, verify: &str, source: &str) -> SignedSource {
        let folder = tempfile::tempdir().unwrap();
        let template = format!(
            "name = \"signing\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"amount\", \"tid\"]\n\
             [map]\nclick_id = \"cid\"\nvalue = \"amount\"\ntransaction_id = \"tid\"\n\
             [event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n[verify]\n{verify}"
        );
        std::fs::create_dir(folder.path().join("sources")).unwrap();
        std::fs::write(folder.path().join("sources/signing.toml"), template).unwrap();
        let key = if source.contains("key = ") { String::new() } else { format!("key = \"{KEY}\"\n") };
        let text = format!(
            "[server]\npublic_url = \"https://relay.example\"\n[templates]\npath = \"{}\"\n\
             [[source]]\nid = \"signed\"\ntemplate = \"signing\"\ncurrency = \"USD\"\n{key}{source}",
            folder.path().display()
        );
        let config = Config::parse("postbridge.toml", &text, &|_| None);
        let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
        let secret_names = SecretNames::of(config.sources.iter().map(|source| &*source.template));
        let postbacks = Postbacks {
            endpoints: Arc::default(),
            store: Arc::clone(&store),
            clock: clock.clone(),
            health: Arc::default(),
            secret_names: Arc::new(secret_names),
            budget: Arc::default(),
        };
        let secrets = KnownSecrets::new(config.secrets());
        let mut signed = SignedSource {
            store,
            clock,
            template: verify.to_owned(),
            source: source.to_owned(),
            config,
            postbacks,
            secrets,
        };
        let endpoint = signed.endpoint(None);
        signed.postbacks.endpoints = Arc::new(HashMap::from([("signed".to_owned(), Arc::new(endpoint))]));
        signed
    }

    /// The same, that takes one postback a second.
    pub fn limited(mut self) -> SignedSource {
        let endpoint = self.endpoint(NonZeroU32::new(1));
        self.postbacks.endpoints = Arc::new(HashMap::from([("signed".to_owned(), Arc::new(endpoint))]));
        self
    }

    fn endpoint(&self, most: Option<NonZeroU32>) -> SourceEndpoint {
        let keys = Keys::new(self.config.sources[0].keys.iter().map(|key| key.reveal()));
        SourceEndpoint::new(self.network(), keys, most)
    }

    /// The source as ingest has it.
    pub fn network(&self) -> Network {
        let source = &self.config.sources[0];
        Network {
            template: Arc::clone(&source.template),
            binding: source.binding.clone(),
            policy: Arc::clone(&source.policy),
            mapping: source.mapping,
            verify: self.config.verify_rules(source).map(Arc::new),
            rules: Arc::new(self.config.ruleset()),
        }
    }

    /// Sends a request, as the endpoint is handed it.
    pub async fn send(&self, sent: &Outgoing) -> Answered {
        let line = format!("{} {} HTTP/1.1\r\nHost: t\r\n\r\n", sent.method, sent.target);
        let read = head::read(line.as_bytes()).unwrap();
        let head = RawHead::new(1, &line.as_bytes()[read.line.clone()], &read.target, None).unwrap();
        let peer = sent.peer.unwrap_or_else(|| "203.0.113.9".parse().unwrap());
        let header = |(name, value): &(String, String)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = sent.headers.iter().map(header).collect();
        let decoded = encoding::plain(&headers, Bytes::from(sent.body.clone()), 1 << 20);
        let asked = ReceivedRequest {
            method: Method::from_bytes(sent.method.as_bytes()).unwrap(),
            headers,
            head: &head,
            body: decoded.body,
            encoded: decoded.encoded,
            is_too_large: decoded.is_too_large,
            sender: Sender {
                address: peer,
                hidden_by: sent.is_forwarded.then_some(HidingProxy::Undeclared(peer)),
            },
            peer,
            is_https: false,
            secrets: &self.secrets,
        };
        let entered = self.postbacks.enter(head.path()).expect("a postback's path");
        let answer = self.postbacks.receive(entered, &asked).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answered { status, json: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// Reprocesses a record by the configuration that there is now.
    pub async fn again(&self, seq: Seq) -> Result<Receipt, ReprocessError> {
        postback::again(&*self.store, |_| Some(self.network()), seq, self.clock.now()).await
    }

    /// Every record, the newest first.
    pub async fn records(&self) -> Vec<Postback> {
        let page = PageRequest { cursor: None, limit: 1000 };
        self.store.postbacks(PostbackFilter::default(), page).await.unwrap().items
    }

    /// The newest record.
    pub async fn newest(&self) -> Postback {
        self.records().await.remove(0)
    }

    /// The postbacks' endpoint itself.
    pub fn postbacks(&self) -> &Postbacks {
        &self.postbacks
    }
}
