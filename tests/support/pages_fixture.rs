//! What the pages' tests share: pages over a store in memory, empty or with a day's work in it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use postbridge::clock::Clock;
use postbridge::config::configuration::Config;
use postbridge::domain::advertiser_number::AdvertiserNumbers;
use postbridge::domain::attempt::{Attempt, EarlierRequest, Exchange};
use postbridge::domain::click::{Click, CustomerTraits};
use postbridge::domain::delivery::{DeliveryState, PlatformResponse, ReplyVerdict, SentRequest};
use postbridge::domain::delivery_reason::DeathReason;
use postbridge::domain::destination_state::DestinationState;
use postbridge::domain::forwarding::Sender;
use postbridge::domain::ids::{ClickId, DestinationId, SourceId};
use postbridge::domain::money::Currency;
use postbridge::domain::postback::RawRequest;
use postbridge::domain::rights::Rights;
use postbridge::domain::routing::Route;
use postbridge::domain::ruleset::{Ruleset, usual};
use postbridge::domain::sent::{Confirmation, ConfirmationCounts};
use postbridge::domain::target::TargetId;
use postbridge::domain::test_event::TestRefused;
use postbridge::domain::time::Time;
use postbridge::ingest::postback::{self, IncomingPostback, Network};
use postbridge::ingest::reopen::ReportTerms;
use postbridge::ops::Ops;
use postbridge::ops::numbers::StoreNumbers;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Receipt, Screening};
use postbridge::store::contract::conformance::fixture::reason::{account_refused, rejected};
use postbridge::store::contract::conformance::fixture::received::request;
use postbridge::store::contract::work::{AttemptOutcome, ClaimRequest, Claimed, WantedWork};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::Faulty;
use postbridge::store::engine::memory::Memory;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;
use postbridge::template::source::definition::SourceBinding;
use postbridge::template::source::verify::request::SignedRequest;
use postbridge::template::tag_script::TagScript;
use postbridge::web::access::Access;
use postbridge::web::auth::Tokens;
use postbridge::web::pages::offer_pages::PostbackUrl;
use postbridge::web::pages::session::Sessions;
use postbridge::web::pages::{BrowserRequest, Pages};
use postbridge::web::per_address::LimitKey;

pub const TOKEN: &str = "a-token-for-tests-0123456789";
pub const CLICK: &str = "jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t";
/// A raw `#`, a byte of Latin-1, quotes and a tag, as no URL should carry them.
pub const ODD: &[u8] = b"s1=#s1#&s2=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t&tid=A-1001&price=7.50&oid=12\
    &affid=<script>alert(1)</script>&s3=\" onmouseover=\"x&s4=caf\xe9";

/// Pages over a store, and the cookie of the one who asks.
pub struct PagesFixture {
    pub store: Arc<Embedded>,
    pub disk: Faulty,
    pub clock: Clock,
    pub sessions: Arc<Sessions>,
    pub pages: Pages,
    pub network: Network,
    /// Whether requests come by https.
    pub is_https: bool,
    cookie: Mutex<Option<String>>,
    csrf: Mutex<String>,
}

/// The answer.
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails with the whole page when a text is not in it.
    pub fn shows(&self, wanted: &str) -> &Answered {
        assert!(self.text.contains(wanted), "`{wanted}` is not in:\n{}", self.text);
        self
    }

    pub fn hides(&self, unwanted: &str) -> &Answered {
        assert!(!self.text.contains(unwanted), "`{unwanted}` is in:\n{}", self.text);
        self
    }
}

pub fn noon() -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap()
}

fn source() -> SourceId {
    SourceId::parse("cake-test").unwrap()
}

pub fn destination(id: &str) -> DestinationId {
    DestinationId::parse(id).unwrap()
}

fn network(catalog: &Catalog) -> Network {
    let routes = ["meta-main", "shop-hook"].map(|id| Route::to(destination(id))).to_vec();
    let (currency, source) = (Currency::parse("USD"), source());
    let template = catalog.source("cake").unwrap();
    let binding = SourceBinding { currency, ..SourceBinding::of(source.clone()) };
    let policy = usual(source);
    Network {
        mapping: template.mapping_version(&binding, &policy),
        template,
        binding,
        verify: None,
        policy: Arc::new(policy),
        rules: Arc::new(Ruleset { routes, ..Ruleset::default() }),
    }
}

