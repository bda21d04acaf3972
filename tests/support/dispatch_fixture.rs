//! What the dispatch tests share: a store, destinations that point at stand-ins, and sales to send.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::breaker::BreakerRule;
use postbridge::dispatch::schedule::Schedule;
use postbridge::dispatch::{DestinationPlan, Dispatch, DispatchPlan, DispatchWaits};
use postbridge::domain::attempt::Attempt;
use postbridge::domain::change_rules::{Changes, OnRejected};
use postbridge::domain::conversion::{Dedup, Draft, EventClaim};
use postbridge::domain::delivery::Delivery;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ConversionId, DestinationId, SourceId};
use postbridge::domain::postback::Verdict;
use postbridge::domain::routing::{Route, SourcePolicy, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::secret_store::FixedSecrets;
use postbridge::domain::status::Status;
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::{go_by, mapped, request};
use postbridge::store::contract::work::FallsDue;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::memory::Memory;
use postbridge::template::destination::batch::BatchSize;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;

const TEMPLATE: &str = r#"
label = "Stand-in"
max_age_hours = 168

[[setting]]
name = "token"
label = "Token"
required = true
secret = true

[events]
Purchase = "purchase"
Lead = "lead"

[request]
method = "POST"
url = "https://platform.invalid/events"
auth = { kind = "bearer", setting = "token" }

[reply]
reason = [{ at = "/error" }]

[[reply.rule]]
status = [200]
json = [{ at = "/received", equals_sent = true }]
then = "delivered"

[[reply.rule]]
status = [200]
then = "retry"
why = "not received"
"#;

const EVENT: &str =
    r#"{"id": {{json event_id}}, "transaction": {{json transaction_id}}, "email": {{json traits.email}}}"#;

/// The oldest event that the stand-in takes, as its template says.
pub const MAX_AGE_MS: i64 = 7 * DAY_MS;

/// What the stand-in answers to an event that it takes.
pub const TAKEN: &str = r#"{"received":1}"#;

fn template(target: &Target) -> Arc<DestinationTemplate> {
    let Target { changes, top, batching, files: own, .. } = target;
    let changes = match *changes {
        "send" => "on_value = \"restate\"\non_rejected = \"status\"\nmax_age_hours = 168",
        "ignore" => "",
        rules => rules,
    };
    let changes = if changes.is_empty() { String::new() } else { format!("[changes]\n{changes}\n\n") };
    let toml = TEMPLATE.replace("[request]\n", &format!("{changes}[request]\n"));
    let toml = format!("{top}{}", toml.replace("[reply]\n", &format!("{batching}\n[reply]\n")));
    // Where the answer says which events it took, it is not the count that decides.
    let toml = match batching.contains("\"each\"") {
        true => toml.replace("json = [{ at = \"/received\", equals_sent = true }]\n", ""),
        false => toml,
    };
    let mut files = BTreeMap::from([
        ("destination.toml".to_owned(), toml),
        ("event.json.hbs".to_owned(), EVENT.to_owned()),
    ]);
    if !batching.is_empty() {
        files.insert("envelope.json.hbs".to_owned(), "{\"events\": {{events}}}".to_owned());
    }
    files.extend(own.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    match DestinationTemplate::parse("standin", "standin", &files) {
        Ok(template) => Arc::new(template),
        Err(problems) => panic!("{problems:?}"),
    }
}

/// A destination of a test.
#[derive(Clone)]
pub struct Target {
    pub id: &'static str,
    pub endpoint: String,
    pub token_endpoint: Option<String>,
    pub mode: DestinationMode,
    /// `ignore`, `send`, or what its `[changes]` says.
    pub changes: &'static str,
    /// What it says of its own of what is rejected.
    pub on_rejected: Option<OnRejected>,
    /// Files of its template, over its usual ones.
    pub files: &'static [(&'static str, &'static str)],
    pub token: &'static str,
    pub batch: BatchSize,
    /// Its `[batch]` and `[rate]`, and what goes before its reply rules; empty: a request is one event.
    pub batching: &'static str,
    /// What its template says before everything else.
    pub top: &'static str,
    pub max_in_flight: usize,
    pub max_per_second: Option<u32>,
    pub timeout_ms: u64,
}

impl Target {
    pub fn new(id: &'static str, endpoint: String) -> Target {
        Target {
            id,
            endpoint,
            token_endpoint: None,
            mode: DestinationMode::Live,
            changes: "ignore",
            on_rejected: None,
            files: &[],
            token: "t0p-s3cret",
            batch: Default::default(),
            batching: "",
            top: "",
            max_in_flight: 64,
            max_per_second: None,
            timeout_ms: 10_000,
        }
    }

    pub fn plan(&self) -> DestinationPlan {
        let spec = DestinationSpec {
            id: DestinationId::parse(self.id).unwrap(),
            template: template(self),
            mode: self.mode,
            endpoint: Some(self.endpoint.clone()),
            token_endpoint: self.token_endpoint.clone(),
            on_rejected: self.on_rejected,
            settings: BTreeMap::from([("token".to_owned(), self.token.to_owned())]),
            events: BTreeMap::new(),
        };
        let destination = match ReadyDestination::build(spec) {
            Ok(destination) => Arc::new(destination),
            Err(problems) => panic!("{problems:?}"),
        };
        DestinationPlan {
            destination,
            batch: self.batch,
            max_per_second: self.max_per_second.map(|n| n.try_into().unwrap()),
            max_in_flight: self.max_in_flight,
            allow_private_network: true,
            timeout_ms: self.timeout_ms,
            secrets: Arc::new(FixedSecrets),
            outgoing: None,
        }
    }
}

/// As its template has it.
fn changes_of(target: &Target) -> Changes {
    target.plan().destination.changes()
}

pub fn source() -> SourceId {
    SourceId::parse("shop").unwrap()
}

pub fn policy() -> Arc<SourcePolicy> {
    Arc::new(SourcePolicy {
        source: source(),
        customer: Default::default(),
        click_sub_id: None,
        dedup: Dedup::Transaction,
        forward_status: vec![Status::Approved],
        unmatched: Unmatched::Forward,
    })
}

/// What a postback with a status reports of a purchase.
pub fn draft(transaction: &str, status: Status) -> Draft {
    Draft {
        source: source(),
        event: EventClaim::Named(EventName::parse("Purchase").unwrap()),
        status: Some(status),
        transaction_id: Some(transaction.to_owned()),
        click_id: None,
        item_id: None,
        items: Vec::new(),
        adjustment_id: None,
        value: None,
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: None,
        traits: Default::default(),
        params: Vec::new(),
        consent: Default::default(),
        notes: Vec::new(),
        network: Default::default(),
    }
}

pub fn plan(targets: &[Target]) -> DispatchPlan {
    DispatchPlan {
        destinations: targets.iter().map(Target::plan).collect(),
        policies: HashMap::from([(source(), policy())]),
    }
}

/// How often [`quick`] probes a parked destination.
pub const PROBE_EVERY_MS: i64 = 40;

/// Retries after 5 ms, breaker as promised, probes of a parked destination every 40 ms, holds of 60 ms and
/// of a host 30 ms at most.
pub fn quick() -> DispatchWaits {
    DispatchWaits {
        schedule: Schedule { steps: vec![5, 5, 5], then_every: 5 },
        breaker: BreakerRule::default(),
        probe_every_ms: PROBE_EVERY_MS,
        longest_hold_ms: 60,
        longest_host_hold_ms: 30,
    }
}

/// An embedded store that lives in memory.
pub fn open_store() -> Arc<dyn Store> {
    open_store_by(&Clock::system())
}

/// The same, with leases that run out by this clock.
fn open_store_by(clock: &Clock) -> Arc<dyn Store> {
    let settings = EmbeddedSettings { clock: clock.monotonic(), ..EmbeddedSettings::default() };
    Arc::new(Embedded::open_with(Arc::new(Memory::new()), Arc::default(), settings).unwrap())
}

/// The store, the clock and the destinations that sales go to.
pub struct DispatchFixture {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
}

impl DispatchFixture {
    pub fn new(targets: &[Target]) -> DispatchFixture {
        DispatchFixture::on(open_store(), targets)
    }

    /// With all time by this clock.
    pub fn by(clock: Clock, targets: &[Target]) -> DispatchFixture {
        let fixture = DispatchFixture::on(open_store_by(&clock), targets);
        DispatchFixture { clock, ..fixture }
    }

    /// On a store that goes by the targets' rules from now on.
    pub fn on(store: Arc<dyn Store>, targets: &[Target]) -> DispatchFixture {
        let routes = targets.iter().map(|target| Route {
            changes: changes_of(target),
            max_age_ms: Some(MAX_AGE_MS),
            ..Route::to(DestinationId::parse(target.id).unwrap())
        });
        let policies = [(source(), policy())].into();
        go_by(&*store, Arc::new(Ruleset { policies, routes: routes.collect(), ..Ruleset::default() }));
        DispatchFixture { store, clock: Clock::system() }
    }

    /// Ends what is too old, as maintenance does.
    pub async fn expire(&self) -> usize {
        self.store.fall_due(FallsDue::Expiry, self.clock.now(), usize::MAX).await.unwrap().count()
    }

    pub fn dispatch(&self, targets: &[Target]) -> Dispatch {
        Dispatch::start_at_pace(Arc::clone(&self.store), plan(targets), self.clock.clone(), quick())
    }

    pub async fn sale(&self, transaction: &str) -> ConversionId {
        self.receive(transaction, Status::Approved, None).await
    }

    pub async fn sales(&self, prefix: &str, count: usize) -> Vec<ConversionId> {
        let all = (0..count).map(|n| async move { self.sale(&format!("{prefix}-{n}")).await });
        futures_util::future::join_all(all).await
    }

    /// A postback with this status; `happened`: when it says that the event was.
    pub async fn receive(&self, transaction: &str, status: Status, happened: Option<Time>) -> ConversionId {
        self.arrive(Draft { event_time: happened, ..draft(transaction, status) }).await
    }

    /// A postback that was mapped to this.
    pub async fn arrive(&self, draft: Draft) -> ConversionId {
        let line = b"GET / HTTP/1.1".to_vec();
        let arrival = mapped(request(line), draft, self.clock.now());
        match self.store.arrive(arrival).await.unwrap().verdict {
            Verdict::Accepted { conversion }
            | Verdict::Updated { conversion }
            | Verdict::Duplicate { conversion } => conversion,
            other => panic!("{other:?}"),
        }
    }

    /// The deliveries of a conversion, each with its attempts.
    pub async fn deliveries(&self, id: ConversionId) -> Vec<(Delivery, Vec<Attempt>)> {
        self.store.conversion(id).await.unwrap().unwrap().deliveries
    }

    /// The one delivery of a conversion.
    pub async fn delivery(&self, id: ConversionId) -> (Delivery, Vec<Attempt>) {
        let mut all = self.deliveries(id).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Waits until the one delivery of a conversion is in this state.
    pub async fn reaches(&self, id: ConversionId, word: &str) -> (Delivery, Vec<Attempt>) {
        for _ in 0..2_000 {
            let (delivery, attempts) = self.delivery(id).await;
            if delivery.state.as_str() == word {
                return (delivery, attempts);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never {word}: {:?}", self.delivery(id).await)
    }

    /// Waits until the one delivery of a conversion has so many attempts on record.
    pub async fn has_attempts(&self, id: ConversionId, count: usize) {
        for _ in 0..2_000 {
            if self.delivery(id).await.1.len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never {count} attempts: {:?}", self.delivery(id).await)
    }

    pub async fn all_reach(&self, ids: &[ConversionId], word: &str) {
        for id in ids {
            self.reaches(*id, word).await;
        }
    }
}

/// Waits until something holds; fails the test after 10 s.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never: {what}");
}
