//! What the tests of the CAKE-compatible API share: the network of `fixtures/cake_api` over a store in memory.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use http_body_util::BodyExt;
use postbridge::clock::Clock;
use postbridge::config::configuration::Config;
use postbridge::domain::advertiser_number::AdvertiserNumbers;
use postbridge::domain::click::{Click, ClickContext};
use postbridge::domain::forwarding::Sender;
use postbridge::domain::ids::ClickId;
use postbridge::domain::time::Time;
use postbridge::http1::head;
use postbridge::http1::target::RawHead;
use postbridge::ops::numbers::StoreNumbers;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Screening};
use postbridge::store::contract::conformance::fixture::received::click;
use postbridge::store::contract::lookup::{PageRequest, PostbackFilter};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::memory::Memory;
use postbridge::web::auth::{KnownSecrets, Tokens};
use postbridge::web::cake::AdvertiserApi;
use postbridge::web::collect::Postbacks;
use postbridge::web::request::ReceivedRequest;
use postbridge::web::routes;
use serde_json::Value;

pub const NETWORK: &str = "KEY-OF-THE-NETWORK-0123456789";
pub const READER: &str = "KEY-OF-A-READER-0123456789";
pub const ADVERTISER_31: &str = "KEY-OF-ADVERTISER-31";
pub const ADVERTISER_32: &str = "KEY-OF-ADVERTISER-32";

/// The API over a store of its own.
pub struct CakeFixture {
    pub store: Arc<Embedded>,
    pub clock: Clock,
    pub api: AdvertiserApi,
    secrets: KnownSecrets,
}

/// The answer.
pub struct Reported {
    pub status: u16,
    pub text: String,
    pub json: Value,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/cake_api")
}

/// The numbers by which the stories' advertisers know conversions.
pub fn numbers() -> AdvertiserNumbers {
    AdvertiserNumbers::new([31; 32])
}

/// Half an hour after the clicks of the stories.
pub fn now() -> Time {
    Time::parse("2024-01-01T14:32:00Z").unwrap()
}

impl CakeFixture {
    /// The network of the stories, `extra` added to its configuration, its clicks recorded.
    pub async fn with(extra: &str) -> CakeFixture {
        let text = std::fs::read_to_string(folder().join("postbridge.toml")).unwrap();
        let config = Config::parse("postbridge.toml", &format!("{text}\n{extra}"), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let (rules, clock) = (Arc::new(config.ruleset()), Clock::fixed(now()));
        let store = Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::clone(&rules)).unwrap());
        let tokens = config.api.tokens.iter().map(|t| (t.name.as_str(), t.token.reveal(), t.rights.clone()));
        let postbacks = Postbacks {
            endpoints: Arc::default(),
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: clock.clone(),
            health: Arc::default(),
            secret_names: Arc::default(),
            budget: Arc::default(),
        };
        let api = AdvertiserApi {
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: clock.clone(),
            health: Arc::default(),
            tokens: Tokens::new(tokens),
            access: Arc::default(),
            rules,
            public_url: config.server.public_url.clone(),
            zone: config.network_api.time_zone.clone(),
            numbers: StoreNumbers::known(Arc::clone(&store) as Arc<dyn Store>, numbers()),
            postbacks,
        };
        let secrets = KnownSecrets::new(config.secrets());
        let fixture = CakeFixture { store, clock, api, secrets };
        fixture.record_clicks(&config).await;
        fixture
    }

    pub async fn new() -> CakeFixture {
        CakeFixture::with("").await
    }

    async fn record_clicks(&self, config: &Config) {
        let clicks = std::fs::read_to_string(folder().join("clicks.json")).unwrap();
        for reported in serde_json::from_str::<Vec<Value>>(&clicks).unwrap() {
            let word = |name: &str| reported[name].as_str().unwrap().to_owned();
            let campaign = word("campaign");
            let campaign =
                config.campaigns.iter().find(|known| known.campaign.id.as_str() == campaign).unwrap();
            let at = Time::parse(&word("at")).unwrap();
            let campaign_ref = Some(campaign.campaign.campaign_ref());
            let context = ClickContext { campaign_ref, ..ClickContext::default() };
            let id = ClickId::parse(&word("id")).unwrap();
            let click = Click { at, recorded_at: at, context, ..click(id.as_str()) };
            let arrival = ClickArrival { click, screening: Screening::None };
            self.store.record_click(arrival).await.unwrap();
        }
    }

    /// Sends `target` (path and query) as it would come by the wire.
    pub async fn ask(&self, method: &str, target: &str, body: &str) -> Reported {
        self.ask_as(method, target, (None, body)).await
    }

    /// As [`CakeFixture::ask`], the body with its content type.
    pub async fn ask_as(&self, method: &str, target: &str, (kind, body): (Option<&str>, &str)) -> Reported {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        let read = head::read(head.as_bytes()).unwrap();
        let line = head.as_bytes().get(read.line.clone()).unwrap();
        let head = RawHead::new(1, line, &read.target, None).unwrap();
        let peer = "203.0.113.9".parse().unwrap();
        let asked = ReceivedRequest {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            headers: kind.map(|kind| (header::CONTENT_TYPE, kind.parse().unwrap())).into_iter().collect(),
            head: &head,
            body: Bytes::from(body.to_owned()),
            encoded: None,
            is_too_large: false,
            sender: Sender { address: peer, hidden_by: None },
            peer,
            is_https: false,
            secrets: &self.secrets,
        };
        let rows = routes::find(head.path()).map(|found| found.rows);
        let answer = self.api.answer(rows, &asked).await;
        let status = answer.status().as_u16();
        let text =
            String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Reported { status, text, json }
    }

    /// Reports a conversion.
    pub async fn record(&self, key: &str, query: &str) -> Reported {
        self.ask("GET", &format!("/api/2/conversion.json?api_key={key}&{query}"), "").await
    }

    /// The history from 2023 to 2024.
    pub async fn history(&self, key: &str, query: &str) -> Reported {
        let days = "start_date=2023-01-01&end_date=2024-12-31";
        self.ask("GET", &format!("/api/2/conversions.json?api_key={key}&{days}&{query}"), "").await
    }

    pub async fn update(&self, key: &str, id: u64, status: &str) -> Reported {
        let body = format!(r#"{{"api_key":"{key}","conversion_id":{id},"status":"{status}"}}"#);
        self.ask("POST", "/api/2/update_conversion.json", &body).await
    }

    /// The raw log, oldest first: the verdict's word and the request line.
    pub async fn log(&self) -> Vec<(String, String)> {
        let page = PageRequest { cursor: None, limit: 1000 };
        let page = self.store.postbacks(PostbackFilter::default(), page).await.unwrap();
        let line = |raw: Option<&postbridge::domain::postback::RawRequest>| {
            String::from_utf8_lossy(&raw.unwrap().line).into_owned()
        };
        let records = page.items.iter().rev();
        records.map(|kept| (kept.verdict.as_str().to_owned(), line(kept.raw.as_ref()))).collect()
    }
}

impl Reported {
    /// The ids of a history's rows.
    pub fn ids(&self) -> Vec<u64> {
        let rows = self.json["conversions"].as_array().unwrap_or_else(|| panic!("no history: {}", self.text));
        rows.iter().map(|row| row["conversion_id"].as_u64().unwrap()).collect()
    }
}
