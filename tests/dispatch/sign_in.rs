//! Accounts that sign in: when a token is asked for, who waits for it, what is kept, what a refusal means.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use postbridge::clock::Clock;
use postbridge::config::secret_files::SecretFiles;
use postbridge::dispatch::{DestinationPlan, Dispatch, DispatchPlan};
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::delivery::{Delivery, ReplyVerdict};
use postbridge::domain::ids::DestinationId;
use postbridge::domain::secret_store::SecretStore;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::support::dispatch_fixture::{DispatchFixture, Target, policy, quick, source, until};
use crate::support::platform::{Act, Gate, Platform, Received};

const TEMPLATE: &str = r#"
label = "Stand-in"
max_age_hours = 168
[[setting]]
name = "client_id"
label = "Client"
[[setting]]
name = "client_secret"
label = "Secret"
secret = true
[[setting]]
name = "refresh_token"
label = "Refresh token"
secret = true
[[setting]]
name = "service_account"
label = "Key"
kind = "service-account"
secret = true
[events]
Purchase = "purchase"
[request]
url = "https://platform.invalid/events"
auth = [
    { kind = "service-account", key = "service_account", token_url = "https://tokens.invalid/token", scope = "send" },
    { kind = "oauth2-refresh", client_id = "client_id", client_secret = "client_secret", refresh_token = "refresh_token", token_url = "https://tokens.invalid/token", scope = "send offline", rotates = true },
]
[[reply.rule]]
status = [200]
then = "delivered"
[[reply.rule]]
status = [401]
then = "park"
"#;

const EVENT: &str = r#"{"id": {{json event_id}}}"#;

/// One account at one platform, whose tokens are given elsewhere.
pub struct SignedTarget<'a> {
    pub id: &'static str,
    pub platform: &'a Platform,
    pub tokens: &'a Platform,
    pub settings: Vec<(&'static str, String)>,
    pub secrets: SecretFiles,
}

impl SignedTarget<'_> {
    pub fn plan(&self) -> DestinationPlan {
        let files = [("destination.toml", TEMPLATE), ("event.json.hbs", EVENT)];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
        let template = DestinationTemplate::parse("standin", "standin", &files).ok().unwrap();
        let own = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let spec = DestinationSpec {
            id: DestinationId::parse(self.id).unwrap(),
            template: Arc::new(template),
            mode: DestinationMode::Live,
            endpoint: Some(self.platform.url("")),
            token_endpoint: Some(self.tokens.url("")),
            on_rejected: None,
            settings: self.settings.iter().map(own).collect(),
            events: BTreeMap::new(),
        };
        let destination = match ReadyDestination::build(spec) {
            Ok(destination) => destination,
            Err(problems) => panic!("{problems:?}"),
        };
        DestinationPlan {
            destination: Arc::new(destination),
            secrets: Arc::new(self.secrets.clone()),
            ..Target::new(self.id, self.platform.url("")).plan()
        }
    }
}

pub fn by_refresh_token<'a>(
    id: &'static str,
    (platform, tokens): (&'a Platform, &'a Platform),
    file: Option<&Path>,
) -> SignedTarget<'a> {
    let settings = [("client_id", "client-7"), ("client_secret", "s3cret-c"), ("refresh_token", "refresh-0")];
    let settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
    let secrets =
        SecretFiles(file.map(|path| ("refresh_token".to_owned(), path.to_owned())).into_iter().collect());
    SignedTarget { id, platform, tokens, settings, secrets }
}

