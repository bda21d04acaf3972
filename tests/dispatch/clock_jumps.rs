//! A wall clock that is set while attempts are under way: nothing is sent twice by that, and no lease ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::Dispatch;
use postbridge::domain::attempt::AttemptEffect;
use postbridge::domain::status::Status;
use postbridge::domain::time::{DAY_MS, MINUTE_MS};
use postbridge::store::contract::conformance::fixture::received::{mapped, request};
use postbridge::store::contract::{Store, StoreFuture};

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, draft, plan, quick};
use crate::support::platform::{Act, Gate, Platform};
use crate::support::store_hook::{HookedStore, StoreHook};

/// It takes everything, the second when the gate is opened.
fn holding_the_second() -> (Platform, Gate) {
    let gate = Gate::shut();
    let held = gate.clone();
    let platform = Platform::start(move |received| match received.number {
        1 => Act::Behind(held.clone(), Box::new(Act::ok(TAKEN))),
        _ => Act::ok(TAKEN),
    });
    (platform, gate)
}

/// What is under way while the clock is set is sent once, and so is what is claimed by the other time.
async fn is_sent_once_when_the_clock_is_set_by(jump_ms: i64) {
    let (platform, gate) = holding_the_second();
    let targets = [Target::new("a", platform.url(""))];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = fixture.dispatch(&targets);
    // Once it has taken something, more than one may be out.
    fixture.reaches(fixture.sale("before").await, "delivered").await;
    let sale = fixture.sale("t").await;
    platform.wait_for(2).await;
    clock.set(clock.now().plus_millis(jump_ms));
    fixture.reaches(fixture.sale("claimed by the other time").await, "delivered").await;
    gate.open();
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert!(!delivery.possible_repeat);
    assert_eq!(attempts.iter().map(|attempt| attempt.effect).collect::<Vec<_>>(), [AttemptEffect::Settled]);
    dispatch.stop(Duration::from_secs(5)).await;
    assert_eq!(platform.count(), 3, "one request for each sale");
}

#[tokio::test]
async fn what_is_under_way_while_the_clock_jumps_ahead_is_not_sent_twice() {
    is_sent_once_when_the_clock_is_set_by(DAY_MS).await;
}

#[tokio::test]
async fn what_is_under_way_while_the_clock_jumps_back_is_not_sent_twice() {
    is_sent_once_when_the_clock_is_set_by(-DAY_MS).await;
}

/// A store of which one answer is late: more time passes meanwhile than any lease lasts, and the clock is set back.
struct LateAnswer {
    store: Arc<dyn Store>,
    clock: Clock,
    is_late: AtomicBool,
}

impl StoreHook for LateAnswer {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn write<'a, T: Send + 'a>(
        &'a self,
        ask: impl Fn(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        ask(&*self.store)
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        let answer = ask(&*self.store);
        Box::pin(async move {
            let answer = answer.await;
            if self.is_late.swap(false, Ordering::SeqCst) {
                self.clock.run(10 * MINUTE_MS);
                self.clock.set(self.clock.now().plus_millis(-DAY_MS));
            }
            answer
        })
    }
}

#[tokio::test]
async fn what_was_handed_out_too_late_to_be_sent_is_given_back_also_when_the_clock_was_set_back() {
    let (platform, gate) = holding_the_second();
    let targets = [Target::new("a", platform.url(""))];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let (store, is_late) = (Arc::clone(&fixture.store), AtomicBool::new(false));
    let late = Arc::new(HookedStore(LateAnswer { store, clock: clock.clone(), is_late }));
    let dispatch = Dispatch::start_at_pace(late.clone(), plan(&targets), clock.clone(), quick());
    fixture.reaches(fixture.sale("before").await, "delivered").await;
    late.is_late.store(true, Ordering::SeqCst);
    // Due by the time to which the clock is set, too.
    let received_at = clock.now().plus_millis(-2 * DAY_MS);
    let arrival = mapped(request("GET / HTTP/1.1"), draft("t", Status::Approved), received_at);
    let sale = fixture.store.arrive(arrival).await.unwrap().verdict.conversion().unwrap();
    platform.wait_for(2).await;
    // A lease that had run out would be found to have by the claim of another sale.
    fixture.reaches(fixture.sale("other").await, "delivered").await;
    gate.open();
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert!(!delivery.possible_repeat);
    assert_eq!(attempts.len(), 1);
    dispatch.stop(Duration::from_secs(5)).await;
    assert_eq!(platform.count(), 3, "one request for each sale");
}
