//! A platform that can be informed of changes, and a relay that sends to it.

use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::{Dispatch, DispatchWaits};
use postbridge::domain::change::irreversible;
use postbridge::domain::change_rules::OnRejected;
use postbridge::domain::conversion::Draft;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::ids::ConversionId;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::store::contract::conformance::fixture::received::usd;
use serde_json::{Value, json};

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, draft, plan};
use crate::support::platform::{Act, Gate, Platform};

pub const EVENT: (&str, &str) = (
    "event.json.hbs",
    r#"{"kind": {{json kind}}, "id": {{json event_id}}, "value": {{number value}}, "email": {{json traits.email}}}"#,
);

pub const CHANGE: (&str, &str) = (
    "change.json.hbs",
    r#"{"kind": {{json kind}}, "id": {{json sent.event_id}}, "name": {{json sent.event_name}},
        "time": {{unix_ms sent.event_time}}, "value": {{number (default (in_restate value) sent.value)}},
        "before": {{number sent.value}}, "transaction": {{json sent.transaction_id}},
        "email": {{json traits.email}}}"#,
);

/// What most platforms of these tests can be informed of.
pub const REVERSIBLE: &str = "on_value = \"restate\"\non_rejected = \"retract\"";

/// A platform, what it can be informed of, and a relay that sends to it.
pub struct Relay {
    pub platform: Platform,
    pub targets: [Target; 1],
    pub fixture: DispatchFixture,
}

impl Relay {
    pub fn with(changes: &'static str, platform: Platform) -> Relay {
        Relay::by(Clock::system(), changes, None, platform)
    }

    pub fn by(
        clock: Clock,
        changes: &'static str,
        on_rejected: Option<OnRejected>,
        platform: Platform,
    ) -> Relay {
        let files: &[_] = if changes.is_empty() { &[EVENT] } else { &[EVENT, CHANGE] };
        let target = Target { changes, on_rejected, files, ..Target::new("a", platform.url("")) };
        let targets = [target];
        let fixture = DispatchFixture::by(clock, &targets);
        Relay { platform, targets, fixture }
    }

    pub fn start(&self) -> Dispatch {
        self.fixture.dispatch(&self.targets)
    }

    pub fn start_by(&self, waits: DispatchWaits) -> Dispatch {
        let (store, clock) = (Arc::clone(&self.fixture.store), self.fixture.clock.clone());
        Dispatch::start_at_pace(store, plan(&self.targets), clock, waits)
    }

    /// Begins to send, and has sent a sale worth 7.
    pub async fn sold(&self) -> (Dispatch, ConversionId) {
        let dispatch = self.start();
        let sale = self.reported(Status::Approved, "7").await;
        self.reach(sale, &["delivered"]).await;
        (dispatch, sale)
    }

    pub async fn reported(&self, status: Status, value: &str) -> ConversionId {
        self.fixture.arrive(worth(status, value)).await
    }

    pub async fn deliveries(&self, id: ConversionId) -> Vec<Delivery> {
        self.fixture.deliveries(id).await.into_iter().map(|(delivery, _)| delivery).collect()
    }

    /// Waits until the deliveries of a conversion are in these states.
    pub async fn reach(&self, id: ConversionId, words: &[&str]) -> Vec<Delivery> {
        for _ in 0..2_000 {
            let all = self.deliveries(id).await;
            if all.iter().map(|one| one.state.as_str()).eq(words.iter().copied()) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never {words:?}: {:?}", self.deliveries(id).await)
    }

    /// How many destinations cannot be informed of how a conversion is.
    pub async fn marked(&self, id: ConversionId) -> usize {
        let trace = self.fixture.store.conversion(id).await.unwrap().unwrap();
        irreversible(&trace.conversion, &self.deliveries(id).await).len()
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.platform.received().iter().map(|request| request.json()).collect()
    }

    /// The kind and the value of each request.
    pub fn said(&self) -> Vec<(String, Value)> {
        let of_body = |body: Value| (body["kind"].as_str().unwrap().to_owned(), body["value"].clone());
        self.bodies().into_iter().map(of_body).collect()
    }
}

pub fn worth(status: Status, value: &str) -> Draft {
    Draft { value: Some(usd(value)), ..draft("t", status) }
}

pub fn taking() -> Platform {
    Platform::start(|_| Act::ok(TAKEN))
}

/// Does this to its first request once its gate is open, and takes what follows.
pub fn behind_a_gate(act: Act) -> (Platform, Gate) {
    let gate = Gate::shut();
    let kept = gate.clone();
    let platform = Platform::start(move |received| match received.number {
        0 => Act::Behind(kept.clone(), Box::new(act.clone())),
        _ => Act::ok(TAKEN),
    });
    (platform, gate)
}

pub fn reason(delivery: &Delivery) -> Option<&SkipReason> {
    match &delivery.state {
        DeliveryState::Skipped { reason, .. } => Some(reason),
        _ => None,
    }
}

pub fn pairs(expected: &[(&str, i64)]) -> Vec<(String, Value)> {
    expected.iter().map(|(kind, value)| ((*kind).to_owned(), json!(value))).collect()
}

pub async fn stop(dispatch: Dispatch) {
    dispatch.stop(Duration::from_secs(5)).await;
}