pub fn start(fixture: &DispatchFixture, targets: &[SignedTarget<'_>]) -> Dispatch {
    let plan = DispatchPlan {
        destinations: targets.iter().map(SignedTarget::plan).collect(),
        policies: HashMap::from([(source(), policy())]),
    };
    Dispatch::start_at_pace(Arc::clone(&fixture.store), plan, fixture.clock.clone(), quick())
}

/// A fixture with these destinations, by a clock that only the test moves.
pub fn fixture(ids: &[&'static str]) -> DispatchFixture {
    let targets: Vec<Target> =
        ids.iter().map(|id| Target::new(id, "http://127.0.0.1:9".to_owned())).collect();
    DispatchFixture::by(Clock::fixed(Clock::system().now()), &targets)
}

pub fn form(request: &Received) -> BTreeMap<String, String> {
    form_urlencoded::parse(&request.body)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// Gives `access-N` for an hour, and `refresh-N` with it where `rotates`.
pub fn giving(rotates: bool) -> Platform {
    let given = AtomicUsize::new(0);
    Platform::start(move |_| {
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answer =
            json!({"access_token": format!("access-{number}"), "expires_in": 3600, "token_type": "Bearer"});
        if rotates {
            answer["refresh_token"] = format!("refresh-{number}").into();
        }
        Act::ok(&answer.to_string())
    })
}

fn bearer(request: &Received) -> String {
    request.header("authorization").unwrap_or_default().to_owned()
}

/// Takes whatever is sent with a token that is none of these.
pub fn refusing(tokens: &'static [&'static str]) -> Platform {
    Platform::start(move |request| {
        let refused = tokens.iter().any(|token| bearer(request) == format!("Bearer {token}"));
        if refused { Act::status(401, "{\"error\":\"expired\"}") } else { Act::ok("{}") }
    })
}

fn word(delivery: &Delivery) -> &'static str {
    delivery.state.as_str()
}

#[tokio::test]
async fn however_many_wait_a_token_is_asked_for_once_and_is_stored_nowhere() {
    let (platform, tokens) = (refusing(&[]), giving(false));
    let fixture = fixture(&["a"]);
    let sales = fixture.sales("t", 64).await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!((tokens.count(), platform.count()), (1, 64));
    let asked = &tokens.received()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/token"));
    let expected = [
        ("client_id", "client-7"),
        ("client_secret", "s3cret-c"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "refresh-0"),
        ("scope", "send offline"),
    ];
    assert_eq!(form(asked), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(platform.received().iter().all(|request| bearer(request) == "Bearer access-1"));
    let (_, attempts) = fixture.delivery(sales[0]).await;
    let request = attempts[0].request().unwrap();
    assert!(request.headers.contains(&("authorization".to_owned(), "Bearer ***".to_owned())), "{request:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_token_is_used_until_a_minute_before_its_end() {
    let (platform, tokens) = (refusing(&[]), giving(false));
    let fixture = fixture(&["a"]);
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
    for (run_ms, asked) in [(0, 1), (3_500_000, 1), (39_000, 1), (2_000, 2)] {
        fixture.clock.run(run_ms);
        let sale = fixture.sale(&format!("t-{run_ms}")).await;
        fixture.reaches(sale, "delivered").await;
        assert_eq!(tokens.count(), asked, "after {run_ms} ms more");
    }
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_token_that_the_platform_refuses_is_renewed_once_and_both_requests_are_on_record() {
    let (platform, tokens) = (refusing(&["access-1"]), giving(false));
    let fixture = fixture(&["a"]);
    let sale = fixture.sale("t").await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert_eq!((delivery.attempts, attempts.len(), tokens.count(), platform.count()), (1, 1, 2, 2));
    let before = attempts[0].before();
    assert_eq!((before.len(), before[0].events, before[0].answer.as_ref().unwrap().status), (1, 1, 401));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_platform_that_takes_no_token_has_the_destination_wait() {
    let (platform, tokens) = (Platform::start(|_| Act::status(401, "{}")), giving(false));
    let fixture = fixture(&["a"]);
    let sales = fixture.sales("t", 8).await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
    until("it is parked", || dispatch.states()[0].parked.is_some()).await;
    let (delivery, attempts) = fixture.delivery(sales[0]).await;
    assert_eq!((word(&delivery), delivery.attempts), ("waiting", 0), "it is not charged: {attempts:?}");
    assert_eq!(dispatch.states()[0].parked.as_ref().unwrap().1.code().as_str(), "account_refused");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_grant_that_was_taken_back_parks_at_once_in_the_servers_words() {
    let is_back = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&is_back);
    let tokens = Platform::start(move |_| match asked.load(Ordering::Relaxed) {
        0 => Act::status(
            400,
            r#"{"error":"invalid_grant","error_description":"Token  refresh-0 was\nrevoked."}"#,
        ),
        _ => Act::ok(r#"{"access_token":"access-1","expires_in":"3600"}"#),
    });
    let platform = refusing(&[]);
    let fixture = fixture(&["a"]);
    let sales = fixture.sales("t", 3).await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
    until("it is parked", || dispatch.states()[0].parked.is_some()).await;
    let (_, reason) = dispatch.states()[0].parked.clone().unwrap();
    assert_eq!(reason.code().as_str(), "sign_in_refused");
    assert_eq!(reason.sentence(), "no access token: HTTP 400: invalid_grant: Token *** was revoked.");
    assert_eq!(platform.count(), 0, "nothing leaves without a token");
    is_back.store(1, Ordering::Relaxed);
    // It is probed after a while by this clock.
    for _ in 0..100 {
        fixture.clock.run(60);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if platform.count() >= 3 {
            break;
        }
    }
    fixture.all_reach(&sales, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_account_that_is_refused_without_a_word_waits_too() {
    for status in [401, 403] {
        let tokens = Platform::start(move |_| Act::status(status, "<html>"));
        let platform = refusing(&[]);
        let fixture = fixture(&["a"]);
        let sale = fixture.sale("t").await;
        let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
        until("it is parked", || dispatch.states()[0].parked.is_some()).await;
        let (_, reason) = dispatch.states()[0].parked.clone().unwrap();
        assert_eq!(reason.sentence(), format!("no access token: HTTP {status}: it gives no reason"));
        assert_eq!(fixture.delivery(sale).await.0.attempts, 0, "it is not charged");
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_token_server_that_fails_is_asked_again_by_the_schedule() {
    for first in [
        Act::ok("{\"access_token\":\"two\\nlines\"}"),
        Act::status(503, ""),
        Act::Reset,
        Act::ok("<html>"),
        Act::status(400, "a page"),
        Act::status(429, "{}"),
    ] {
        let number = AtomicUsize::new(0);
        let tokens = Platform::start(move |_| match number.fetch_add(1, Ordering::Relaxed) {
            0 => first.clone(),
            _ => Act::ok(r#"{"access_token":"access-1"}"#),
        });
        let platform = refusing(&[]);
        let fixture = DispatchFixture::new(&[Target::new("a", platform.url(""))]);
        let sale = fixture.sale("t").await;
        let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
        let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
        assert_eq!((delivery.attempts, attempts.len(), delivery.possible_repeat), (2, 2, false));
        let ReplyVerdict::Retry { reason, .. } = &attempts[0].verdict else { panic!("{attempts:?}") };
        assert_eq!(reason.code().as_str(), "sign_in_failed");
        assert!(attempts[0].exchange.is_none(), "nothing left");
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_refresh_token_that_takes_the_place_of_another_is_in_its_file_before_it_is_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh-token");
    std::fs::write(&file, "refresh-0\n").unwrap();
    let tokens = giving(true);
    let kept = file.clone();
    let platform = Platform::start(move |request| {
        let (token, kept) = (bearer(request), std::fs::read_to_string(&kept).unwrap());
        let is_kept = token.replace("Bearer access", "refresh") == kept.trim();
        match token.as_str() {
            "Bearer access-1" if is_kept => Act::status(401, "{}"),
            _ if is_kept => Act::ok("{}"),
            _ => Act::status(500, "the refresh token is not kept"),
        }
    });
    let fixture = fixture(&["a"]);
    let sale = fixture.sale("t").await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), Some(&file))]);
    fixture.reaches(sale, "delivered").await;
    let shown: Vec<String> =
        tokens.received().iter().map(|asked| form(asked)["refresh_token"].clone()).collect();
    assert_eq!(shown, ["refresh-0", "refresh-1"], "the newest is shown");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "refresh-2\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_refresh_token_that_was_put_into_the_file_since_is_the_one_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh-token");
    std::fs::write(&file, "refresh-0").unwrap();
    let (platform, tokens) = (refusing(&[]), giving(false));
    let fixture = fixture(&["a"]);
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), Some(&file))]);
    for (number, put) in ["refresh-0", "by-a-person"].into_iter().enumerate() {
        std::fs::write(&file, put).unwrap();
        fixture.clock.run(3_600_000);
        let sale = fixture.sale(&format!("t-{number}")).await;
        fixture.reaches(sale, "delivered").await;
        assert_eq!(form(&tokens.received()[number])["refresh_token"], put);
    }
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_stop_loses_no_refresh_token_that_is_being_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh-token");
    std::fs::write(&file, "refresh-0").unwrap();
    let gate = Gate::shut();
    let shut = gate.clone();
    let tokens = Platform::start(move |_| {
        let answer = r#"{"access_token":"access-1","refresh_token":"refresh-1"}"#;
        Act::Behind(shut.clone(), Box::new(Act::ok(answer)))
    });
    let platform = refusing(&[]);
    let fixture = fixture(&["a"]);
    let sale = fixture.sale("t").await;
    let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), Some(&file))]);
    until("a token is asked for", || tokens.count() == 1).await;
    let stopping = tokio::spawn(dispatch.stop(Duration::from_millis(10)));
    tokio::time::sleep(Duration::from_millis(60)).await;
    gate.open();
    stopping.await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "refresh-1\n");
    assert_eq!(word(&fixture.delivery(sale).await.0), "waiting", "it is given back");
}