fn ready(catalog: &Catalog, id: &str, template: &str, settings: &[(&str, &str)]) -> Arc<ReadyDestination> {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let template = catalog.destination(template).unwrap();
    let spec = DestinationSpec {
        id: destination(id),
        template,
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings,
        events: BTreeMap::new(),
    };
    Arc::new(ReadyDestination::build(spec).unwrap())
}

/// What a configuration says that has these tables.
pub fn configured(tables: &str) -> Config {
    let text = format!("[server]\npublic_url = \"https://t.example.com\"\n{tables}");
    Config::parse("postbridge.toml", &text, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

impl PagesFixture {
    /// Configured, and nothing has arrived.
    pub fn new() -> PagesFixture {
        let catalog = Catalog::load(None).unwrap();
        let (disk, clock, sessions) =
            (Faulty::over(Memory::new()), Clock::fixed(noon()), Arc::new(Sessions::default()));
        let network = network(&catalog);
        let rules = Arc::clone(&network.rules);
        let store = Arc::new(Embedded::open(Arc::new(disk.clone()), rules).unwrap());
        let destinations = vec![
            ready(
                &catalog,
                "meta-main",
                "meta",
                &[("pixel_id", "1234567890"), ("access_token", "meta-secret-token")],
            ),
            ready(
                &catalog,
                "shop-hook",
                "webhook",
                &[
                    ("url", "https://hooks.example.com/in"),
                    ("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                ],
            ),
        ];
        let url = |key: &str| {
            format!("https://t.example.com/{key}/collect/cake-test?s1=#s1#&s2=#s2#&tid=#tid#&price=#price#")
        };
        let url = PostbackUrl { whole: url("the-key"), masked: url("***") };
        let pages = Pages {
            ops: Ops {
                store: Arc::clone(&store) as Arc<dyn Store>,
                clock: clock.clone(),
                networks: Arc::new(HashMap::from([(source(), network.clone())])),
                reports: ReportTerms {
                    rules: Arc::default(),
                    zone: jiff::tz::TimeZone::UTC,
                    trusted_proxies: Vec::new(),
                },
                numbers: StoreNumbers::known(store.clone(), AdvertiserNumbers::new([31; 32])),
                destinations: Arc::new(destinations),
                workers: Arc::new(Vec::new),
                send_test: Arc::new(|_, _| Box::pin(async { Err(TestRefused::NotReady) })),
                store_work: postbridge::ops::store_work::StoreWork::new(store.clone(), clock.clone(), None),
                erasure_work: postbridge::ops::erasure_work::ErasureWork::new(store.clone(), clock.clone()),
                rules: Arc::clone(&network.rules),
                keep_removed_hours: 72,
            },
            health: Arc::default(),
            tokens: Tokens::new([("ops", TOKEN, Rights::everything())]),
            sessions: Arc::clone(&sessions),
            access: Arc::new(Access::of(Arc::clone(&sessions))),
            hiding_proxies: Arc::default(),
            unrecorded: Arc::default(),
            config: Arc::new(configured("")),
            tag_script: Arc::new(TagScript {
                text: String::new(),
                gzip: Vec::new(),
                hash: "0011223344556677".to_owned(),
                integrity: "sha384-abcdef".to_owned(),
            }),
            urls: Arc::new(BTreeMap::from([("cake-test".to_owned(), url)])),
            forecast: postbridge::dispatch::prepare::forecast,
        };
        let (cookie, csrf) = (Mutex::default(), Mutex::default());
        PagesFixture { store, disk, clock, sessions, pages, network, is_https: false, cookie, csrf }
    }

    /// A day's work: a sale delivered here and dead there, one held, one skipped by its status, two
    /// quarantined postbacks, and a parked destination. Someone is signed in.
    pub async fn busy() -> PagesFixture {
        let mut fixture = PagesFixture::new();
        fixture.click().await;
        fixture.receive(ODD).await;
        fixture
            .work("meta-main", |at| DeliveryState::Dead {
                at,
                reason: Box::new(rejected("`order_id` is wrong")),
            })
            .await;
        fixture.work("shop-hook", DeliveryState::delivered).await;
        fixture.receive(b"s2=nobody-knows-it&tid=A-1000&price=0").await;
        fixture.receive(b"s1=").await;
        fixture.receive(b"s2=abc&tid=R-1&price=-7.50&s4=caf\xe9").await;
        let reason = account_refused("code 190: the token has expired");
        let verdict = ReplyVerdict::Park { reason: reason.clone() };
        let worker = DestinationState {
            destination: destination("meta-main"),
            last_error: Some((noon(), verdict)),
            parked: Some((noon(), reason)),
            hold: None,
            open_until: None,
            in_flight: 1,
            is_tried: true,
            delivered: 1204,
            confirmations: ConfirmationCounts { confirmed: 1200, duplicate: 4, ..Default::default() },
        };
        fixture.pages.ops.workers = Arc::new(move || vec![worker.clone()]);
        fixture.sign_in().await;
        fixture
    }

    async fn click(&self) {
        let click = Click {
            id: ClickId::parse(CLICK).unwrap(),
            at: noon().plus_hours(-1),
            recorded_at: noon().plus_hours(-1),
            landing_url: Some("https://shop.example.com/?fbclid=IwAR2xyz".to_owned()),
            referrer: None,
            ip: Some("198.51.100.7".parse().unwrap()),
            user_agent: Some("Mozilla/5.0 (\"quoted\")".to_owned()),
            params: vec![("fbclid".to_owned(), "IwAR2xyz".to_owned())],
            cookies: vec![("_fbp".to_owned(), "fb.1.1795168000000.1234567890".to_owned())],
            sub_ids: vec![],
            customer: CustomerTraits::default(),
            context: Default::default(),
        };
        let arrival = ClickArrival { click, screening: Screening::None };
        self.store.record_click(arrival).await.unwrap();
    }

    /// A postback with this raw query, as ingest takes it in.
    pub async fn receive(&self, query: &[u8]) -> Receipt {
        let line = [b"GET /***/collect/cake-test?".as_slice(), query, b" HTTP/1.1"].concat();
        let sender = Sender { address: "203.0.113.9".parse().unwrap(), hidden_by: None };
        let kept = RawRequest { peer: Some(sender.address), ..request(line) };
        let signed = SignedRequest { line: &kept.line.clone(), headers: &kept.headers.clone(), body: b"" };
        let incoming = IncomingPostback { query, signed, sender, kept };
        postback::receive(self.store.as_ref(), &self.network, incoming, self.clock.now()).await.unwrap()
    }

    /// Gives every due delivery of a destination one attempt that ends as reported.
    async fn work(&self, id: &str, end: impl Fn(Time) -> DeliveryState) {
        let now = self.clock.now();
        let wanted = WantedWork::Due { fresh: 10, retries: 10 };
        let target = TargetId::Account(destination(id));
        let request = ClaimRequest { target, now, lease_for: std::time::Duration::from_secs(60), wanted };
        for work in self.store.claim(request).await.unwrap().work {
            let state = end(now);
            let verdict = match &state {
                DeliveryState::Dead { reason, .. } => {
                    ReplyVerdict::Dead { reason: DeathReason::clone(reason) }
                }
                _ => ReplyVerdict::Delivered {
                    warnings: vec!["look at `fbp`".to_owned()],
                    confirmation: Confirmation::Confirmed,
                },
            };
            let answer = PlatformResponse {
                status: 400,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: br#"{"error":{"message":"<b>order_id</b> is wrong"}}"#.to_vec(),
                truncated: false,
            };
            let request = SentRequest {
                method: "POST".to_owned(),
                url: "https://graph.example.com/events".to_owned(),
                headers: vec![("authorization".to_owned(), "Bearer ***".to_owned())],
                body: r#"{"data":[{"value":7.50}]}"#.to_owned(),
            };
            let refused =
                PlatformResponse { body: b"<b>one</b> of them is wrong".to_vec(), ..answer.clone() };
            let before = vec![EarlierRequest { at: now, took_ms: 90, events: 8, answer: Some(refused) }];
            let exchange = Some(Arc::new(Exchange { request, answer: Some(answer), before }));
            let Claimed { id, lease, .. } = work;
            let attempt = Attempt { took_ms: 182, exchange, ..Attempt::unsent(now, verdict) };
            self.store
                .record(Arc::new([AttemptOutcome {
                    id,
                    lease: lease.token,
                    attempt,
                    state,
                    attempts: 1,
                    observed: None,
                    repeat: Default::default(),
                }]))
                .await
                .unwrap();
        }
    }

    /// Signs in by a one-time link and keeps the cookie.
    pub async fn sign_in(&self) {
        let link = self.sessions.link(&self.clock);
        self.keep_cookie(&self.get(&link).await);
        self.read_csrf().await;
    }

    /// Signs in by a token and keeps the cookie.
    pub async fn sign_in_by(&self, token: &str) {
        self.keep_cookie(&self.post_only("/sign-in", &[("token", token)]).await);
        self.read_csrf().await;
    }

    async fn read_csrf(&self) {
        let page = self.get("/destinations").await.text;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a page with a form");
        *self.csrf.lock() = rest.split('"').next().unwrap().to_owned();
    }

    /// Sends from now on the cookie that this answer sets.
    pub fn keep_cookie(&self, answer: &Answered) {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.contains('='), "no cookie in {:?}", answer.headers);
        *self.cookie.lock() = Some(cookie);
    }

    pub fn forget_cookie(&self) {
        *self.cookie.lock() = None;
    }

    pub async fn get(&self, url: &str) -> Answered {
        self.ask(Method::GET, url, String::new(), "198.51.100.1").await.expect("one of the pages")
    }

    /// Sends a form with the session's CSRF token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let csrf = self.csrf.lock().clone();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.post_only(path, &fields).await
    }

    /// Sends a form with just these fields.
    pub async fn post_only(&self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(Method::POST, path, body, "198.51.100.1").await.expect("one of the pages")
    }

    /// Sends a form as a browser does that has a file in it.
    pub async fn upload(&self, path: &str, fields: &[(&str, &str)], file: (&str, &[u8])) -> Answered {
        const MARK: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
        let csrf = self.csrf.lock().clone();
        let mut body = Vec::new();
        for (name, value) in fields.iter().copied().chain([("csrf", csrf.as_str())]) {
            let part =
                format!("--{MARK}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let (name, bytes) = file;
        let head = format!(
            "--{MARK}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{MARK}--\r\n").as_bytes());
        let mut headers = HeaderMap::new();
        let media = format!("multipart/form-data; boundary={MARK}");
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&media).unwrap());
        let request = (Method::POST, path, Bytes::from(body));
        self.send(request, headers, "198.51.100.1").await.expect("one of the pages")
    }

    /// Sends a body as it is.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: &str) -> Answered {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        let request = (Method::POST, path, Bytes::from(body.to_owned()));
        self.send(request, headers, "198.51.100.1").await.expect("one of the pages")
    }

    /// Sends from now on the CSRF token that the forms of this page carry.
    pub fn keep_csrf(&self, page: &Answered) {
        let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").expect("a page with a form");
        *self.csrf.lock() = rest.split('"').next().unwrap().to_owned();
    }

    /// Asks the pages; `None` when they do not have the path.
    pub async fn ask(&self, method: Method, url: &str, body: String, client: &str) -> Option<Answered> {
        self.send((method, url, Bytes::from(body)), HeaderMap::new(), client).await
    }

    async fn send(
        &self,
        (method, url, body): (Method, &str, Bytes),
        mut headers: HeaderMap,
        client: &str,
    ) -> Option<Answered> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        if let Some(cookie) = self.cookie.lock().as_ref() {
            headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        let client: IpAddr = client.parse().unwrap();
        let (path, query) = (path.to_owned(), query.as_bytes().to_vec());
        let (limit_key, is_https) = (LimitKey::of(client), self.is_https);
        let request = BrowserRequest { method, path, query, headers, body, limit_key, is_https };
        let answer = self.pages.answer(request).await?;
        let (parts, body) = answer.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Some(Answered { status: parts.status, headers: parts.headers, text })
    }

    /// The path of the page of the first conversion that the list shows with this transaction id.
    pub async fn path_of(&self, transaction: &str) -> String {
        let list = self.get(&format!("/conversions?transaction_id={transaction}")).await.text;
        let (_, rest) = list.split_once("href=\"/conversions/").expect("a line of the list");
        format!("/conversions/{}", rest.split('"').next().unwrap())
    }
}
