//! One account at a platform that accepts requests and says later what became of their events, by a clock that only the
//! test moves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::Dispatch;
use postbridge::domain::attempt::Attempt;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::ids::ConversionId;
use postbridge::template::destination::batch::BatchSize;

use crate::support::dispatch_fixture::{DispatchFixture, Target, plan};
use crate::support::platform::{Act, Platform, Received};

/// What the template says of it.
pub const CONFIRM: &str = r#"
[batch]
max = 10

[confirm]
id = "/request"
url = "https://platform.invalid/status?id={{request_id}}"
reason = [{ at = "/status" }]
rows = { at = "/failed/*", index = "events", count = "count", reason = [{ at = "/why" }] }

[[confirm.rule]]
json = [{ at = "/status", equals = "done" }]
then = "delivered"

[[confirm.rule]]
json = [{ at = "/status", equals = "failed" }]
then = "dead"

[[confirm.row]]
json = [{ at = "/why", equals = "early" }]
then = "retry"
after_seconds = 3600

[[confirm.row]]
json = [{ at = "/why", equals = "twice" }]
after_unknown = true
then = "duplicate"
"#;

/// What is asked about, by the name of its request.
pub fn asked(request: &Received) -> Option<&str> {
    request.target.strip_prefix("/status?id=")
}

/// Accepts every request as `r 1`, `r 2`…, and answers what it is asked by `say`.
pub fn accepting(say: impl Fn(usize) -> Act + Send + Sync + 'static) -> Platform {
    let (requests, polls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Platform::start(move |request| match asked(request) {
        Some(_) => say(polls.fetch_add(1, Ordering::Relaxed)),
        None => {
            let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
            let events = request.json()["events"].as_array().map_or(0, Vec::len);
            Act::ok(&format!(r#"{{"received":{events},"request":"r {number}"}}"#))
        }
    })
}

pub fn polls(platform: &Platform) -> usize {
    platform.received().iter().filter(|request| asked(request).is_some()).count()
}

pub fn sent(platform: &Platform) -> usize {
    platform.count() - polls(platform)
}

/// One account at a platform, and the relay at it, by a clock that only the test moves.
pub struct Account {
    pub fixture: DispatchFixture,
    pub target: Target,
    pub dispatch: Dispatch,
}

impl Account {
    pub fn at(platform: &Platform) -> Account {
        Account::sending(platform, BatchSize::default())
    }

    pub fn sending(platform: &Platform, batch: BatchSize) -> Account {
        Account::of(Target { batch, ..Account::target(platform) })
    }

    pub fn target(platform: &Platform) -> Target {
        Target { batching: CONFIRM, ..Target::new("a", platform.url("")) }
    }

    pub fn of(target: Target) -> Account {
        let clock = Clock::fixed(Clock::system().now());
        let fixture = DispatchFixture::by(clock, std::slice::from_ref(&target));
        let dispatch = fixture.dispatch(std::slice::from_ref(&target));
        Account { fixture, target, dispatch }
    }

    /// Time passes, and everyone looks.
    pub fn pass(&self, millis: i64) {
        self.fixture.clock.run(millis);
        self.dispatch.reload(plan(std::slice::from_ref(&self.target)));
    }

    pub async fn now(&self, sale: ConversionId) -> (Delivery, Vec<Attempt>) {
        self.fixture.delivery(sale).await
    }

    /// How often the platform was asked about it.
    pub async fn tries(&self, sale: ConversionId) -> u32 {
        match self.now(sale).await.0.state {
            DeliveryState::Confirming { tries, .. } => tries,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until it was asked so often and waits again.
    pub async fn was_asked(&self, sale: ConversionId, tries: u32) {
        for _ in 0..400 {
            match self.now(sale).await.0.state {
                DeliveryState::Confirming { tries: now, .. } if now == tries => return,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("not asked {tries} times: {:?}", self.now(sale).await.0);
    }

    /// Waits until the platform has said what became of it.
    pub async fn is_settled(&self, sale: ConversionId) {
        for _ in 0..400 {
            if self.now(sale).await.0.state.as_str() != "confirming" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never settled: {:?}", self.now(sale).await.0);
    }

    pub async fn stop(self) {
        self.dispatch.stop(Duration::from_secs(5)).await;
    }
}

pub fn processing() -> Act {
    Act::ok(r#"{"status":"processing"}"#)
}

pub fn done() -> Act {
    Act::ok(r#"{"status":"done"}"#)
}