#[tokio::test]
async fn two_destinations_of_one_account_share_its_token() {
    let (platform, tokens) = (refusing(&[]), giving(false));
    let fixture = fixture(&["a", "b"]);
    let sales = fixture.sales("t", 5).await;
    let pair = (&platform, &tokens);
    let dispatch = start(&fixture, &[by_refresh_token("a", pair, None), by_refresh_token("b", pair, None)]);
    until("all are sent", || platform.count() == 10).await;
    for sale in sales {
        for (delivery, _) in fixture.deliveries(sale).await {
            assert!(matches!(word(&delivery), "delivered" | "waiting"), "{delivery:?}");
        }
    }
    assert_eq!(tokens.count(), 1);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_service_account_signs_what_it_states_of_itself() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let account = json!({
        "type": "service_account",
        "client_email": "relay@project.iam.example",
        "private_key_id": "key-9",
        "private_key": key.serialize_pem(),
        "token_uri": "http://169.254.169.254/elsewhere",
    });
    let (platform, tokens) = (refusing(&[]), giving(false));
    let fixture = fixture(&["a"]);
    let sale = fixture.sale("t").await;
    let settings = vec![("service_account", account.to_string())];
    let target = SignedTarget {
        id: "a",
        platform: &platform,
        tokens: &tokens,
        settings,
        secrets: SecretFiles::default(),
    };
    let dispatch = start(&fixture, &[target]);
    fixture.reaches(sale, "delivered").await;
    let asked = form(&tokens.received()[0]);
    assert_eq!(asked["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["https://tokens.invalid/token"]);
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let stated = jsonwebtoken::decode::<Value>(&asked["assertion"], &public, &rules).unwrap();
    assert_eq!(stated.header.kid.as_deref(), Some("key-9"));
    let now = fixture.clock.now().as_seconds();
    let claims = &stated.claims;
    assert_eq!((&claims["iss"], &claims["scope"]), (&json!("relay@project.iam.example"), &json!("send")));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 3_600)));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[test]
fn a_secret_that_is_in_no_file_of_its_own_cannot_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, " one \n").unwrap();
    let gone = folder.path().join("gone/token");
    let files = SecretFiles([("here".to_owned(), file), ("gone".to_owned(), gone)].into());
    assert_eq!(files.read("here").as_deref(), Some("one"));
    assert_eq!((files.read("gone"), files.read("other")), (None, None));
    assert_eq!(files.replace("here", "two"), Ok(()));
    assert_eq!(files.read("here").as_deref(), Some("two"));
    assert!(files.replace("gone", "two").unwrap_err().to_string().contains("cannot be written"));
    assert!(files.replace("other", "two").unwrap_err().to_string().contains("no file of its own"));
    assert_eq!((files.refusal("here"), files.refusal("gone").is_some()), (None, true));
}
